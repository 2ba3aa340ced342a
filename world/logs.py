"""CloudWatch Logs: what the function under deployment writes of its failed calls, some seconds late."""

import re
from typing import Any

from local.rules import Refused
from world.aws import OWN_GROUP, Aws

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

        def apply() -> Any:
            if request["logGroupName"] != self._world.log_group:
                raise Refused(
                    404, "ResourceNotFoundException", "The specified log group does not exist."
                )
            found = [
                event
                for event in self._events()
                if event["logStreamName"].startswith(request["logStreamNamePrefix"])
                and event["timestamp"] >= request["startTime"]
                and any(phrase in event["message"] for phrase in phrases)
            ]
            begin = int(request.get("nextToken", "0"))
            page: dict[str, Any] = {"events": found[begin : begin + self.PAGE]}
            if begin + self.PAGE < len(found):
                page["nextToken"] = str(begin + self.PAGE)
            return page

        return self._world.call("FilterLogEvents", apply)

    def _events(self) -> list[dict[str, Any]]:
        world = self._world
        name = "" if world.log_group == OWN_GROUP else "checkout"
        stream = f"{world.starts:%Y/%m/%d}/{name}[{{}}]0123456789abcdef0123456789abcdef"
        events = []
        for number, (time, version) in enumerate(world.failed):
            if time + world.log_delay > world.time:
                continue
            request = f"8f3a1c2e-0000-4000-8000-{number:012d}"
            for text in (
                f"START RequestId: {request} Version: {version}\n",
                f"[ERROR] KeyError: '{SECRET}'\nTraceback (most recent call last):\n  {SECRET}",
                f"REPORT RequestId: {request}\tDuration: 1.00 ms\t",
            ):
                moment = world.starts.timestamp() + time
                events.append(
                    {
                        "logStreamName": stream.format(version),
                        "timestamp": round(1000 * moment),
                        "message": text,
                        "eventId": f"{number}{text[:5]}",
                    }
                )
        return events
