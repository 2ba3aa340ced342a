"""What carries messages: EventBridge Scheduler, the watchdog's queue, and the event bus."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from local.rules import Refused
from world.aws import SETTINGS, Aws, Schedule
from world.faults import client_error

LEASES = "arn:aws:scheduler:eu-west-1:123456789012:schedule/leases"


class FakeScheduler:
    """EventBridge Scheduler, as strict as AWS: an update resets what it leaves out, so all of it
    must be sent."""

    def __init__(self, world: Aws) -> None:
        self._world = world

    def create_schedule(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            name, schedule = self._read(request)
            if name in self._world.schedules:
                raise Refused(409, "ConflictException", f"Schedule {name} already exists.")
            self._world.schedules[name] = schedule
            self._world.leases.append(schedule.message)
            return {"ScheduleArn": f"{LEASES}/{name}"}

        return dict(self._world.call("CreateSchedule", apply))

    def update_schedule(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            name, schedule = self._read(request)
            self._must_be_there(name)
            self._world.schedules[name] = schedule
            return {"ScheduleArn": f"{LEASES}/{name}"}

        return dict(self._world.call("UpdateSchedule", apply))

    def delete_schedule(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            assert request.keys() == {"Name", "GroupName"} and request["GroupName"] == "leases"
            self._must_be_there(request["Name"])
            del self._world.schedules[request["Name"]]
            return {}

        return dict(self._world.call("DeleteSchedule", apply))

    def get_schedule(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            assert request.keys() == {"Name", "GroupName"} and request["GroupName"] == "leases"
            self._must_be_there(request["Name"])
            due = self._world.schedules[request["Name"]].due
            at = self._world.starts + timedelta(seconds=due)
            return {"Name": request["Name"], "ScheduleExpression": f"at({at:%Y-%m-%dT%H:%M:%S})"}

        return dict(self._world.call("GetSchedule", apply))

    def _must_be_there(self, name: str) -> None:
        if name not in self._world.schedules:
            raise Refused(404, "ResourceNotFoundException", f"Schedule {name} does not exist.")

    def _read(self, request: dict[str, Any]) -> tuple[str, Schedule]:
        target = request["Target"]
        assert request["GroupName"] == "leases" and request["ActionAfterCompletion"] == "DELETE"
        assert request["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert request["ScheduleExpressionTimezone"] == "UTC"
        assert target["Arn"] == SETTINGS.lease_queue
        assert target["RoleArn"] == SETTINGS.lease_role
        assert target["DeadLetterConfig"] == {"Arn": SETTINGS.lease_dead_letters}
        at = datetime.strptime(request["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)")
        due = (at.replace(tzinfo=UTC) - self._world.starts).total_seconds()
        assert at.second == 0, "Scheduler's grain is a minute"
        assert due > self._world.time, "a time in the past never comes"
        return request["Name"], Schedule(due, target["Input"])


class FakeQueue:
    """The watchdog's queue: what is sent is kept with the time at which it is due."""

    def __init__(self, world: Aws) -> None:
        self._world = world

    def send_message(self, **request: Any) -> dict[str, Any]:
        assert request["QueueUrl"] == SETTINGS.watchdog_queue
        assert 0 <= request["DelaySeconds"] <= 900

        def apply() -> dict[str, Any]:
            due = self._world.time + request["DelaySeconds"]
            self._world.messages.append((due, request["MessageBody"]))
            return {"MessageId": "1"}

        return dict(self._world.call("SendMessage", apply))


class FakeBus:
    """EventBridge's default bus. It is told quickly and costs no call's number: telling must never
    change a rollout."""

    def __init__(self, world: Aws) -> None:
        self._world = world

    def put_events(self, **request: Any) -> dict[str, Any]:
        self._world.alive()
        (entry,) = request["Entries"]
        assert entry["Source"] == "aws-lambda-deploy"
        assert entry["DetailType"] == "Rollout State Change"
        match self._world.bus:
            case "down":
                raise ConnectTimeoutError(endpoint_url="https://events.test")
            case "slow":
                self._world.advance(3)
                raise ReadTimeoutError(endpoint_url="https://events.test")
            case "refuses":
                raise client_error(
                    "PutEvents", 400, "AccessDeniedException", "not authorized: events:PutEvents"
                )
            case "fails":
                answer = {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal failure"}
                return {"FailedEntryCount": 1, "Entries": [answer]}
            case "fails wordlessly":
                return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        self._world.told.append(json.loads(entry["Detail"]))
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}
