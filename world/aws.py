"""AWS in virtual time: what is there, its users, its operators, and what becomes of an API call.
`advance` moves its time.

The alias keeps AWS's rules (`local/rules.py`). A second's calls are drawn from a seeded generator,
split by the alias's weights of that second. The services that a deployer asks are lambda_.py,
cloudwatch.py and messages.py; what they know stands here.
"""

import math
import random
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from botocore.exceptions import ConnectTimeoutError, ReadTimeoutError

from deployer.aws import Settings
from local.rules import Refused, StoredAlias
from world.faults import ANSWERS, DONE, OF_THE_LEASE, Killed, client_error

HERE = "arn:aws:lambda:eu-west-1:123456789012:function:SimpleDeployFunction"
FUNCTION = "arn:aws:lambda:eu-west-1:123456789012:function:checkout"
WORDS = "Checkout service, see the wiki"
SETTINGS = Settings(
    lease_group="leases",
    lease_queue="arn:aws:sqs:eu-west-1:123456789012:leases",
    lease_role="arn:aws:iam::123456789012:role/lease",
    lease_dead_letters="arn:aws:sqs:eu-west-1:123456789012:dead",
    watchdog_queue="https://sqs.test/watchdog",
)
MINUTE = timedelta(minutes=1)

#: The log group that Lambda makes where the function names none.
OWN_GROUP = "/aws/lambda/checkout"


class Failed(NamedTuple):
    """A failed call, or what looks like one: when it was, and from when on the log shows it; in
    seconds since the start."""

    time: float
    version: str
    visible: float
    number: int


class Schedule(NamedTuple):
    """A lease: when it is due, in seconds since the start, and its message."""

    due: float
    message: str


class Aws:
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
        self.starts = starts
        self.budget = budget
        self._plans: list[tuple[float, Callable[[], None]]] = []
        self._set_up_users(rate, errors or {}, seed)
        self._set_up_lambda()
        self._set_up_cloudwatch(delay)
        self._set_up_messages()
        self._set_up_calls(latency)

    def _set_up_users(self, rate: float, errors: dict[str, float], seed: int) -> None:
        self.rate = rate
        #: Which share of a version's calls fails.
        self.errors = {"7": 0.0, "8": 0.0, **errors}
        self.failed_calls: dict[str, int] = defaultdict(int)
        #: What the log has of failed calls, in the order of their times.
        self.failed: list[Failed] = []
        #: Seconds until a failed call can be read of; with `math.inf` the function writes nothing.
        self.log_delay = math.inf
        #: A fault of every reading of the log, by its name in faults.py.
        self.log_fault = ""
        #: Calls and errors, by version and minute.
        self.counts: dict[tuple[str, datetime], list[int]] = defaultdict(lambda: [0, 0])
        self._random = random.Random(seed)
        #: For whoever acts at random times.
        self.draw = random.Random(seed)
        self._owed = 0.0

    def _set_up_lambda(self) -> None:
        self.alias = StoredAlias(f"{FUNCTION}:live", "live", "7", WORDS)
        #: When the alias went to which version and routing.
        self.moves: list[tuple[float, str, dict[str, float]]] = []
        #: Of each version: those that it will still go through.
        self.states = {version: ["Active"] for version in ("6", "7", "8", "9")}
        self.roles = dict.fromkeys(self.states, "role")
        self.log_group = OWN_GROUP
        #: Whether the alias has provisioned concurrency.
        self.provisioned = False
        #: What version 8 answers to a smoke test, and the payloads that it was invoked with.
        self.smoke: Callable[[bytes], bytes | Exception] = lambda payload: b"null"
        self.smoked: list[bytes] = []

    def _set_up_cloudwatch(self, delay: float) -> None:
        self.delay = delay
        #: The alias's calls a second in the hour before the start.
        self.rate_before = 0.0
        #: Such as of ("Errors", "7").
        self.delays: dict[tuple[str, str], float] = {}
        #: Of other metrics, by "name stat", minute by minute.
        self.values: dict[str, dict[datetime, float]] = {}
        #: The states of alarms.
        self.alarms: dict[str, str] = {}
        #: When it was asked.
        self.looked: list[float] = []

    def _set_up_messages(self) -> None:
        #: To the watchdog: when each is due, and what it says.
        self.messages: list[tuple[float, str]] = []
        #: The leases that have neither fired nor been deleted.
        self.schedules: dict[str, Schedule] = {}
        #: The message of every lease that was taken.
        self.leases: list[str] = []
        #: For how long after it is due a lease fires; at most 59 s.
        self.lateness = 30.0
        #: The details of the events.
        self.told: list[dict[str, Any]] = []
        #: A fault of the event bus: down, slow, refuses, fails, or fails wordlessly.
        self.bus = ""

    def _set_up_calls(self, latency: float) -> None:
        self.latency = latency
        #: Every API call, in order.
        self.calls: list[str] = []
        #: By the number of the call, from 0, the lease's left out (faults.py); by its name; or by
        #: both, such as `UpdateAlias 0`.
        self.faults: dict[int | str, str] = {}
        #: A fault for every call between two times.
        self.down: tuple[str, float, float] = ("", 0.0, 0.0)
        #: The deployer that runs has been killed.
        self.dead = False

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
                _, action = self._plans.pop(0)
                action()

    def _one_second_of_calls(self) -> None:
        self._owed += self.rate
        minute = (self.now() - timedelta(seconds=1)).replace(second=0, microsecond=0)
        while self._owed >= 1:
            self._owed -= 1
            draw = self._random.random()
            version = self.alias.version
            for other, weight in self.alias.routing.items():
                version = other if draw < weight else version
            failed = self._random.random() < self.errors.get(version, 0.0)
            self.counts[version, minute][0] += 1
            self.counts[version, minute][1] += failed
            self.failed_calls[version] += failed
            if failed:
                self.write_failure(version)

    def write_failure(self, version: str) -> None:
        """The function writes what a failed call looks like."""
        time = self.time - 0.5  # in the middle of the second whose calls are drawn
        visible = time + self.log_delay
        if visible < math.inf:
            self.failed.append(Failed(time, version, visible, len(self.failed)))

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
        self.moved()

    def moved(self) -> None:
        """The alias has been written."""
        self.moves.append((self.time, self.alias.version, dict(self.alias.routing)))

    # -- the API -----------------------------------------------------------------------------------

    def call(self, name: str, apply: Callable[[], Any]) -> Any:
        """One API call, with the fault that is planned for it."""
        self.alive()
        fault = self._fault_of(name)
        self.calls.append(name)
        if fault == "killed":
            self.kill()
        self.advance(self.latency)
        answer = None
        try:
            if fault in DONE:
                answer = apply()
        except Refused as refused:
            raise client_error(name, refused.status, refused.code, refused.message) from None
        if fault in ANSWERS:
            raise client_error(name, *ANSWERS[fault])
        match fault:
            case "slow":
                self.advance(3.5)
            case "killed after":
                self.kill()
            case "unsent":
                self.advance(2)
                raise ConnectTimeoutError(endpoint_url="https://lambda.test")
            case "late":
                self.at(self.time + 12, lambda: self._quietly(apply))
                self._lose_the_answer()
            case "lost":
                self._lose_the_answer()
        return answer

    def _fault_of(self, name: str) -> str:
        """Of the call that is next."""
        if self.faults:
            places: list[int | str] = [name, f"{name} {self.calls.count(name)}"]
            if name not in OF_THE_LEASE:
                places.append(len(self.numbered))
            for place in places:
                if place in self.faults:
                    return self.faults[place]
        fault, since, until = self.down
        return fault if since <= self.time < until else ""

    def _lose_the_answer(self) -> None:
        self.advance(4)
        raise ReadTimeoutError(endpoint_url="https://lambda.test")

    def _quietly(self, apply: Callable[[], Any]) -> None:
        try:
            apply()
        except Refused:
            self.moves.append((self.time, "refused", {}))

    # -- what is known of it afterwards ------------------------------------------------------------

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
