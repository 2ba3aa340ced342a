"""PURE. What is known of a rollout in words: the terminal's screen and the plain lines say the
same."""

from deployer.clock import utc
from deployer.decisions.evidence import Counts
from deployer.decisions.suspicion import LONGEST
from deployer.decisions.timeline import Phase
from lambda_rollout import called
from lambda_rollout.endings import Status
from lambda_rollout.reach import ALIAS, LOG, METRICS
from lambda_rollout.state import State
from lambda_rollout.suspension import SUSPENDED, Suspensions, Turn

NOTHING_KNOWN = "nothing is known"
NOT_JUDGED = "not judged"

#: What a look's verdict means; the deployer's own names stand in its log.
_SO_FAR = "nothing wrong so far"
_VERDICTS = {
    "PENDING": _SO_FAR,
    "SUCCEEDED": _SO_FAR,
    "SUSPECTED": "suspected",
    "CLEARED": "cleared",
    "FAILED": "failed",
}

#: By what is asked of AWS: what is said where there is no answer.
_UNANSWERED = {
    ALIAS: ("AWS cannot be reached", "what is shown is"),
    LOG: ("The deployer's log cannot be read", "what is shown of it is"),
    METRICS: ("CloudWatch's metrics cannot be read", "the calls shown are"),
}

_ANSWERED = {
    ALIAS: "AWS answers",
    LOG: "The deployer's log can be read",
    METRICS: "CloudWatch's metrics can be read",
}

_ORDINALS = {2: "second", 3: "third"}

#: Units of time in seconds, the largest first, each with the next smaller one.
_UNITS = ((86400, "day", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s"))

#: Seconds after which an accepted rollout of which nothing is heard is worth a word.
_UNHEARD = 60.0


def clock(seconds: float) -> str:
    return f"{utc(seconds):%H:%M:%S}"


def moment(seconds: float) -> str:
    """With the day, for what may be long ago."""
    return f"{utc(seconds):%Y-%m-%d %H:%M:%S}"


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


def started_by(state: State) -> str:
    """Who has asked for it; empty where the log does not tell."""
    return f"started by {state.started_by}" if state.started_by else ""


def phase(state: State, now: float) -> str:
    """Where it stands, in one line that stays the same while nothing happens."""
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
    if state.silent(now):
        return no_word(state)
    place = f"step {state.step} of {state.steps}"
    if suspension(state, now):
        at = f"at {share(state.weight)}, {place}"
        return f"SUSPENDED {at}: all users are on version {state.original}"
    if state.settling(now):
        if state.told:
            return "settling: until calls at full weight are published"
        most = f", at most {for_long(state.plan.settle)}" if state.plan else ""
        return f"settling: until calls at full weight are published{most}"
    if state.told and state.told.phase == Phase.HELD:
        return f"held for calls in {place}"
    return place


def unheard(state: State, now: float) -> str:
    """Of an accepted rollout of which nothing has come for long: what looks like this, and where to
    look; else nothing. Who cannot hear wonders at nothing."""
    if not state.plan or state.step or state.execution or state.end or state.gone is not None:
        return ""
    since = max(state.since, state.pulse.word)
    deaf = state.deaf or not state.reach.can_hear
    if deaf or state.began or now - since < _UNHEARD:
        return ""
    return (
        f"Nothing was heard since {clock(since)} UTC. It looks like this where the version is Pending, "
        "where the smoke test takes long, and where the invocation died before its first line: "
        "look into the log of SimpleDeployFunction."
    )


def left(state: State, now: float) -> str:
    """The time left; empty where there is nothing to tell."""
    if state.end or not state.step or state.gone is not None or not state.reach.can_hear:
        return ""
    if state.orphaned(now) or suspension(state, now):
        return ""
    if state.silent(now):
        return f"for {for_long(now - state.pulse.word)}"
    told = state.told
    lengths = state.pulse.lengths
    if state.settling(now):
        if not told or not lengths:
            return ""
        return f"at most {for_long(max(0.0, told.ends + lengths.settle - now))} more"
    if told and lengths and told.phase == Phase.HELD:
        more = f"at most {for_long(max(0.0, told.ends + lengths.hold - now))} more"
        return ", then ".join([more, *_to_come(state, now)])
    return ", then ".join(_to_come(state, now))


def _to_come(state: State, now: float) -> list[str]:
    """The steps that are left, and settling."""
    seconds = state.left(now)
    if seconds is None:
        last = state.step == state.steps  # no shift comes any more
        return [] if last else ["time left: not known yet"]
    lengths = state.pulse.lengths
    if lengths is None:
        return [f"about {for_long(seconds)} left"]
    steps = f"{for_long(seconds)} of steps"
    if lengths.hold:
        steps += f" (each up to {for_long(lengths.hold)} longer where calls are few)"
    held_last = state.told and state.told.phase == Phase.HELD and state.step == state.steps
    come = [] if held_last else [steps]
    if lengths.settle:
        come.append(f"up to {for_long(lengths.settle)} settling")
    return come


def silence(state: State, now: float) -> list[str]:
    """Of a deployer that should have been heard, and was not: what users get now, and when that
    ends by itself; else nothing."""
    told = state.pulse.told
    if not told or not state.silent(now):
        return []
    what = "What follows its last look" if told.phase == Phase.OVER else "Its look"
    missed = f"{what} was due at {clock(told.due)} UTC and has not come: it may have died."
    return [missed, users(state), rescue(state, now)]


def users(state: State) -> str:
    """What users get now."""
    if state.suspensions.lasting:
        return f"All users are on version {state.original}; version {state.new} gets no calls."
    new = share(state.share)
    original = share(1 - state.share)
    return f"Now version {state.new} gets {new} of the calls, version {state.original} {original}."


def rescue(state: State, now: float) -> str:
    """When the watchdog comes to what a dead deployer has left."""
    lease = state.pulse.lease
    if not lease:
        return (
            "No lease of it is known: the watchdog rolls back what a dead deployer has left "
            "about three minutes after its end, and within 20 minutes at the latest."
        )
    if now < lease:
        return (
            f"Its lease runs out at {clock(lease)} UTC: "
            "if it is dead, the watchdog rolls back within two minutes of that."
        )
    return (
        f"Its lease ran out at {clock(lease)} UTC: "
        "the watchdog rolls back within two minutes of that."
    )


def take_back(state: State) -> str:
    """What the command is for."""
    if state.suspensions.lasting:
        return "To keep all users there, whoever comes back:"
    return "To take the alias back yourself:"


def stop(state: State) -> str:
    """The command that takes the alias back."""
    return state.target.unsplit()


def no_word(state: State) -> str:
    """Of a deployer that is silent."""
    return f"NO WORD from the deployer since {clock(state.pulse.word)} UTC"


def heard_again(state: State, since: float) -> str:
    """Of a deployer that was silent since then, and speaks."""
    lasted = for_long(state.pulse.word - since)
    return f"The deployer is heard again: at {clock(state.pulse.word)} UTC, after {lasted}"


def unreachable(state: State, now: float) -> dict[str, str]:
    """By what is asked of AWS: that there is no answer, since when and why, and how old what is
    shown has become."""
    told = {}
    alias = state.reach.lasting(ALIAS, now)
    for what, (cannot, shown) in _UNANSWERED.items():
        outage = state.reach.lasting(what, now)
        if outage is None or (alias and what != ALIAS):
            continue
        told[what] = f"{cannot} since {clock(outage.since)} UTC ({outage.why})"
        answered = state.reach.answers.get(what)
        if answered is not None:
            told[what] += f"; {shown} {for_long(now - answered)} old"
    return told


def reached_again(before: State, what: str, now: float) -> str:
    """Of what AWS did not answer before, and answers now."""
    lasted = for_long(now - before.reach.outages[what].since)
    return f"{_ANSWERED[what]} again, after {lasted}"


def verdict(state: State) -> tuple[float, str, str] | None:
    """The last look: when, what came out, and why, without what SUSPENDED or RESUMED has said
    already."""
    if state.unseen:
        return state.unseen[0], "could not be made", state.unseen[1]
    if state.verdict is None:
        return None
    when, status, reason, calls = state.verdict
    told = _VERDICTS.get(status, status)
    if told == _SO_FAR:
        told = _so_far(state, calls)
    if status == "PENDING" and state.suspensions.during(when):
        told = "not decided yet"
    if any(reason == each.reason for each in state.suspensions.turns):
        reason = ""
    return when, told, reason


def _so_far(state: State, calls: tuple[Counts, Counts] | None) -> str:
    """No data is not health."""
    if calls is None:
        return NOT_JUDGED
    original, new = calls
    if new != Counts():
        return _SO_FAR
    if original != Counts():
        return f"no calls of version {state.new} published yet: {NOTHING_KNOWN} of it"
    return f"no calls published yet: {NOTHING_KNOWN}"


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
    if state.end or state.gone is not None or state.orphaned(now) or state.silent(now):
        return None
    return state.suspensions.lasting


def awaited(state: State, now: float) -> str:
    """What ends a suspension; empty where none lasts."""
    lasting = suspension(state, now)
    if lasting is None:
        return ""
    minutes = f"the minutes up to {clock(lasting.at)[:5]} UTC, which come one to three minutes late"
    goes_on = f"It goes on at {share(state.weight)}, or is rolled back, as these say"
    told = f"Waiting for CloudWatch's metrics of {minutes}. {goes_on}."
    if not state.told or not state.pulse.lengths:
        return told
    latest = clock(lasting.at + LONGEST)
    come = ", then ".join(_to_come(state, now))
    return f"{told} It is judged by {latest} UTC at the latest; then come {come}."


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
        return named(state)
    return f"{named(state)} after {for_long(state.end.at - state.since)}"


def named(state: State) -> str:
    """The ending's name."""
    if state.end is None:
        return ""
    if state.stopped_by_hand:
        return f"Stopped by hand ({state.end.name})"
    return state.end.name


def because(state: State) -> str:
    """Why it ended, without what the last look has said already."""
    if state.end is None or state.end.status is Status.DEPLOYED:
        return ""
    said = state.verdict[2] if state.verdict else ""
    return state.end.reason.removeprefix(said).strip()


def untold(state: State) -> list[str]:
    """What cannot be told, and why."""
    told = []
    if state.blind:
        told.append(f"No metrics: {state.blind}")
    said_as_reason = state.end is not None and state.deaf.rstrip(".") in state.end.reason
    if state.deaf and not said_as_reason:
        told.append(f"No log: {state.deaf}")
    if state.deaf and state.until and not state.end and state.gone is None:
        until = moment(state.until)
        told.append(f"The alias's stamp says that it ends by {until} UTC at the latest.")
    return told


def where(state: State) -> str:
    """Where the alias is: as the ending says, and as it is seen, where that differs."""
    if state.end is None:
        return ""
    if state.end.status is Status.NOTHING_RUNS and state.last:
        # `last` has told where its rollout left it.
        return "" if state.where in state.last.end.where else f"Now it {state.where}."
    if not state.where or state.version is None or state.where in state.end.where:
        return state.end.where
    return f"{state.end.where} Now it {state.where}."


def last(state: State, now: float) -> str:
    """Where no rollout runs: how the last one ended; empty where that is not known."""
    if state.rollout or state.last is None:
        return ""
    rollout, end = state.last
    ago = for_long(max(0.0, now - end.at))
    how = " ".join(filter(None, (f"{end.name}:", end.reason, end.where)))
    return f"The last one, {rollout}, ended at {clock(end.at)} UTC, {ago} ago: {how}"


def to_do(state: State) -> str:
    """The command that is left to do, where nobody else will."""
    if state.end is None or state.end.name != "ABANDONED":
        return ""
    return f"{take_back(state)} {stop(state)}"


def told(state: State) -> str:
    """The whole ending in a line."""
    if state.end is None:
        return ""
    before = last(state, state.end.at)
    parts = (f"{named(state)}:", state.end.reason, before, where(state), to_do(state))
    return " ".join(filter(None, parts))


def stopped(state: State | None, why: str = "") -> str:
    """For who has pressed Ctrl-C; or is not shown any more because of `why`."""
    because = f" ({why})" if why else ""
    if state is None or not (state.plan or state.where):  # nothing was seen yet
        return f"Stopped{because}; {called.goes_on()}"
    if state.end:
        return f"Not all could be shown{because}. {told(state)}"
    if not state.rollout and not state.plan:
        return f"Stopped watching{because}; no rollout had begun."
    watch = called.command("watch", function=state.function, alias=state.alias)
    return (
        f"Stopped watching{because}; the rollout goes on.\n"
        f"Watch it again:  {watch}\n"
        f"Stop it:         {stop(state)}"
    )


def stopped_waiting(done: str, why: str = "") -> str:
    """The same, once the alias was moved by hand."""
    because = f" ({why})" if why else ""
    return f"Stopped waiting for the deployer{because}. {done}"


def unconfirmed(state: State) -> str:
    """Of a rollout that was moved by hand, and whose own ending is another one, or not told."""
    if state.end is None:
        return ""
    if state.end.name == "ENDED" and state.pulse.told:
        due = clock(state.pulse.told.due)
        return f"The deployer has not said so far that it has seen it: its next look is due at {due} UTC."
    return f"The rollout itself ended as {state.end.name}: {state.end.reason}"
