"""The reader of CloudWatch: one `GetMetricData` a look, and `DescribeAlarms` where alarms are
named. Judges nothing.

CloudWatch publishes minutes late and stamps an error with the start of its invocation, so a look
reaches back to the first shift and never trusts the last minute alone.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from deployer.clock import utc
from deployer.decisions.checks.check import Query, Versions
from deployer.decisions.evidence import MINUTE, Counts, Look
from deployer.decisions.health import HealthCheck
from deployer.decisions.target import Target

#: A look follows `NextToken` this often; the few thousand data points of a look fit into one page.
_MOST_PAGES = 5


class NotSeen(Exception):
    """When CloudWatch answered, but not completely: that says nothing about the new version,
    good or bad."""


class Hopeless(NotSeen):
    """When asking again is in vain; the message ends with the remedy."""


class Metrics:
    """Calls and errors of the alias's two versions, and what the checks want to be read."""

    def __init__(
        self, cloudwatch: Any, target: Target, versions: Versions, check: HealthCheck
    ) -> None:
        """`cloudwatch` is boto3's client, or a fake."""
        self._cloudwatch = cloudwatch
        self._alias = {"FunctionName": target.function, "Resource": target.resource}
        self._counted = {}
        for who, version in versions._asdict().items():
            dimensions = {**self._alias, "ExecutedVersion": version}
            for metric in ("Invocations", "Errors"):
                query = Query("AWS/Lambda", metric, dimensions, "Sum")
                self._counted[f"{metric.lower()}_{who}"] = query
        self._of_checks = check.queries
        self._alarms = check.alarms

    def look(self, since: float, now: float) -> Look:
        """Everything published from the minute of `since` on, the current minute included; seconds
        since 1970.

        Raises `NotSeen`, or the API's own error.
        """
        alarms = self._states()
        found = self._found({**self._counted, **self._of_checks}, since, now)
        highest = {name: max(found[name].values()) for name in self._of_checks if found[name]}
        newest = {name: max(found[name]) for name in self._counted if found[name]}
        return Look(_counts(found, "original"), _counts(found, "new"), highest, alarms, newest)

    def calls(self, since: float, now: float) -> list[float]:
        """All calls of the alias, whichever version they were for, by the minute. Raises as
        `look` does."""
        query = Query("AWS/Lambda", "Invocations", self._alias, "Sum")
        return list(self._found({"calls": query}, since, now)["calls"].values())

    def _found(
        self, queries: Mapping[str, Query], since: float, now: float
    ) -> dict[str, dict[int, float]]:
        """By the query's name: values by the minute's start."""
        request: dict[str, Any] = {
            "MetricDataQueries": [_data_query(name, query) for name, query in queries.items()],
            "StartTime": utc(since // MINUTE * MINUTE),
            "EndTime": utc(now + MINUTE),
        }
        status = dict.fromkeys(queries, "absent")
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for _ in range(_MOST_PAGES):
            page = self._cloudwatch.get_metric_data(**request)
            for result in page["MetricDataResults"]:
                status[result["Id"]] = result["StatusCode"]
                minutes = [round(each.timestamp()) for each in result["Timestamps"]]
                found[result["Id"]] |= dict(zip(minutes, result["Values"], strict=True))
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
        else:
            raise NotSeen("CloudWatch did not come to the end of its answer.")
        unseen = {name: told for name, told in status.items() if told != "Complete"}
        if "Forbidden" in unseen.values():
            raise Hopeless(
                "CloudWatch could not be read: "
                "allow the deployer the action cloudwatch:GetMetricData."
            )
        if unseen:
            raise NotSeen(f"CloudWatch answered {unseen}.")
        return found

    def _states(self) -> dict[str, str]:
        """The alarms' states, metric and composite ones: older clients know no others."""
        if not self._alarms:
            return {}
        kinds = ["MetricAlarm", "CompositeAlarm"]
        told = self._cloudwatch.describe_alarms(
            AlarmNames=self._alarms, AlarmTypes=kinds, MaxRecords=100
        )
        alarms = [alarm for kind in kinds for alarm in told.get(f"{kind}s", ())]
        states = {alarm["AlarmName"]: alarm["StateValue"] for alarm in alarms}
        absent = [name for name in self._alarms if name not in states]
        if absent:
            unknown = ", ".join(absent)
            raise Hopeless(
                f"CloudWatch has no metric alarm and no composite alarm named {unknown} here: "
                "check 'health-check.alarms', which takes no other kinds, such as alarms on logs."
            )
        return {name: states[name] for name in self._alarms}


def _data_query(name: str, query: Query) -> dict[str, Any]:
    pairs = [{"Name": name, "Value": value} for name, value in query.dimensions.items()]
    metric = {"Namespace": query.namespace, "MetricName": query.name, "Dimensions": pairs}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": MINUTE, "Stat": query.stat}}


def _counts(found: Mapping[str, Mapping[int, float]], who: str) -> dict[int, Counts]:
    invocations = found[f"invocations_{who}"]
    errors = found[f"errors_{who}"]
    return {
        minute: Counts(round(invocations.get(minute, 0)), round(errors.get(minute, 0)))
        for minute in invocations.keys() | errors.keys()
    }
