"""The reader of CloudWatch: one `GetMetricData` a look. Judges nothing.

CloudWatch publishes minutes late and stamps an error with the start of its invocation, so a look
reaches back to the first shift and never trusts the last minute alone.
https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from deployer.aws import CallFailed, denied, words
from deployer.health import MINUTE, Counts, Look, Minutes

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient

#: A look follows `NextToken` this often; the few hundred data points of a look fit into one page.
_MOST_PAGES = 5


class NotSeen(Exception):
    """When a look could not be made: that says nothing about the new version, good or bad.

    `denied` tells whether a permission is missing, so that asking again is in vain.
    """

    def __init__(self, reason: str, denied: bool = False) -> None:
        super().__init__(reason)
        self.denied = denied


class Metrics:
    """Calls and errors of the alias's two versions."""

    def __init__(self, cloudwatch: "CloudWatchClient", function: str, alias: str, original: str, new: str) -> None:
        self._cloudwatch = cloudwatch
        self._queries = [
            _query(f"{metric.lower()}_{who}", metric, function, alias, version)
            for who, version in (("original", original), ("new", new))
            for metric in ("Invocations", "Errors")
        ]

    def look(self, since: datetime, now: datetime) -> Look:
        """Everything published from the minute of `since` on, the current minute included.

        Raises `NotSeen` when CloudWatch does not answer, or not completely.
        """
        values: dict[str, dict[datetime, float]] = defaultdict(dict)
        try:
            for result in self._results(since.replace(second=0, microsecond=0), now + MINUTE):
                values[result["Id"]].update(zip(result["Timestamps"], result["Values"], strict=True))
        except CallFailed as error:
            raise NotSeen(words(error), denied(error)) from error
        return Look(_minutes(values, "original"), _minutes(values, "new"))

    def _results(self, start: datetime, end: datetime) -> Iterable[Any]:
        request: dict[str, Any] = {"MetricDataQueries": self._queries, "StartTime": start, "EndTime": end}
        status: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            page = self._cloudwatch.get_metric_data(**request)
            for result in page["MetricDataResults"]:
                status[result["Id"]] = result["StatusCode"]
                yield result
            if not page.get("NextToken"):
                break
            request["NextToken"] = page["NextToken"]
        else:
            raise NotSeen("CloudWatch did not come to the end of its answer.")
        unseen = {query["Id"]: status.get(query["Id"], "absent") for query in self._queries}
        unseen = {name: told for name, told in unseen.items() if told != "Complete"}
        if unseen:
            raise NotSeen(f"CloudWatch answered {unseen}.", "Forbidden" in unseen.values())


def _query(name: str, metric: str, function: str, alias: str, version: str) -> dict[str, Any]:
    dimensions = {"FunctionName": function, "Resource": f"{function}:{alias}", "ExecutedVersion": version}
    return {
        "Id": name,
        "MetricStat": {
            "Metric": {
                "Namespace": "AWS/Lambda",
                "MetricName": metric,
                "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
            },
            "Period": 60,
            "Stat": "Sum",
        },
    }


def _minutes(values: dict[str, dict[datetime, float]], who: str) -> Minutes:
    invocations, errors = values[f"invocations_{who}"], values[f"errors_{who}"]
    return {
        minute: Counts(round(invocations.get(minute, 0)), round(errors.get(minute, 0)))
        for minute in sorted(invocations.keys() | errors.keys())
    }
