"""CloudWatch Logs: what the function under deployment writes of its failed calls, some seconds
late. A story says what else is printed, and what becomes of a reading."""

import re
from bisect import bisect_left
from collections.abc import Iterator
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
                for event in self._events(request["startTime"])
                if event["logStreamName"].startswith(request["logStreamNamePrefix"])
                and event["timestamp"] >= request["startTime"]
                and any(phrase in event["message"] for phrase in phrases)
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

    def _events(self, since: int) -> Iterator[dict[str, Any]]:
        """Those that can be found by now, of the time from `since` on, in milliseconds."""
        world = self._world
        name = "" if world.log_group == OWN_GROUP else "checkout"
        first = since / 1000 - world.starts.timestamp()
        written = world.failed[bisect_left(world.failed, first, key=lambda each: each.time) :]
        for failed in written:
            if failed.visible > world.time:
                continue
            stream = (
                f"{world.starts:%Y/%m/%d}/{name}[{failed.version}]0123456789abcdef0123456789abcdef"
            )
            for number, text in enumerate(_texts(failed)):
                moment = world.starts.timestamp() + failed.time
                yield {
                    "logStreamName": stream,
                    "timestamp": round(1000 * moment),
                    "message": text,
                    "eventId": f"{failed.number}-{number}",
                }


def _texts(failed: Failed) -> list[str]:
    request = f"8f3a1c2e-0000-4000-8000-{failed.number:012d}"
    return [
        f"START RequestId: {request} Version: {failed.version}\n",
        f"[ERROR] KeyError: '{SECRET}'\nTraceback (most recent call last):\n  {SECRET}",
        f"REPORT RequestId: {request}\tDuration: 1.00 ms\t",
    ]
