"""CloudWatch's metrics: what functions did, published late as on AWS, and `GetMetricData` as strict
as AWS.

It must never publish a minute before its time: a deployer that only works with fresh metrics must
fail here, too.
"""

import re
import threading
from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import (
    CloudWatchBackend,
    MetricAggregatedDatum,
    MetricDatum,
    MetricDatumBase,
    cloudwatch_backends,
)

from local.patches import replaces
from local.sandbox import ACCOUNT, REGION

_MINUTE = timedelta(minutes=1)

#: What is known here of a version in a minute: function, qualifier, version, minute.
Key = tuple[str, str, str, datetime]


class Distribution(MetricDatumBase):  # type: ignore[misc]
    """All values of a metric in one minute; one object, for a minute may have thousands."""

    def __init__(
        self, name: str, values: list[float], dimensions: list[Any], minute: datetime, unit: str
    ) -> None:
        super().__init__("AWS/Lambda", name, dimensions, minute, unit)
        self.values = values


class Minutes:
    """Counts invocations by the minute in which they began; publishes a minute `delay` seconds
    after its end."""

    def __init__(self, delay: float, stopped: threading.Event) -> None:
        self._delay = delay
        self._stopped = stopped
        self._durations: dict[Key, list[float]] = defaultdict(list)
        self._errors: dict[Key, int] = defaultdict(int)
        self._lock = threading.Lock()
        threading.Thread(target=self._publish, daemon=True).start()

    def count(
        self,
        name: str,
        qualifier: str,
        version: str,
        began: datetime,
        failed: bool,
        duration: float,
    ) -> None:
        """An invocation that has ended; `duration` in milliseconds."""
        key = (name, qualifier, version, began.replace(second=0, microsecond=0))
        with self._lock:
            self._durations[key].append(duration)
            self._errors[key] += failed

    def _publish(self) -> None:
        while not self._stopped.wait(0.5):
            latest = datetime.now(UTC) - _MINUTE - timedelta(seconds=self._delay)
            cloudwatch_backends[ACCOUNT][REGION].metric_data.extend(self._taken(latest))

    def _taken(self, latest: datetime) -> list[Distribution]:
        """What is known of minutes that began by then; it is forgotten here."""
        taken = []
        with self._lock:
            for key in [key for key in self._durations if key[3] <= latest]:
                taken += _data(key, self._durations.pop(key), self._errors.pop(key))
        return taken


def _data(key: Key, durations: list[float], errors: int) -> list[Distribution]:
    """A minute under each set of dimensions that AWS publishes."""
    name, qualifier, version, minute = key
    dimensions = [{"Name": "FunctionName", "Value": name}]
    sets = [dimensions]
    if qualifier != "$LATEST":
        dimensions = [*dimensions, {"Name": "Resource", "Value": f"{name}:{qualifier}"}]
        sets.append(dimensions)
    if qualifier not in ("$LATEST", version):
        sets.append([*dimensions, {"Name": "ExecutedVersion", "Value": version}])
    count = len(durations)
    of_metric = {
        "Invocations": ([1.0] * count, "Count"),
        "Errors": ([1.0] * errors + [0.0] * (count - errors), "Count"),
        "Duration": (durations, "Milliseconds"),
    }
    data = []
    for dimensions in sets:
        for metric, (values, unit) in of_metric.items():
            data.append(Distribution(metric, values, dimensions, minute, unit))
    return data


@replaces(CloudWatchBackend, "get_metric_data")
def _get_metric_data(
    self: Any,
    queries: list[Any],
    start_time: datetime,
    end_time: datetime,
    scan_by: str = "TimestampDescending",
) -> list[dict[str, Any]]:
    """AWS: namespace, dimensions and unit must match exactly; periods begin at whole periods.
    moto: passes over the namespace where there are dimensions, takes every metric where there are
    none, and lets periods begin at the start time.
    Upstream: an exact comparison, the start rounded down, and percentiles.
    """
    if _utc(start_time) >= _utc(end_time):
        raise ValidationError("The parameter StartTime must be less than the parameter EndTime.")
    stored: dict[Any, list[Any]] = defaultdict(list)
    for datum in self.get_all_metrics():
        dimensions = ((each.name, each.value) for each in datum.dimensions)
        stored[_identity(datum.namespace, datum.name, dimensions)].append(datum)
    results = []
    for query in queries:
        if "MetricStat" not in query:
            raise ValidationError("Only MetricStat queries are known here.")
        metric = query["MetricStat"]["Metric"]
        wanted = ((each["Name"], each["Value"]) for each in metric.get("Dimensions", []))
        data = stored[_identity(metric["Namespace"], metric["MetricName"], wanted)]
        values = _by_period(query["MetricStat"], data, start_time, end_time)
        times = sorted(values, reverse=scan_by != "TimestampAscending")
        result = {
            "id": query["Id"],
            "label": query.get("Label") or metric["MetricName"],
            "values": [values[time] for time in times],
            "timestamps": times,
            "status_code": "Complete",
        }
        results.append(result)
    return results


def _by_period(
    stat: dict[str, Any], data: list[Any], start: datetime, end: datetime
) -> dict[datetime, float]:
    """The statistic by the beginning of its period; the period that holds the end is left out."""
    seconds = int(stat["Period"])
    if seconds not in (1, 5, 10, 20, 30) and (seconds < 60 or seconds % 60):
        told = f"The value {seconds} for parameter Period is not valid: 60 or a multiple of 60."
        raise ValidationError(told)
    period = timedelta(seconds=seconds)
    buckets: dict[datetime, list[Any]] = defaultdict(list)
    for datum in data:
        if stat.get("Unit") in (None, datum.unit):
            buckets[_floor(datum.timestamp, period)].append(datum)
    found = {}
    for time, in_period in buckets.items():
        value = statistic(stat["Stat"], in_period)
        if value is not None and _floor(start, period) <= time < _utc(end):
            found[time] = value
    return found


def statistic(name: str, data: Sequence[Any]) -> float | None:
    """One statistic of a period's data; None when CloudWatch cannot tell it from them."""
    sets = [datum for datum in data if isinstance(datum, MetricAggregatedDatum)]
    values = [*chain.from_iterable(_values(datum) for datum in data)]
    count = len(values) + sum(each.sample_count for each in sets)
    total = sum(values) + sum(each.sum for each in sets)
    percentile = re.fullmatch(r"p(\d{1,2}(?:\.\d{1,10})?|100)", name)
    if percentile and sets:
        return None
    if percentile:
        return _percentile(sorted(values), float(percentile[1]) / 100)
    simple = {
        "Sum": lambda: total,
        "SampleCount": lambda: count,
        "Average": lambda: total / count,
        "Minimum": lambda: min([*values, *(each.min for each in sets)]),
        "Maximum": lambda: max([*values, *(each.max for each in sets)]),
    }
    if name not in simple:
        told = f"The value {name} for parameter Stat is not supported here"
        raise ValidationError(f"{told}: {', '.join(simple)} or pNN.")
    return float(simple[name]())


def _values(datum: Any) -> list[float]:
    if isinstance(datum, Distribution):
        return datum.values
    if isinstance(datum, MetricDatum):
        return [datum.value]
    return []


def _percentile(values: list[float], share: float) -> float:
    """Between the two neighbours, in proportion; AWS estimates it, within about 1 %."""
    place = share * (len(values) - 1)
    below = int(place)
    above = min(below + 1, len(values) - 1)
    return values[below] + (values[above] - values[below]) * (place - below)


def _identity(namespace: str, name: str, dimensions: Any) -> Any:
    return namespace, name, tuple(sorted(dimensions))


def _floor(time: datetime, period: timedelta) -> datetime:
    midnight = _utc(time).replace(hour=0, minute=0, second=0, microsecond=0)
    return midnight + (_utc(time) - midnight) // period * period


def _utc(time: datetime) -> datetime:
    """moto keeps some times without a time zone; they are meant in UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
