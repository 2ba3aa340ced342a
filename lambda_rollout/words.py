"""PURE. What is known of a rollout in words: the terminal's screen and the plain lines say the
same."""

from datetime import UTC, datetime

from deployer.decisions.evidence import Counts
from lambda_rollout.endings import End, Status
from lambda_rollout.say import GOES_ON
from lambda_rollout.state import State
from lambda_rollout.suspension import SUSPENDED, Suspensions, Turn

#: What a look's verdict means; the deployer's own names stand in its log.
_VERDICTS = {
    "PENDING": "nothing wrong so far",
    "SUCCEEDED": "nothing wrong so far",
    "SUSPECTED": "suspected",
    "CLEARED": "cleared",
    "FAILED": "failed",
}

_ORDINALS = {2: "second", 3: "third"}

#: Units of time in seconds, the largest first, each with the next smaller one.
_UNITS = ((86400, "day", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))

STOP = "aws lambda update-alias --function-name {} --name {} --routing-config AdditionalVersionWeights={{}}"
WATCH = "make watch FUNCTION={} ALIAS={}"


def clock(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%H:%M:%S}"


def for_long(seconds: float) -> str:
    """Such as "45 s", "3 min 20 s", "2 h 5 min" or "3 days 4 h"."""
    whole = round(seconds)
    for large, name, small, smaller_name in _UNITS:
        if whole >= large:
            many = whole // large
            rest = whole % large // small
            plural = "s" if name == "day" and many > 1 else ""
            of_rest = f" {rest} {smaller_name}" if rest else ""
            return f"{many} {name}{plural}{of_rest}"
    return f"{whole} s"


def share(weight: float) -> str:
    return f"{weight * 100:.4g} %"


def rate(counts: Counts) -> str:
    """The error rate; empty where none can be told."""
    if not counts.invocations or not 0 <= counts.errors <= counts.invocations:
        return ""
    return f"{counts.errors / counts.invocations * 100:.2f} %"


def versions(state: State) -> str:
    return f"version {state.original} → {state.new}" if state.new else ""


def phase(state: State, now: float) -> str:
    """Where it stands, in one line."""
    if state.end:
        return ""
    if not state.rollout and not state.plan:
        return f"No rollout runs on this alias: it {state.where}. Waiting for one until {clock(state.give_up)} UTC …"
    if state.gone is not None:
        return f"The alias {state.where}. Waiting for the log to say how it ended …"
    if not state.step:
        handed = "Handed over to the state machine" if state.execution else "Accepted"
        return f"{handed}; waiting for the first shift …"
    if state.orphaned(now) and state.suspensions.lasting:
        died = "Its deployer seems to have died while it was suspended"
        return f"{died}: all users are on version {state.original}. Waiting for the watchdog …"
    if state.orphaned(now):
        return "Its deployer seems to have died: waiting for the watchdog to roll it back …"
    if suspension(state, now):
        place = f"at {share(state.weight)}, step {state.step} of {state.steps}"
        return f"SUSPENDED {place}: all users are on version {state.original}"
    if state.settling(now):
        most = f", at most {for_long(state.plan.settle)}" if state.plan else ""
        return f"settling: until calls at full weight are published{most}"
    return f"step {state.step} of {state.steps}"


def left(state: State, now: float) -> str:
    """The time left; empty where there is nothing to tell."""
    if state.end or not state.step or state.gone is not None or state.settling(now):
        return ""
    if suspension(state, now):
        return ""
    seconds = state.left(now)
    if seconds is None:
        return "time left: known after the next shift"
    return f"about {for_long(seconds)} left"


def verdict(state: State) -> tuple[float, str, str] | None:
    """The last look: when, what came out, and why, without what SUSPENDED or RESUMED has said
    already."""
    if state.unseen:
        return state.unseen[0], "could not be made", state.unseen[1]
    if state.verdict is None:
        return None
    when, status, reason = state.verdict
    told = _VERDICTS.get(status, status)
    if status == "PENDING" and state.suspensions.during(when):
        told = "not decided yet"
    if any(reason == each.reason for each in state.suspensions.turns):
        reason = ""
    return when, told, reason


def suspended(state: State, now: float) -> list[str]:
    """Of a rollout that is suspended: for how long, why, and what is waited for; else nothing."""
    lasting = suspension(state, now)
    if lasting is None:
        return []
    since = f"Since {clock(lasting.at)} UTC, for {for_long(now - lasting.at)}"
    why = lasting.reason or "Why, the deployer's log has not told yet."
    return [f"{since}{_times(state.suspensions.count)}.", why, awaited(state, now)]


def suspension(state: State, now: float) -> Turn | None:
    """The one that lasts, as long as there is a deployer that ends it."""
    if state.end or state.gone is not None or state.orphaned(now):
        return None
    return state.suspensions.lasting


def awaited(state: State, now: float) -> str:
    """What ends a suspension; empty where none lasts."""
    lasting = suspension(state, now)
    if lasting is None:
        return ""
    minutes = f"the minutes up to {clock(lasting.at)[:5]} UTC, which come one to three minutes late"
    goes_on = f"It goes on at {share(state.weight)}, or is rolled back, as these say"
    return f"Waiting for CloudWatch's metrics of {minutes}. {goes_on}."


def turn(suspensions: Suspensions, number: int) -> str:
    """A line of the log that suspends the rollout, or has it go on: what, when, and why."""
    told = suspensions.turns[number]
    earlier = [each for each in suspensions.turns[:number] if each.message == SUSPENDED]
    if told.message == SUSPENDED:
        return f"SUSPENDED since {clock(told.at)} UTC{_times(len(earlier) + 1)}: {told.reason}"
    if not earlier:
        return f"RESUMED at {clock(told.at)} UTC: {told.reason}"
    lasted = for_long(told.at - earlier[-1].at)
    return f"RESUMED at {clock(told.at)} UTC, after {lasted}: {told.reason}"


def resumed(state: State) -> str:
    """Why it has gone on after its last suspension; empty where there was none, or one lasts."""
    turns = state.suspensions.turns
    if state.end or state.suspensions.lasting or not turns or turns[-1].message == SUSPENDED:
        return ""
    return turn(state.suspensions, len(turns) - 1)


def suspended_before(state: State) -> str:
    """How often it was suspended, for one that has ended; empty where it never was."""
    count = state.suspensions.count
    if not state.end or not count:
        return ""
    return "It was suspended once." if count == 1 else f"It was suspended {count} times."


def _times(count: int) -> str:
    """Nothing for the first time."""
    return f", for the {_ORDINALS.get(count, f'{count}th')} time" if count > 1 else ""


def ending(state: State) -> str:
    """What it came to, and after how long, where its beginning is known."""
    if state.end is None:
        return ""
    if not state.began:
        return state.end.name
    return f"{state.end.name} after {for_long(state.end.at - state.since)}"


def because(state: State) -> str:
    """Why it ended, without what the last look has said already."""
    if state.end is None or state.end.status is Status.DEPLOYED:
        return ""
    said = state.verdict[2] if state.verdict else ""
    return state.end.reason.removeprefix(said).strip()


def silence(state: State) -> list[str]:
    """What cannot be told, and why."""
    told = []
    if state.blind:
        told.append(f"No metrics: {state.blind}")
    if state.deaf:
        told.append(f"No log: {state.deaf}")
    return told


def told(end: End) -> str:
    """The whole ending in a line."""
    return " ".join(filter(None, (f"{end.name}:", end.reason, end.where)))


def stopped(state: State | None, why: str = "") -> str:
    """For who has pressed Ctrl-C; or is not shown any more because of `why`."""
    because = f" ({why})" if why else ""
    if state is None or not (state.plan or state.where):  # nothing was seen yet
        return f"Stopped{because}; {GOES_ON}"
    if state.end:
        return f"Not all could be shown{because}. {told(state.end)}"
    if not state.rollout and not state.plan:
        return f"Stopped watching{because}; no rollout had begun."
    names = state.function, state.alias
    return (
        f"Stopped watching{because}; the rollout goes on.\n"
        f"Watch it again:  {WATCH.format(*names)}\n"
        f"Stop it:         {STOP.format(*names)}"
    )
