"""The reader of CloudWatch: one `GetMetricData` a look, and `DescribeAlarms` where alarms are
named. Judges nothing.

CloudWatch publishes minutes late and stamps an error with the start of its invocation, so a look
reaches back to the first shift and never trusts the last minute alone.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from deployer.decisions.evidence import MINUTE, Counts, Look
from deployer.decisions.rollout import Rollout

#: A look follows `NextToken` this often; the few thousand data points of a look fit into one page.
_MOST_PAGES = 5


class NotSeen(Exception):
    """When CloudWatch answered, but not completely: that says nothing about the new version,
    good or bad."""


class Hopeless(NotSeen):
    """When asking again is in vain; the message ends with the remedy."""


class Metrics:
    """Calls and errors of the alias's two versions, and the metrics and alarms that the payload
    names."""

    def __init__(self, cloudwatch: Any, rollout: Rollout, original: str) -> None:
        """`cloudwatch` is boto3's client, or a fake."""
        self._cloudwatch, function, check = cloudwatch, rollout.function_name, rollout.health_check
        self._alias = {"FunctionName": function, "Resource": f"{function}:{rollout.alias_name}"}
        self._queries = [
            _query(
                f"{metric.lower()}_{who}",
                "AWS/Lambda",
                metric,
                {**self._alias, "ExecutedVersion": version},
                "Sum",
            )
            for who, version in (("original", original), ("new", rollout.new_version))
            for metric in ("Invocations", "Errors")
        ]
        self._counted = [str(query["Id"]) for query in self._queries]
        self._limits = check.metrics if check else {}
        for name, limit in self._limits.items():
            self._queries.append(
                _query(name, limit.namespace, limit.name, limit.dimensions, limit.stat)
            )
        self._alarms = list(check.alarms) if check else []

    def look(self, since: float, now: float) -> Look:
        """Everything published from the minute of `since` on, the current minute included; seconds
        since 1970.

        Raises `NotSeen`, or the API's own error.
        """
        alarms, found = self._states(), self._found(self._queries, since, now)
        highest = {name: max(found[name].values()) for name in self._limits if found[name]}
        newest = {name: max(found[name]) for name in self._counted if found[name]}
        return Look(_counts(found, "original"), _counts(found, "new"), highest, alarms, newest)

    def calls(self, since: float, now: float) -> list[float]:
        """All calls of the alias, whichever version they were for, by the minute. Raises as
        `look` does."""
        query = _query("calls", "AWS/Lambda", "Invocations", self._alias, "Sum")
        return list(self._found([query], since, now)["calls"].values())

    def _found(self, queries: list[Any], since: float, now: float) -> dict[str, dict[int, float]]:
        """By the query's id: values by the minute's start."""
        request: dict[str, Any] = {"MetricDataQueries": queries}
        request |= {"StartTime": _utc(since // MINUTE * MINUTE), "EndTime": _utc(now + MINUTE)}
        status = {query["Id"]: "absent" for query in queries}
        found: dict[str, dict[int, float]] = defaultdict(dict)
        for _ in range(_MOST_PAGES):
            page = self._cloudwatch.get_metric_data(**request)
            for result in page["MetricDataResults"]:
                status[result["Id"]] = result["StatusCode"]
                found[result["Id"]] |= dict(
                    zip(map(_seconds, result["Timestamps"]), result["Values"], strict=True)
                )
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
        states = {
            alarm["AlarmName"]: alarm["StateValue"]
            for kind in kinds
            for alarm in told.get(f"{kind}s", ())
        }
        absent = [name for name in self._alarms if name not in states]
        if absent:
            unknown = ", ".join(absent)
            raise Hopeless(
                f"CloudWatch has no metric alarm and no composite alarm named {unknown} here: "
                "check 'health-check.alarms', which takes no other kinds, such as alarms on logs."
            )
        return {name: states[name] for name in self._alarms}


def _query(
    name: str, namespace: str, metric: str, dimensions: Mapping[str, str], stat: str
) -> dict[str, Any]:
    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    wanted = {"Namespace": namespace, "MetricName": metric, "Dimensions": pairs}
    return {"Id": name, "MetricStat": {"Metric": wanted, "Period": MINUTE, "Stat": stat}}


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _seconds(timestamp: datetime) -> int:
    return round(timestamp.timestamp())


def _counts(found: Mapping[str, Mapping[int, float]], who: str) -> dict[int, Counts]:
    invocations, errors = found[f"invocations_{who}"], found[f"errors_{who}"]
    minutes = invocations.keys() | errors.keys()
    return {
        minute: Counts(round(invocations.get(minute, 0)), round(errors.get(minute, 0)))
        for minute in minutes
    }
