"""CloudWatch Logs: what the function under deployment writes of its failed calls, some seconds
late. A story says what else is printed, and what becomes of a reading."""

import re
from bisect import bisect_left
from datetime import datetime
from functools import lru_cache
from typing import Any

from local.rules import Refused
from world.aws import OWN_GROUP, Aws, Failed
from world.faults import ANSWERS, client_error

#: What a handler's users have sent it. Nobody may ever read that anywhere else.
SECRET = "card 4111 1111 1111 1111"

_PHRASE = re.compile(r'\?"([^"]+)"')


class FakeLogs:
    """`FilterLogEvents`, as strict as AWS: the exact prefix, any of quoted phrases, small pages."""

    PAGE = 100

    #: Calls go to so many sandboxes by turns; each has a stream.
    SANDBOXES = 1

    def __init__(self, world: Aws) -> None:
        self._world = world
        #: When the sandboxes started, if that was not with the story.
        self.started: datetime | None = None

    def filter_log_events(self, **request: Any) -> Any:
        phrases = _PHRASE.findall(request["filterPattern"])
        assert _PHRASE.sub("", request["filterPattern"]).strip() == "", (
            "only phrases are known here"
        )
        assert len(request["filterPattern"]) <= 1024
        known = {"logGroupName", "logStreamNamePrefix", "startTime", "filterPattern", "nextToken"}
        assert request.keys() <= known

        def apply() -> Any:
            if request["logGroupName"] != self._world.log_group:
                raise Refused(
                    404, "ResourceNotFoundException", "The specified log group does not exist."
                )
            found = self._found(
                request["startTime"], request["logStreamNamePrefix"], tuple(phrases)
            )
            begin = int(request.get("nextToken", "0"))
            page: dict[str, Any] = {"events": found[begin : begin + self.PAGE]}
            if begin + self.PAGE < len(found):
                page["nextToken"] = str(begin + self.PAGE)
            return page

        answer = self._world.call("FilterLogEvents", apply)
        if self._world.log_fault:
            raise client_error("FilterLogEvents", *ANSWERS[self._world.log_fault])
        return answer

    def _found(self, since: int, prefix: str, phrases: tuple[str, ...]) -> list[dict[str, Any]]:
        """What can be found by now, of the time from `since` on, in milliseconds."""
        world = self._world
        starts = world.starts.timestamp()
        name = "" if world.log_group == OWN_GROUP else "checkout"
        day = f"{self.started or world.starts:%Y/%m/%d}/{name}"
        first = bisect_left(world.failed, since / 1000 - starts, key=lambda each: each.time)
        found = []
        for failed in world.failed[first:]:
            if failed.visible > world.time:
                continue
            sandbox = failed.number % self.SANDBOXES
            stream = f"{day}[{failed.version}]0123456789abcdef{sandbox:016x}"
            if stream.startswith(prefix):
                found += _events(failed, stream, starts, phrases)
        return [event for event in found if event["timestamp"] >= since]


@lru_cache(maxsize=50_000)  # a deployer reads the same ones again and again
def _events(
    failed: Failed, stream: str, starts: float, phrases: tuple[str, ...]
) -> list[dict[str, Any]]:
    """What a failed call has written, where it has any of the phrases."""
    request = f"8f3a1c2e-0000-4000-8000-{failed.number:012d}"
    texts = [
        f"START RequestId: {request} Version: {failed.version}\n",
        f"[ERROR] KeyError: '{SECRET}'\nTraceback (most recent call last):\n  {SECRET}",
        f"REPORT RequestId: {request}\tDuration: 1.00 ms\t",
    ]
    return [
        {
            "logStreamName": stream,
            "timestamp": round(1000 * (starts + failed.time)),
            "message": text,
            "eventId": f"{failed.number}-{number}",
        }
        for number, text in enumerate(texts)
        if any(phrase in text for phrase in phrases)
    ]
