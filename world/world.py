"""A world in virtual time: a Lambda service, CloudWatch, users, operators, and faults. `sleep`
moves its time.

The alias keeps AWS's rules (`local/rules.py`); CloudWatch publishes whole minutes, late. A second's
calls are drawn from a seeded generator, split by the alias's weights of that second.
"""

import io
import json
import os
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from deployer import simple, workflow
from deployer.aws import Means, Settings
from deployer.clock import Clock
from local.rules import Refused, StoredAlias
from tests.asl import Execution, interpret

HERE = "arn:aws:lambda:eu-west-1:123456789012:function:SimpleDeployFunction"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:checkout"
MINUTE = timedelta(minutes=1)
WORDS = "Checkout service, see the wiki"
SETTINGS = Settings(
    lease_group="leases",
    lease_queue="arn:aws:sqs:eu-west-1:123456789012:leases",
    lease_role="arn:aws:iam::123456789012:role/lease",
    lease_dead_letters="arn:aws:sqs:eu-west-1:123456789012:dead",
    watchdog_queue="https://sqs.test/watchdog",
)
#: What a deployer's lease takes. These calls have no number, so that a story's other calls keep
#: theirs.
OF_THE_LEASE = ("CreateSchedule", "UpdateSchedule", "DeleteSchedule", "GetSchedule", "SendMessage")


class Killed(BaseException):
    """Raised in a sandbox that is killed, and again at whatever its deployer still tries: nothing
    has any effect."""


class WorldClock(Clock):
    """The clock that a deployer in this world is given."""

    def __init__(self, world: "World", budget: float) -> None:
        self._end = world.time + budget
        super().__init__(lambda: round((self._end - world.time) * 1000))
        self._world = world

    def time(self) -> float:
        return self._world.starts.timestamp() + self._world.time

    def sleep(self, seconds: float) -> None:
        self._world.advance(max(0.0, seconds))

    def pause(self, attempt: int) -> None:
        self.sleep(min(0.5 * 2**attempt, 4.0))


class World:
    """Times are seconds since the start. `rate` is calls a second.

    A minute is published `delay` after its end, and a version's metric as much later as `delays`
    says.
    """

    def __init__(
        self,
        *,
        rate: float = 10.0,
        errors: dict[str, float] | None = None,
        delay: float = 60.0,
        budget: float = 900.0,
        latency: float = 0.05,
        starts: datetime = datetime(2026, 1, 5, 12, 0, 7, tzinfo=UTC),
        seed: int = 1,
    ) -> None:
        self.time = 0.0
        self.starts, self.rate, self.delay, self.budget, self.latency = (
            starts,
            rate,
            delay,
            budget,
            latency,
        )
        self.errors = {"7": 0.0, "8": 0.0, **(errors or {})}
        self.alias = StoredAlias(f"{FUNCTION}:live", "live", "7", WORDS)
        self.states = {version: ["Active"] for version in ("6", "7", "8", "9")}
        self.roles = dict.fromkeys(self.states, "role")
        self.moves: list[
            tuple[float, str, dict[str, float]]
        ] = []  # when the alias went to which version and routing
        self.calls: list[str] = []  # every API call, in order
        self.looked: list[float] = []  # when CloudWatch was asked
        self.faults: dict[
            int | str, str
        ] = {}  # by the number of the call, from 0; by name, of the lease's
        self.down: tuple[str, float, float] = (
            "",
            0.0,
            0.0,
        )  # a fault for every call between two times
        self.values: dict[
            str, dict[datetime, float]
        ] = {}  # of other metrics, by "name stat", minute by minute
        self.alarms: dict[str, str] = {}  # the states of CloudWatch alarms
        self.delays: dict[tuple[str, str], float] = {}  # such as ("Errors", "7")
        self.smoke: Callable[[bytes], bytes | Exception] = lambda payload: (
            b"null"
        )  # what version 8 answers
        self.messages: list[tuple[float, str]] = []  # to the watchdog: when it is due, and what
        self.schedules: dict[
            str, Schedule
        ] = {}  # the leases that have neither fired nor been deleted
        self.leases: list[str] = []  # the message of every lease that was taken
        self.lateness = 30.0  # for how long after it is due a lease fires; at most 59 s
        self.provisioned = False  # whether the alias has provisioned concurrency
        self.told: list[dict[str, Any]] = []  # the details of the events
        self.dead = False  # the deployer that runs has been killed
        self.bus = ""  # a fault of the event bus: down, slow, refuses, fails, or fails wordlessly
        self.smoked: list[bytes] = []  # the payloads that it was invoked with
        self.failed_calls: dict[str, int] = defaultdict(int)
        self.counts: dict[tuple[str, datetime], list[int]] = defaultdict(lambda: [0, 0])
        self._random = random.Random(seed)
        self._owed = 0.0
        self._plans: list[tuple[float, Callable[[], None]]] = []

    # -- time and users ----------------------------------------------------------------------------

    def now(self) -> datetime:
        return self.starts + timedelta(seconds=self.time)

    def at(self, time: float, action: Callable[[], None]) -> None:
        """Something that happens at that time, whatever the deployer is doing."""
        self._plans.append((time, action))
        self._plans.sort(key=lambda plan: plan[0])

    def advance(self, seconds: float) -> None:
        self.alive()
        end = self.time + seconds
        while self.time < end:
            second = float(int(self.time) + 1) if self.rate else end
            stop = min(end, second, *(time for time, _ in self._plans[:1] if time > self.time))
            self.time = stop
            if stop == second and self.rate:
                self._one_second_of_calls()
            while self._plans and self._plans[0][0] <= self.time:
                self._plans.pop(0)[1]()

    def _one_second_of_calls(self) -> None:
        self._owed += self.rate
        minute = (self.now() - timedelta(seconds=1)).replace(second=0, microsecond=0)
        while self._owed >= 1:
            self._owed -= 1
            draw, version = self._random.random(), self.alias.version
            for other, weight in self.alias.routing.items():
                version = other if draw < weight else version
            failed = self._random.random() < self.errors.get(version, 0.0)
            self.counts[version, minute][0] += 1
            self.counts[version, minute][1] += failed
            self.failed_calls[version] += failed

    def published(self, minute: datetime, metric: str = "", version: str = "") -> bool:
        late = self.delay + self.delays.get((metric, version), 0.0)
        return self.now() >= minute + MINUTE + timedelta(seconds=late)

    # -- the end of a sandbox ----------------------------------------------------------------------

    def kill(self) -> None:
        """The deployer that runs is killed; a driver says `dead = False` when it is gone."""
        self.dead = True
        raise Killed

    def alive(self) -> None:
        if self.dead:
            raise Killed

    # -- what operators do -------------------------------------------------------------------------

    def update_alias(self, **request: Any) -> None:
        """An operator's `aws lambda update-alias`, without a revision."""
        self.alias.update(request, self.states, self.roles)
        self._note()

    def _note(self) -> None:
        move = (self.alias.version, dict(self.alias.routing))
        self.moves.append((self.time, *move))

    # -- the API -----------------------------------------------------------------------------------

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        """One API call, with the fault that is planned for it."""
        self.alive()
        numbers: list[int | str] = [len(self.numbered)]
        if name in OF_THE_LEASE:
            numbers = [name, f"{name} {self.calls.count(name)}"]
        self.calls.append(name)
        fault, since, until = self.down
        struck = [self.faults[number] for number in numbers if number in self.faults]
        fault = "".join(struck[:1]) or (fault if since <= self.time < until else "")
        if fault == "killed":
            self.kill()
        self.advance(self.latency)
        try:
            if fault in ("", "lost", "slow", "killed after"):
                answer = apply()
        except Refused as refused:
            raise _client_error(name, refused.status, refused.code, refused.message) from None
        if fault == "slow":
            self.advance(3.5)
        elif fault == "killed after":
            self.kill()
        elif fault == "throttled":
            raise _client_error(name, 429, "TooManyRequestsException", "Rate Exceeded.")
        elif fault == "broken":
            raise _client_error(
                name,
                500,
                "ServiceException",
                "An error occurred and the request cannot be processed.",
            )
        elif fault == "denied":
            raise _client_error(
                name, 403, "AccessDeniedException", "User is not authorized to perform this action"
            )
        elif fault == "unsent":
            self.advance(2)
            raise ConnectTimeoutError(endpoint_url="https://lambda.test")
        elif fault in ("lost", "late"):
            if fault == "late":
                self.at(self.time + 12, lambda: self._quietly(apply))
            self.advance(4)
            raise ReadTimeoutError(endpoint_url="https://lambda.test")
        return answer

    def _quietly(self, apply: Callable[[], Any]) -> None:
        try:
            apply()
        except Refused:
            self.moves.append((self.time, "refused", {}))

    # -- a deployer in this world ------------------------------------------------------------------

    def deploy(self, rollout_id: str = "0123456789ab", **payload: Any) -> dict[str, Any]:
        event = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
        event |= {key.replace("_", "-"): value for key, value in payload.items()}
        return self.invoke(event, rollout_id)

    def invoke(
        self, event: Any, rollout_id: str = "0123456789ab", clients: "FakeClients | None" = None
    ) -> dict[str, Any]:
        return simple.deploy(event, clients or FakeClients(self), rollout_id, "request-1")

    def execute(self, definition: dict[str, Any], event: Any, execution: str = "run") -> Execution:
        """An execution of the state machine; each task has 120 s."""

        def invoke(task: Any) -> Any:
            answer = workflow.task(task, FakeClients(self, budget=120))
            # Lambda's runtime writes JSON in a way of its own: named tuples, say, become objects.
            assert json.loads(json.dumps(answer)) == answer, "an answer is of JSON's own types"
            return answer

        return interpret(definition, event, invoke, self.advance, execution)

    @property
    def due(self) -> list[tuple[float, str, str]]:
        """What is on its way to the watchdog: when it arrives, the message, and the lease's name if
        it is one."""
        fired = [
            (each.due + self.lateness, each.message, name) for name, each in self.schedules.items()
        ]
        return sorted([*fired, *((time, message, "") for time, message in self.messages)])

    def arrived(self, due: tuple[float, str, str]) -> None:
        """It has arrived: a lease deletes itself."""
        time, message, name = due
        if name:
            del self.schedules[name]
        else:
            self.messages.remove((time, message))

    @property
    def history(self) -> list[Any]:
        """Where the alias went: a weight of version 8, or the version it was put on alone."""
        return [routing.get("8", routing) or version for _, version, routing in self.moves]

    @property
    def numbered(self) -> list[str]:
        """The calls that `faults` counts."""
        return [name for name in self.calls if name not in OF_THE_LEASE]

    @property
    def writes(self) -> int:
        return self.calls.count("UpdateAlias")


class FakeClients(Means):
    """What a deployer in this world works with, for one invocation of `budget` seconds."""

    def __init__(
        self, world: World, lambda_: Any = None, cloudwatch: Any = None, budget: float | None = None
    ) -> None:
        self.lambda_: Any = lambda_ or FakeLambda(world)
        self.once: Any = self.lambda_
        self.stepfunctions: Any = None  # given by those who need it
        self.scheduler: Any = FakeScheduler(world)
        self.sqs: Any = FakeQueue(world)
        self.events: Any = FakeBus(world)
        self.settings = SETTINGS._replace(
            state_machine=os.environ.get("DEPLOY_STATE_MACHINE_ARN", "")
        )
        self.cloudwatch: Any = cloudwatch or FakeCloudWatch(world)
        self.clock, self.here = WorldClock(world, world.budget if budget is None else budget), HERE


class FakeLambda:
    """The operations that a deployer uses."""

    def __init__(self, world: World) -> None:
        self._world = world

    def get_alias(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self._check_names(request["FunctionName"], request["Name"], "Cannot find alias arn")
            return self._world.alias.answer()

        return dict(self._world.call("GetAlias", apply))

    def update_alias(self, **request: Any) -> dict[str, Any]:
        assert request.get("RevisionId"), "every write carries the revision"
        assert "RoutingConfig" in request, "every write carries the routing"
        world = self._world

        def apply() -> dict[str, Any]:
            self._check_names(request["FunctionName"], request["Name"], "Alias not found")
            world.alias.update(request, world.states, world.roles)
            world._note()
            return world.alias.answer()

        return dict(world.call("UpdateAlias", apply))

    def get_function_configuration(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            version = request["Qualifier"]
            states = self._world.states.get(version)
            if states is None:
                raise Refused(
                    404, "ResourceNotFoundException", f"Function not found: {FUNCTION}:{version}"
                )
            state = states.pop(0) if len(states) > 1 else states[0]
            return {"State": state, "StateReason": "The function is being created."}

        return dict(self._world.call("GetFunctionConfiguration", apply))

    def get_provisioned_concurrency_config(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            self._check_names(request["FunctionName"], request["Qualifier"], "Alias not found")
            if not self._world.provisioned:
                code = "ProvisionedConcurrencyConfigNotFoundException"
                raise Refused(
                    404, code, "No Provisioned Concurrency Config found for this function"
                )
            return {"Status": "READY"}

        return dict(self._world.call("GetProvisionedConcurrencyConfig", apply))

    def invoke(self, **request: Any) -> dict[str, Any]:
        """Version 8, run once; an answer that is an `errorMessage` is a function error."""
        assert request["FunctionName"] == "checkout" and request["Qualifier"] in self._world.states

        def apply() -> dict[str, Any]:
            self._world.smoked.append(request["Payload"])
            answer = self._world.smoke(request["Payload"])
            if isinstance(answer, Exception):
                raise answer
            error = {"FunctionError": "Unhandled"} if b"errorMessage" in answer else {}
            return {"StatusCode": 200, "Payload": io.BytesIO(answer), **error}

        return dict(self._world.call("InvokeFunction", apply))

    def _check_names(self, function: str, alias: str, message: str) -> None:
        if (function, alias) != ("checkout", self._world.alias.name):
            raise Refused(404, "ResourceNotFoundException", f"{message}: {FUNCTION}:{alias}")


class Schedule(NamedTuple):
    """A lease: when it is due, in seconds since the world's start, and its message."""

    due: float
    message: str


class FakeScheduler:
    """EventBridge Scheduler, as strict as AWS: an update resets what it leaves out, so all of it
    must be sent."""

    def __init__(self, world: World) -> None:
        self._world = world

    def create_schedule(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            name, schedule = self._read(request)
            if name in self._world.schedules:
                raise Refused(409, "ConflictException", f"Schedule {name} already exists.")
            self._world.schedules[name] = schedule
            self._world.leases.append(schedule.message)
            return {
                "ScheduleArn": f"arn:aws:scheduler:eu-west-1:123456789012:schedule/leases/{name}"
            }

        return dict(self._world.call("CreateSchedule", apply))

    def update_schedule(self, **request: Any) -> dict[str, Any]:
        def apply() -> dict[str, Any]:
            name, schedule = self._read(request)
            self._must_be_there(name)
            self._world.schedules[name] = schedule
            return {
                "ScheduleArn": f"arn:aws:scheduler:eu-west-1:123456789012:schedule/leases/{name}"
            }

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
        world, target = self._world, request["Target"]
        assert request["GroupName"] == "leases" and request["ActionAfterCompletion"] == "DELETE"
        assert request["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert request["ScheduleExpressionTimezone"] == "UTC"
        assert (target["Arn"], target["RoleArn"]) == (SETTINGS.lease_queue, SETTINGS.lease_role)
        assert target["DeadLetterConfig"] == {"Arn": SETTINGS.lease_dead_letters}
        at = datetime.strptime(request["ScheduleExpression"], "at(%Y-%m-%dT%H:%M:%S)")
        due = (at.replace(tzinfo=UTC) - world.starts).total_seconds()
        assert at.second == 0, "Scheduler's grain is a minute"
        assert due > world.time, "a time in the past never comes"
        return request["Name"], Schedule(due, target["Input"])


class FakeQueue:
    """The watchdog's queue: what is sent is kept with the time at which it is due."""

    def __init__(self, world: World) -> None:
        self._world = world

    def send_message(self, **request: Any) -> dict[str, Any]:
        assert (
            request["QueueUrl"] == SETTINGS.watchdog_queue and 0 <= request["DelaySeconds"] <= 900
        )

        def apply() -> dict[str, Any]:
            due = self._world.time + request["DelaySeconds"]
            self._world.messages.append((due, request["MessageBody"]))
            return {"MessageId": "1"}

        return dict(self._world.call("SendMessage", apply))


class FakeBus:
    """EventBridge's default bus. It is told quickly and costs no call's number: telling must never
    change a rollout."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put_events(self, **request: Any) -> dict[str, Any]:
        self._world.alive()
        (entry,) = request["Entries"]
        assert (entry["Source"], entry["DetailType"]) == (
            "aws-lambda-deploy",
            "Rollout State Change",
        )
        match self._world.bus:
            case "down":
                raise ConnectTimeoutError(endpoint_url="https://events.test")
            case "slow":
                self._world.advance(3)
                raise ReadTimeoutError(endpoint_url="https://events.test")
            case "refuses":
                raise _client_error(
                    "PutEvents", 400, "AccessDeniedException", "not authorized: events:PutEvents"
                )
            case "fails":
                answer = {"ErrorCode": "InternalFailure", "ErrorMessage": "Internal failure"}
                return {"FailedEntryCount": 1, "Entries": [answer]}
            case "fails wordlessly":
                return {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}
        self._world.told.append(json.loads(entry["Detail"]))
        return {"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}


def kind_of(alarm: str) -> str:
    """Which of `AlarmTypes` an alarm is of: here its name tells."""
    if alarm.startswith("composite"):
        return "CompositeAlarm"
    if alarm.startswith("logs"):
        return "LogAlarm"
    return "MetricAlarm"


class FakeCloudWatch:
    """`GetMetricData`, as strict as AWS: the exact dimensions, whole minutes, the end left out."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.status = "Complete"

    def get_metric_data(self, **request: Any) -> dict[str, Any]:
        start, end = (
            request[key].replace(second=0, microsecond=0) for key in ("StartTime", "EndTime")
        )
        assert start < end

        def apply() -> dict[str, Any]:
            self._world.looked.append(self._world.time)
            return {
                "MetricDataResults": [
                    self._result(query, start, end) for query in request["MetricDataQueries"]
                ]
            }

        return dict(self._world.call("GetMetricData", apply))

    def describe_alarms(self, **request: Any) -> dict[str, Any]:
        """As strict as AWS: unknown names and kinds not asked for are silently left out."""
        assert request["AlarmTypes"] == ["MetricAlarm", "CompositeAlarm"], (
            "else composite alarms are left out"
        )
        assert 0 < len(request["AlarmNames"]) <= 100

        def apply() -> dict[str, Any]:
            found = {
                name: state
                for name, state in self._world.alarms.items()
                if name in request["AlarmNames"]
            }
            told = [{"AlarmName": name, "StateValue": state} for name, state in found.items()]
            answer: dict[str, Any] = {}
            for alarm in told:
                kind = kind_of(alarm["AlarmName"])
                if kind in request["AlarmTypes"]:
                    answer.setdefault(f"{kind}s", []).append(alarm)
            return answer

        return dict(self._world.call("DescribeAlarms", apply))

    def _result(self, query: dict[str, Any], start: datetime, end: datetime) -> dict[str, Any]:
        metric = query["MetricStat"]["Metric"]
        dimensions = {dimension["Name"]: dimension["Value"] for dimension in metric["Dimensions"]}
        other = self._world.values.get(f"{metric['MetricName']} {query['MetricStat']['Stat']}")
        if metric["Namespace"] != "AWS/Lambda" or metric["MetricName"] not in (
            "Invocations",
            "Errors",
        ):
            seen = {
                m: v
                for m, v in (other or {}).items()
                if start <= m < end and self._world.published(m)
            }
            return {
                "Id": query["Id"],
                "StatusCode": self.status,
                "Timestamps": [*seen],
                "Values": [*seen.values()],
            }
        version = dimensions.pop("ExecutedVersion", None)  # without it: all of the alias's calls
        assert (query["MetricStat"]["Period"], query["MetricStat"]["Stat"]) == (60, "Sum")
        assert dimensions == {"FunctionName": "checkout", "Resource": "checkout:live"}
        name = metric["MetricName"]
        which = {"Invocations": 0, "Errors": 1}[name]
        points: dict[datetime, float] = defaultdict(float)
        for (executed, minute), counts in self._world.counts.items():
            asked = version in (None, executed) and start <= minute < end
            if asked and self._world.published(minute, name, executed):
                points[minute] += counts[which]
        newest_first = sorted(points, reverse=True)
        values = [points[minute] for minute in newest_first]
        return {
            "Id": query["Id"],
            "StatusCode": self.status,
            "Timestamps": newest_first,
            "Values": values,
        }


def _client_error(operation: str, status: int, code: str, message: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)
