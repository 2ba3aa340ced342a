"""The reader of CloudWatch: one `GetMetricData` a look. Judges nothing.

CloudWatch publishes minutes late and stamps an error with the start of its invocation, so a look
reaches back to the first shift and never trusts the last minute alone.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from collections import defaultdict
from dataclasses import replace
from datetime import datetime
from typing import Any

from deployer.health import MINUTE, Counts, Look
from deployer.rollout import Rollout

#: A look follows `NextToken` this often; the few hundred data points of a look fit into one page.
_MOST_PAGES = 5


class NotSeen(Exception):
    """When CloudWatch answered, but not completely: that says nothing about the new version, good or bad."""


class Forbidden(NotSeen):
    """When a permission is missing, so that asking again is in vain."""


class Metrics:
    """Calls and errors of the alias's two versions."""

    def __init__(self, cloudwatch: Any, rollout: Rollout, original: str) -> None:
        """`cloudwatch` is boto3's client, or a fake."""
        self._cloudwatch, function = cloudwatch, rollout.function_name
        alias = {"FunctionName": function, "Resource": f"{function}:{rollout.alias_name}"}
        self._queries = [
            _query(metric, who, {**alias, "ExecutedVersion": version})
            for who, version in (("original", original), ("new", rollout.new_version))
            for metric in ("Invocations", "Errors")
        ]

    def look(self, since: datetime, now: datetime) -> Look:
        """Everything published from the minute of `since` on, the current minute included.

        Raises `NotSeen`, or the API's own error.
        """
        request: dict[str, Any] = {"MetricDataQueries": self._queries}
        request |= {"StartTime": since.replace(second=0, microsecond=0), "EndTime": now + MINUTE}
        status = {query["Id"]: "absent" for query in self._queries}
        minutes: dict[str, dict[datetime, Counts]] = {"original": defaultdict(Counts), "new": defaultdict(Counts)}
        for _ in range(_MOST_PAGES):
            page = self._cloudwatch.get_metric_data(**request)
            for result in page["MetricDataResults"]:
                status[result["Id"]] = result["StatusCode"]
                count, who = result["Id"].split("_")
                for minute, value in zip(result["Timestamps"], result["Values"], strict=True):
                    minutes[who][minute] = replace(minutes[who][minute], **{count: round(value)})
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
        else:
            raise NotSeen("CloudWatch did not come to the end of its answer.")
        unseen = {name: told for name, told in status.items() if told != "Complete"}
        if unseen:
            raise (Forbidden if "Forbidden" in unseen.values() else NotSeen)(f"CloudWatch answered {unseen}.")
        return Look(**minutes)


def _query(metric: str, who: str, dimensions: dict[str, str]) -> dict[str, Any]:
    pairs = [{"Name": name, "Value": value} for name, value in dimensions.items()]
    wanted = {"Namespace": "AWS/Lambda", "MetricName": metric, "Dimensions": pairs}
    return {"Id": f"{metric.lower()}_{who}", "MetricStat": {"Metric": wanted, "Period": 60, "Stat": "Sum"}}
