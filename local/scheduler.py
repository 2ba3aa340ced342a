"""EventBridge Scheduler: one-time schedules fire, late as on AWS, and send as the role they name.

It must never send what that role may not send, nor fire what has been moved on or deleted, nor let
a function do what its own role may not do.
https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

import json
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from moto.core.exceptions import JsonRESTError
from moto.scheduler.exceptions import ScheduleGroupNotFound, ValidationException
from moto.scheduler.models import EventBridgeSchedulerBackend, Schedule, scheduler_backends
from moto.scheduler.responses import EventBridgeSchedulerResponse

from local import delivery, roles
from local.patches import replaces
from local.sandbox import ACCOUNT, REGION

SERVICE = "scheduler.amazonaws.com"

#: A schedule fires within so many seconds after its minute has begun.
LATEST = 59.0

_ONCE = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")
_NAME = re.compile(r"[0-9a-zA-Z-_.]{1,64}")
_ROLE = "The execution role you provide must allow AWS EventBridge Scheduler to assume the role."

_lock = threading.Lock()
_moto_get = EventBridgeSchedulerResponse.get_schedule
_moto_delete = EventBridgeSchedulerResponse.delete_schedule
_moto_create_group = EventBridgeSchedulerBackend.create_schedule_group
_moto_delete_group = EventBridgeSchedulerBackend.delete_schedule_group


class _Conflict(JsonRESTError):  # type: ignore[misc]
    code = 409

    def __init__(self, message: str) -> None:
        super().__init__("ConflictException", message)


class _Denied(JsonRESTError):  # type: ignore[misc]
    code = 403

    def __init__(self, caller: str, action: str, resource: str) -> None:
        told = f"User: {caller} is not authorized to perform: {action} on resource: {resource}"
        super().__init__("AccessDeniedException", told)


@replaces(EventBridgeSchedulerBackend, "create_schedule_group")
def _create_group(self: Any, name: str, tags: Any) -> Any:
    """AWS: refuses a name that is taken, and one with other signs than it knows.
    moto: puts a new and empty group in the old one's place.
    Upstream: both refusals.
    """
    if not _NAME.fullmatch(name or ""):
        raise ValidationException(f"Invalid schedule group name {name}.")
    if name in self.schedule_groups:
        raise _Conflict(f"Schedule group {name} already exists.")
    return _moto_create_group(self, name, tags or [])


@replaces(EventBridgeSchedulerBackend, "delete_schedule_group")
def _delete_group(self: Any, name: str | None) -> None:
    """AWS: a group that is not there is not found; the default one cannot be deleted.
    moto: fails by a KeyError, and deletes the default one.
    Upstream: both refusals.
    """
    if name not in self.schedule_groups:
        raise ScheduleGroupNotFound(name)
    if name == "default":
        raise ValidationException("The default schedule group cannot be deleted.")
    _moto_delete_group(self, name)


@replaces(EventBridgeSchedulerResponse, "create_schedule")
def _create_schedule(self: Any) -> str:
    """AWS: checks the caller, the role that it passes, the expression and the group; a second
    request with the same `ClientToken` is the first one.
    moto: checks whether the name is taken, and passes over the token.
    Upstream: what `_read` refuses, and the token; roles are moto's own check of policies.
    """
    request = json.loads(self.body)
    name = _name(self)
    _check_writer(self, "scheduler:CreateSchedule", request)
    with _lock:
        group = self.scheduler_backend.get_schedule_group(request.get("GroupName"))
        before = group.schedules.get(name)
        if before is not None and before.token == request.get("ClientToken"):
            # The same request once more: its answer was lost.
            return json.dumps({"ScheduleArn": before.arn})
        if before is not None:
            raise _Conflict(f"Schedule {name} already exists.")
        schedule = _read(group, name, request)
        group.add_schedule(schedule)
    return json.dumps({"ScheduleArn": schedule.arn})


@replaces(EventBridgeSchedulerResponse, "update_schedule")
def _update_schedule(self: Any) -> str:
    """AWS: resets what the request leaves out; it is checked like a new one.
    moto: keeps `ActionAfterCompletion`, whatever the request says, and checks nothing.
    Upstream: a new schedule in the old one's place.
    """
    request = json.loads(self.body)
    name = _name(self)
    _check_writer(self, "scheduler:UpdateSchedule", request)
    with _lock:
        group = self.scheduler_backend.get_schedule_group(request.get("GroupName"))
        before = group.get_schedule(name)
        schedule = _read(group, name, request)
        schedule.creation_date = before.creation_date
        group.add_schedule(schedule)
    return json.dumps({"ScheduleArn": schedule.arn})


@replaces(EventBridgeSchedulerResponse, "get_schedule")
def _get_schedule(self: Any) -> Any:
    """AWS: asks what the caller may.
    moto: answers everybody.
    Upstream: nothing but moto's own check of policies.
    """
    _check_caller(self, "scheduler:GetSchedule", self._get_param("groupName"))
    return _moto_get(self)


@replaces(EventBridgeSchedulerResponse, "delete_schedule")
def _delete_schedule(self: Any) -> Any:
    """AWS: asks what the caller may.
    moto: obeys everybody; and here no schedule may go while it fires.
    Upstream: nothing but moto's own check of policies.
    """
    _check_caller(self, "scheduler:DeleteSchedule", self._get_param("groupName"))
    with _lock:
        return _moto_delete(self)


def _name(response: Any) -> str:
    return unquote(response.uri.split("?")[0].rpartition("/")[2])


def _check_writer(response: Any, action: str, request: dict[str, Any]) -> None:
    """Whoever gives Scheduler a role must be allowed to."""
    caller = _check_caller(response, action, request.get("GroupName"))
    role = request["Target"]["RoleArn"]
    if not roles.may_pass(caller, role, SERVICE):
        raise _Denied(caller, "iam:PassRole", role)


def _check_caller(response: Any, action: str, group: str | None) -> str:
    """Who asks, and may."""
    caller = roles.caller(response.headers)
    schedule = f"schedule/{group or 'default'}/{_name(response)}"
    arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT}:{schedule}"
    if not roles.may(caller, action, arn):
        raise _Denied(caller, action, arn)
    return caller


def _read(group: Any, name: str, request: dict[str, Any]) -> Any:
    """The schedule that a request describes; raises `ValidationException` as AWS."""
    if not _NAME.fullmatch(name):
        raise ValidationException(f"Invalid schedule name {name}.")
    expression = request["ScheduleExpression"]
    zone = request.get("ScheduleExpressionTimezone") or "UTC"
    after = request.get("ActionAfterCompletion") or "NONE"
    state = request.get("State") or "ENABLED"
    _check_time(expression, zone)
    if after not in ("NONE", "DELETE") or state not in ("ENABLED", "DISABLED"):
        raise ValidationException(f"Invalid ActionAfterCompletion {after}, or State {state}.")
    if request["FlexibleTimeWindow"] != {"Mode": "OFF"}:
        raise ValidationException("Flexible time windows are not known here.")
    _check_target(request["Target"], group.arn)
    schedule = Schedule(
        region=REGION,
        account_id=ACCOUNT,
        group_name=group.name,
        name=name,
        description=request.get("Description"),
        schedule_expression=expression,
        schedule_expression_timezone=zone,
        flexible_time_window=request["FlexibleTimeWindow"],
        target=request["Target"],
        state=state,
        kms_key_arn=request.get("KmsKeyArn"),
        start_date=request.get("StartDate"),
        end_date=request.get("EndDate"),
        action_after_completion=after,
    )
    schedule.token = request.get("ClientToken")
    schedule.fired = False
    return schedule


def _check_time(expression: str, zone: str) -> None:
    if expression.startswith(("rate(", "cron(")):
        raise ValidationException("Schedules other than at(…) are not known here.")
    try:
        minute(expression, zone)
    except ValueError as error:
        raise ValidationException(f"Invalid Schedule Expression {expression}.") from error
    except ZoneInfoNotFoundError as error:
        raise ValidationException(f"Invalid Schedule Expression Timezone {zone}.") from error


def _check_target(target: dict[str, Any], group_arn: str) -> None:
    queues = [target["Arn"], *target.get("DeadLetterConfig", {}).values()]
    if not all(arn.startswith("arn:aws:sqs:") for arn in queues):
        raise ValidationException("Targets other than queues are not known here.")
    if not roles.trusts(target["RoleArn"], SERVICE, group_arn):
        raise ValidationException(_ROLE)


def minute(expression: str, zone: str = "UTC") -> float:
    """When a one-time schedule's minute begins.

    Raises `ValueError` or `ZoneInfoNotFoundError` for what AWS does not take.
    """
    once = _ONCE.fullmatch(expression)
    if once is None:
        raise ValueError(expression)
    at = datetime.strptime(once[1], "%Y-%m-%dT%H:%M:%S").replace(tzinfo=ZoneInfo(zone))
    return at.astimezone(UTC).replace(second=0).timestamp()


def fires_at(schedule: Any, latest: float) -> float | None:
    """When it fires, up to `latest` seconds late, each at a second of its own; None for never."""
    begins = minute(schedule.schedule_expression, schedule.schedule_expression_timezone)
    if schedule.fired or schedule.state == "DISABLED":
        return None
    if begins < schedule.last_modified_date:
        return None  # it was past already
    return begins + random.Random(schedule.arn).uniform(0, latest)


def due(schedules: Iterable[Any], now: float, latest: float) -> Iterator[Any]:
    """Those that fire now."""
    for schedule in schedules:
        at = fires_at(schedule, latest)
        if at is not None and at <= now:
            yield schedule


def fire(schedule: Any) -> None:
    """Once: to its queue, or to its dead-letter queue. Then it is deleted, if it is as it was."""
    group = scheduler_backends[ACCOUNT][REGION].schedule_groups.get(schedule.group_name)
    with _lock:
        if group is None or group.schedules.get(schedule.name) is not schedule or schedule.fired:
            return
        schedule.fired = True
    _deliver(schedule, group.arn)
    with _lock:
        there = group.schedules.get(schedule.name) is schedule  # and was not moved on meanwhile
        if there and schedule.action_after_completion == "DELETE":
            group.delete_schedule(schedule.name)


def fire_named(group: str, name: str) -> None:
    """That schedule, now; raises when there is none."""
    fire(scheduler_backends[ACCOUNT][REGION].get_schedule(group, name))


def _deliver(schedule: Any, group_arn: str) -> None:
    """Both ways in the name of the role: without it there is none."""
    target = schedule.target
    role = target["RoleArn"]
    message = target.get("Input") or "{}"
    dead_letters = target.get("DeadLetterConfig", {}).get("Arn")
    try:
        if not roles.trusts(role, SERVICE, group_arn):
            raise delivery.NotAllowed(_ROLE)
        try:
            delivery.send_as(role, target["Arn"], message)
        except Exception as error:
            if not dead_letters:
                raise
            delivery.send_as(role, dead_letters, message, _why(schedule, error))
    except Exception as error:
        delivery.complain(f"{schedule.arn} was not delivered: {error!r}")


def _why(schedule: Any, error: Exception) -> dict[str, Any]:
    """A dead letter's attributes."""
    told = {
        "ERROR_CODE": type(error).__name__,
        "ERROR_MESSAGE": str(error),
        "SCHEDULE_ARN": schedule.arn,
        "TARGET_ARN": schedule.target["Arn"],
    }
    return {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}


class Timers:
    """Fires what is due; `clock` tells the seconds since 1970."""

    def __init__(self, latest: float = LATEST, clock: Callable[[], float] = time.time) -> None:
        self._latest = latest
        self._clock = clock

    def keep(self, stopped: threading.Event) -> None:
        """Until it is stopped."""
        while not stopped.wait(0.2):
            self.look()

    def look(self) -> None:
        """Once."""
        now = self._clock()
        for group in list(scheduler_backends[ACCOUNT][REGION].schedule_groups.values()):
            for schedule in due(list(group.schedules.values()), now, self._latest):
                fire(schedule)
