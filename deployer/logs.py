"""The reader of a version's log: which of its calls failed, and with what kind of error.

Judges nothing. Of what functions and their users wrote it hands on nothing but the kinds of errors,
request ids, streams and times.
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_FilterLogEvents.html
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from deployer import aws
from deployer.clock import Clock
from deployer.decisions.failures import (
    BEGINNING,
    PATTERN,
    Failure,
    Line,
    failures,
    request_before,
)
from deployer.decisions.target import Target

#: It looks back no further, in seconds: that is how late a call's metrics may come.
FURTHEST = 900.0

#: How old a sandbox may be that writes, in seconds. AWS does not say; some hours are what is seen.
OLDEST_SANDBOX = 6 * 3600.0

#: Pages of an answer that are read, of each day's streams; and for so many seconds.
_MOST_PAGES = 3
_LONGEST = 5.0


class Reading(NamedTuple):
    """The failed calls that were found; `whole` says that nothing was left out."""

    failures: list[Failure]
    whole: bool


class Logs:
    """What one version of a function wrote. Times are seconds since 1970."""

    def __init__(self, client: Any, clock: Clock, target: Target, group: str) -> None:
        """`client` is boto3's, or a fake; an empty `group` is Lambda's own."""
        self._client = client
        self._clock = clock
        own = f"/aws/lambda/{target.function}"
        self.group = group or own
        # In a group of another name, which several functions may share, streams bear the name.
        self._name = "" if self.group == own else target.function

    def read(self, version: str, since: float) -> Reading:
        """The failed calls of that version since then, the oldest first, as far as there is time;
        none where its group is not there yet.

        Raises the API's own error.
        """
        now = self._clock.time()
        since = max(since, now - FURTHEST)
        until = self._until()
        # A stream is named by the day on which its sandbox has started.
        day = datetime.fromtimestamp(since - OLDEST_SANDBOX, UTC).date()
        lines: list[Line] = []
        whole = True
        while day <= datetime.fromtimestamp(now, UTC).date():
            prefix = f"{day:%Y/%m/%d}/{self._name}[{version}]"
            try:
                found, all_of_them = self._lines(prefix, since, until)
            except aws.CallFailed as error:
                if aws.code(error) == "ResourceNotFoundException":
                    return Reading([], whole=True)
                raise
            lines += found
            whole = whole and all_of_them
            day += timedelta(days=1)
        return Reading(failures(lines), whole)

    def request_of(self, failure: Failure, timeout: float) -> str:
        """The id of its request, where its lines do not tell it: of the last call that began in
        its stream before it, at most `timeout` seconds. Raises the API's own error."""
        if failure.request:
            return failure.request
        until = self._until()
        since = failure.time - timeout
        starts, _ = self._lines(failure.stream, since, until, BEGINNING)
        return request_before(starts, failure.time)

    def _until(self) -> float:
        """When to stop reading, at the latest: there must be time to tell the ending."""
        left = self._clock.left() - aws.LAST_WORDS - aws.TELL_SECONDS
        return self._clock.time() + min(_LONGEST, left)

    def _lines(
        self, prefix: str, since: float, until: float, pattern: str = PATTERN
    ) -> tuple[list[Line], bool]:
        """The lines of those streams, and whether these are all."""
        lines: list[Line] = []
        request: dict[str, Any] = {
            "logGroupName": self.group,
            "logStreamNamePrefix": prefix,
            "startTime": round(1000 * since),
            "filterPattern": pattern,
        }
        for _ in range(_MOST_PAGES):
            if self._clock.time() > until:
                break
            page = self._client.filter_log_events(**request)
            for event in page["events"]:
                time = event["timestamp"] / 1000
                lines.append(Line(time, event["logStreamName"], event["message"]))
            if not page.get("nextToken"):
                return lines, True
            request["nextToken"] = page["nextToken"]
        return lines, False
