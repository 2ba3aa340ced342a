"""What may happen around an alias, as a plan: rollouts of it, and the deeds of operators, AWS and
fate.

Plans are frozen values, and tell their story in words. They are played by tests/scenario.py.
"""

from dataclasses import dataclass
from math import inf
from typing import Any

# -- when ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class At:
    seconds: float

    def __str__(self) -> str:
        return f"at {self.seconds:g} s"


@dataclass(frozen=True)
class Ended:
    """So many seconds after a rollout has ended, in whatever way."""

    who: int
    later: float

    def __str__(self) -> str:
        return f"{self.later:g} s after the end of {name_of(self.who)}"


@dataclass(frozen=True)
class Beside:
    """Beside somebody's API call, counted from 0: before it is sent, or when its answer has
    come."""

    who: int
    call: int
    after: bool

    def __str__(self) -> str:
        when = "after" if self.after else "before"
        return f"{when} call {self.call} of {name_of(self.who)}"


@dataclass(frozen=True)
class Suspended:
    """So many seconds after a rollout was suspended, for the first time."""

    who: int
    later: float

    def __str__(self) -> str:
        return f"{self.later:g} s after {name_of(self.who)} was suspended"


Moment = At | Ended | Beside | Suspended

#: In the place of a rollout's number.
WATCHDOG = -1


def name_of(who: int) -> str:
    return "the watchdog" if who == WATCHDOG else f"rollout {'ABCD'[who]}"


# -- what others do --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Update:
    """An operator's `update-alias`: None leaves as it is.

    In the text, `{stamp}` is the stamp that stands, `{id}` the id of the first rollout.
    """

    version: str | None = None
    routing: tuple[tuple[str, float], ...] | None = None
    text: str | None = None

    def __str__(self) -> str:
        said = []
        if self.version:
            said.append(f"version {self.version}")
        if self.routing == ():
            said.append("unsplit")
        elif self.routing is not None:
            said.append(f"split {dict(self.routing)}")
        if self.text is not None:
            said.append(f"description {self.text!r}")
        return f"an operator updates the alias: {', '.join(said) or 'nothing'}"


@dataclass(frozen=True)
class Kill:
    """The sandbox dies in which that rollout's deployer, or the watchdog, runs."""

    who: int

    def __str__(self) -> str:
        return f"the sandbox of {name_of(self.who)} is killed"


@dataclass(frozen=True)
class Stop:
    """StopExecution."""

    who: int

    def __str__(self) -> str:
        return f"the execution of {name_of(self.who)} is stopped"


@dataclass(frozen=True)
class Deliver:
    """The watchdog's message of that rollout is delivered now, in addition: early, or once more."""

    who: int

    def __str__(self) -> str:
        return f"the watchdog's message of {name_of(self.who)} is delivered, in addition"


@dataclass(frozen=True)
class Fault:
    """For so many seconds; for a single call, beside which it is planned, with 0.

    `what` is a fault of `World.call`, or "stale": GetAlias answers as of some seconds ago. `of` is
    one operation, or "" for all.
    """

    what: str
    seconds: float
    of: str = ""

    def __str__(self) -> str:
        lasts = f"for {self.seconds:g} s" if self.seconds else "once"
        return f"{self.of or 'every call'} is {self.what} {lasts}"


Deed = Update | Kill | Stop | Deliver | Fault


# -- the plan --------------------------------------------------------------------------------------

ABANDONED_STORY = "A rollout that died an hour ago has left 30 % of its calls on version 9."
SPLIT_STORY = "An operator has split it: 30 % of its calls go to version 9."


@dataclass(frozen=True)
class Rollout:
    driver: str  # "loop" or "machine"
    starts: Moment
    version: str
    weights: tuple[float, ...]
    interval: float
    health: Any = True  # False, or seconds to settle
    errors: Any = "any"  # what the health check says of them
    #: Of its sandbox's clock; of the state machine's, in every second one the other way.
    skew: float = 0.0
    budget: float = 900.0
    finalize: bool = True

    def __str__(self) -> str:
        by = f"by {self.weights} every {self.interval:g} s"
        check = f"errors {self.errors}, settle {self.health:g} s"
        if self.health is False:
            check = "no health check"
        if not self.finalize:
            check = f"a rehearsal, {check}"
        more = f"{check}, clock {self.skew:+g} s, budget {self.budget:g} s"
        return f"starts {self.starts}: {self.driver}, to version {self.version} {by}; {more}"

    @property
    def event(self) -> dict[str, Any]:
        check = {"settle": self.health, "errors": self.errors}
        return {
            "function-name": "checkout",
            "alias-name": "live",
            "new-version": self.version,
            "weights": list(self.weights),
            "interval": self.interval,
            "hand-over": False,
            "finalize": self.finalize,
            "health-check": False if self.health is False else check,
        }


@dataclass(frozen=True)
class Plan:
    rollouts: tuple[Rollout, ...]
    deeds: tuple[tuple[Moment, Deed], ...] = ()
    words: str = "Checkout service"  # the description at the start
    found: str = ""  # at the start: "", "abandoned" or "split"
    failing: tuple[str, ...] = ()  # versions whose calls fail
    share: float = 1.0  # which share of their calls
    delay: float = 60.0  # how long after its end a minute is published
    log_delay: float = inf  # how long after a failed call the log shows it; inf: never
    log_fault: str = ""  # of every reading of the log
    noise: float = 0.0  # version 8 prints what looks like a failed call every so many seconds
    late: float = 0.0  # for how long every message to the watchdog is late
    fires: float = 30.0  # how long after it is due a lease fires
    #: EventBridge loses the bad ends of executions; the schedule must find them.
    events_lost: bool = False
    pending: float = 0.0  # until when version 9 is Pending

    def __str__(self) -> str:
        lines = [f"The alias is on version 7, described as {self.words!r}."]
        if self.found == "abandoned":
            lines.append(ABANDONED_STORY)
        if self.found == "split":
            lines.append(SPLIT_STORY)
        if self.failing:
            late = f"published {self.delay:g} s after the minute"
            lines.append(f"{self.share:.0%} of the calls of {self.failing} fail; {late}.")
        if self.log_delay < inf:
            fault = f", and every reading of it is {self.log_fault}" if self.log_fault else ""
            lines.append(f"The log is {self.log_delay:g} s late{fault}.")
        if self.noise:
            lines.append(f"Version 8 prints what looks like a failed call every {self.noise:g} s.")
        if self.late:
            lines.append(f"Messages to the watchdog are {self.late:g} s late.")
        if self.fires != 30.0:
            lines.append(f"Leases fire {self.fires:g} s after they are due.")
        if self.events_lost:
            lines.append("EventBridge loses what it is told of executions.")
        if self.pending:
            lines.append(f"Version 9 is Pending until {self.pending:g} s.")
        lines += [f"{name_of(number)} {each}." for number, each in enumerate(self.rollouts)]
        lines += [f"{moment}: {deed}." for moment, deed in self.deeds]
        return "\n".join(f"  {line}" for line in lines)

    def has(self, deed: type[Deed]) -> bool:
        """Whether such a deed is planned."""
        return any(isinstance(planned, deed) for _, planned in self.deeds)


# -- the smallest ones -----------------------------------------------------------------------------


def one(driver: str = "loop", **more: Any) -> Rollout:
    """A rollout of two steps of 20 s, without settling, from the beginning on."""
    usual: dict[str, Any] = {
        "starts": At(0.0),
        "version": "8",
        "weights": (0.5, 1.0),
        "interval": 20.0,
        "health": 0.0,
        "budget": 300.0,
    }
    return Rollout(driver, **(usual | more))


def quick(*deeds: Any, driver: str = "loop", then: Any = (), **surroundings: Any) -> Plan:
    """One such rollout, and `then` others."""
    return Plan((one(driver), *then), deeds, **surroundings)


def fault(start: float, seconds: float, of: str = "UpdateAlias", what: str = "broken") -> Any:
    """AWS is out of order from then on, for so long."""
    return At(start), Fault(what, seconds, of)


def noisy(*deeds: Any, driver: str = "loop", then: Any = (), **surroundings: Any) -> Plan:
    """The same with a log that has it suspended at 15 s, and acquitted two minutes later."""
    first = one(driver, budget=900.0)
    return Plan((first, *then), deeds, **{"log_delay": 5.0, "noise": 7.0, **surroundings})
