"""CloudWatch Logs: what the function under deployment writes of its failed calls, some seconds
late. A story says what else is printed, and what becomes of a reading."""

import re
from bisect import bisect_left
from collections.abc import Iterator
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

    def __init__(self, world: Aws) -> None:
        self._world = world

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
            found = [
                event
                for event in self._events(
                    request["startTime"], request["logStreamNamePrefix"], tuple(phrases)
                )
                if event["timestamp"] >= request["startTime"]
            ]
            begin = int(request.get("nextToken", "0"))
            page: dict[str, Any] = {"events": found[begin : begin + self.PAGE]}
            if begin + self.PAGE < len(found):
                page["nextToken"] = str(begin + self.PAGE)
            return page

        answer = self._world.call("FilterLogEvents", apply)
        if self._world.log_fault:
            raise client_error("FilterLogEvents", *ANSWERS[self._world.log_fault])
        return answer

    def _events(
        self, since: int, prefix: str, phrases: tuple[str, ...]
    ) -> Iterator[dict[str, Any]]:
        """Those that can be found by now, of the time from `since` on, in milliseconds."""
        world = self._world
        streams = {version: self._stream(version) for version in world.states}
        asked = {
            version: stream for version, stream in streams.items() if stream.startswith(prefix)
        }
        first = since / 1000 - world.starts.timestamp()
        written = world.failed[bisect_left(world.failed, first, key=lambda each: each.time) :]
        for failed in written:
            if failed.version not in asked or failed.visible > world.time:
                continue
            moment = world.starts.timestamp() + failed.time
            for number, text in _texts(failed, phrases):
                yield {
                    "logStreamName": asked[failed.version],
                    "timestamp": round(1000 * moment),
                    "message": text,
                    "eventId": f"{failed.number}-{number}",
                }

    def _stream(self, version: str) -> str:
        name = "" if self._world.log_group == OWN_GROUP else "checkout"
        day = f"{self._world.starts:%Y/%m/%d}"
        return f"{day}/{name}[{version}]0123456789abcdef0123456789abcdef"


@lru_cache(maxsize=50_000)  # a deployer reads the same ones again and again
def _texts(failed: Failed, phrases: tuple[str, ...]) -> list[tuple[int, str]]:
    """What a failed call has written, numbered; the lines with any of the phrases."""
    request = f"8f3a1c2e-0000-4000-8000-{failed.number:012d}"
    texts = [
        f"START RequestId: {request} Version: {failed.version}\n",
        f"[ERROR] KeyError: '{SECRET}'\nTraceback (most recent call last):\n  {SECRET}",
        f"REPORT RequestId: {request}\tDuration: 1.00 ms\t",
    ]
    return [
        (number, text)
        for number, text in enumerate(texts)
        if any(phrase in text for phrase in phrases)
    ]
