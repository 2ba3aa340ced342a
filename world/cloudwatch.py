"""CloudWatch: metrics as they are published, late, and alarms."""

from collections import defaultdict
from datetime import datetime
from typing import Any

from world.aws import MINUTE, Aws


def kind_of(alarm: str) -> str:
    """Which of `AlarmTypes` an alarm is of: here its name tells."""
    if alarm.startswith("composite"):
        return "CompositeAlarm"
    if alarm.startswith("logs"):
        return "LogAlarm"
    return "MetricAlarm"


#: What it counts of the users' calls, in the order of `Aws.counts`.
COUNTED = ("Invocations", "Errors")


class FakeCloudWatch:
    """`GetMetricData`, as strict as AWS: the exact dimensions, whole minutes, the end left out."""

    def __init__(self, world: Aws) -> None:
        self._world = world
        self.status = "Complete"

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        start = request["StartTime"].replace(second=0, microsecond=0)
        end = request["EndTime"].replace(second=0, microsecond=0)
        assert start < end

        def apply() -> dict[str, Any]:
            self._world.looked.append(self._world.time)
            queries = request["MetricDataQueries"]
            return {"MetricDataResults": [self._result(query, start, end) for query in queries]}

        return dict(self._world.call("GetMetricData", apply))

    def describe_alarms(self, **request: Any) -> dict[str, Any]:
        """As strict as AWS: unknown names and kinds not asked for are silently left out."""
        assert request["AlarmTypes"] == ["MetricAlarm", "CompositeAlarm"], (
            "else composite alarms are left out"
        )
        assert 0 < len(request["AlarmNames"]) <= 100

        def apply() -> dict[str, Any]:
            answer: dict[str, Any] = {}
            for name, state in self._world.alarms.items():
                kind = kind_of(name)
                if name in request["AlarmNames"] and kind in request["AlarmTypes"]:
                    told = {"AlarmName": name, "StateValue": state}
                    answer.setdefault(f"{kind}s", []).append(told)
            return answer

        return dict(self._world.call("DescribeAlarms", apply))

    def _result(self, query: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
        stat = query["MetricStat"]
        if stat["Metric"]["Namespace"] == "AWS/Lambda" and stat["Metric"]["MetricName"] in COUNTED:
            points = self._counted(stat, start, end)
        else:
            points = self._other(stat, start, end)
        return {
            "Id": query["Id"],
            "StatusCode": self.status,
            "Timestamps": [*points],
            "Values": [*points.values()],
        }

    def _counted(
        self, stat: dict[str, Any], start: datetime, end: datetime
    ) -> dict[datetime, float]:
        """Of the users' calls."""
        name = stat["Metric"]["MetricName"]
        dimensions = {each["Name"]: each["Value"] for each in stat["Metric"]["Dimensions"]}
        version = dimensions.pop("ExecutedVersion", None)  # without it: all of the alias's calls
        assert (stat["Period"], stat["Stat"]) == (60, "Sum")
        assert dimensions == {"FunctionName": "checkout", "Resource": "checkout:live"}
        points: dict[datetime, float] = defaultdict(float)
        for (executed, minute), counts in self._world.counts.items():
            asked = version in (None, executed) and start <= minute < end
            if asked and self._world.published(minute, name, executed):
                points[minute] += counts[COUNTED.index(name)]
        if version is None and self._world.rate_before:
            minute = start
            while minute + MINUTE <= min(end, self._world.starts):
                points[minute] += self._world.rate_before * MINUTE.total_seconds()
                minute += MINUTE
        return {minute: points[minute] for minute in sorted(points, reverse=True)}

    def _other(self, stat: dict[str, Any], start: datetime, end: datetime) -> dict[datetime, float]:
        name = f"{stat['Metric']['MetricName']} {stat['Stat']}"
        return {
            minute: value
            for minute, value in self._world.values.get(name, {}).items()
            if start <= minute < end and self._world.published(minute)
        }
