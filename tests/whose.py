"""Whose the alias was, in a plan that has been played: by who wrote it, and by what it says.

The rules of tests/test_stateful.py ask. It knows more than a deployer can: who the writer was.
"""

import re
from datetime import UTC, datetime, timedelta

from tests.plans import WATCHDOG, Deliver, Fault
from tests.played import ABANDONED, OPERATOR, Course, Played, State, Told, Write, unstamped

#: Where the alias is may have been read so many seconds before it is told: a call or two.
WINDOW = 30.0

#: A stamp's deadline is past by so much before anybody takes it for abandoned; clocks differ by as
#: much as SKEW.
GRACE = timedelta(seconds=60)
SKEW = timedelta(seconds=5)

#: When every plan starts.
START = datetime(2026, 1, 5, 12, 0, 7, tzinfo=UTC)


# -- the alias -------------------------------------------------------------------------------------


def is_of(course: Course, state: State) -> bool:
    """Whether a split is that rollout's: by who wrote it, or by what it is.

    An operator's split between the rollout's two versions, with a weight of its plan, under its
    stamp or under none, cannot be told from its own.
    """
    if state.suspended:
        return state.stamp is not None and state.stamp.id == course.id
    if state.routing_by == course.id:
        return True
    planned = [{course.plan.version: weight} for weight in course.plan.weights]
    alike = state.routing in planned
    if state.stamp is None:
        return alike and state.routing_by == OPERATOR and state.version == course.original
    # Also beside another version: `update-alias` keeps a routing that it is not told.
    return alike and state.stamp.id == course.id


def is_nobody_s(played: Played, state: State, time: float) -> bool:
    """Whether whose split it was is dead; or the stamp says so, whoever wrote it."""
    if state.routing_by == ABANDONED or abandoned(state, time):
        return True
    course = played.by_id(state.routing_by)
    return course is not None and not course.lives(time)


def abandoned(state: State, time: float) -> bool:
    """Whether the stamp that stands says that its rollout has surely ended."""
    stamp = state.stamp
    if stamp is None:
        return False
    if unstamped(state.description).endswith("…"):
        return False  # the whole words are its watchdog's to put back
    said = re.findall(r" at ([0-9.e-]+) \(", state.description)
    weight = f"{state.routing.get(stamp.version, 0.0):.3g}"
    if said[-1:] != [weight] and not state.suspended:
        return False  # another weight is somebody's own
    now = START + timedelta(seconds=time)
    return stamp.until < now + SKEW - GRACE


def forged(state: State) -> bool:
    """Whether an operator has written what reads like a stamp: then it says whose the alias is."""
    return state.text_by == OPERATOR and state.stamp is not None


def pasted(played: Played, course: Course) -> bool:
    """Whether somebody wrote this rollout's stamp by hand: then it is told once more how that
    ended."""
    by_hand = [state.stamp.id for state in played.states if state.stamp and forged(state)]
    return course.id in by_hand


def moved_by_others(played: Played, course: Course, told: Told) -> bool:
    """Whether anybody but who told it has moved the alias, or put a stamp there by hand.

    Whatever anybody writes on a suspended alias takes it back.
    """
    for write in played.writes:
        meanwhile = course.began - WINDOW <= write.time <= told.time
        moved = write.moves or forged(write.after) or write.before.suspended
        if meanwhile and write.actor is not told.actor and moved:
            return True
    return False


def may_be_its_own(played: Played, course: Course, resumed: Write) -> bool:
    """Whether the rollout that resumes could not know that somebody else had written the suspended
    alias: all of that was so before the rollout had an answer that told its own suspension from
    what came after."""
    if not is_of(course, resumed.before):
        return False
    earlier = [write for write in played.writes if write.time < resumed.time]
    own = [write.time for write in earlier if write.suspends and write.by == course.id]
    since = max(own, default=0.0)
    theirs = [write.time for write in earlier if not write.actor and write.time >= since]
    return all(any(begin <= time <= end for begin, end in course.unsure) for time in theirs)


def by_the_watchdog(write: Write) -> bool:
    return write.actor is not None and write.actor.who == WATCHDOG


# -- what is told ----------------------------------------------------------------------------------


def may_be_told_again(played: Played, course: Course, told: Told, then: Told) -> bool:
    """Whether an ending may be told once more: whoever tells again cannot know that it was told."""
    same_words = told.words == then.words
    first_by_watchdog = told.actor.who == WATCHDOG
    then_by_watchdog = then.actor.who == WATCHDOG
    # How far the other rollout is, which AliasBusy tells, may have changed meanwhile.
    same = same_words or told.status == "AliasBusy"
    if same and course.dies_between(told.time, then.time):
        return True
    if played.plan.has(Fault):
        # What could not be said to the watchdog, because AWS did not answer, it finds and tells
        # for itself.
        if then_by_watchdog and told.actor is not then.actor:
            return True
        # Where answers were lost for longer than the lease, both think that the write was theirs.
        if first_by_watchdog and course.lease_over(told.time):
            return True
    # Two deliveries of one message at once tell the same.
    at_once = played.plan.has(Deliver) and first_by_watchdog and then_by_watchdog
    if at_once and same_words:
        return True
    return pasted(played, course)


def died_telling(course: Course, told: Told) -> bool:
    """A task that died after it had told is run again, and may end otherwise: nobody got its
    answer."""
    by_task = course.plan.driver == "machine"
    return by_task and course.dies_between(told.time, told.time + WINDOW)


def left_to_the_watchdog(played: Played, course: Course) -> bool:
    """Whose lease ran out leaves the telling to it; it finds nothing to tell of where somebody had
    the alias."""
    lost = course.outcome is not None and "The lease was lost" in course.outcome[1]
    late = course.ended and course.lease_over(course.ended)
    if not lost and not late:
        return False
    if course.endings:
        return True
    return any(not write.actor and write.time >= course.began for write in played.writes)


def untrue(played: Played, course: Course, told: Told) -> str:
    """What is wrong with an ending; nothing, where it is true."""
    states = list(played.between(course.began - WINDOW, told.time))
    now = states[-1]
    match told.status:
        case "SUCCEEDED" | "ALREADY_DEPLOYED":
            new = course.plan.version
            if not any(state.version == new and not state.routing for state in states):
                return "but it was never on the new version"
            rolled_back = course.rolled_back and not pasted(played, course)
            if told.status == "SUCCEEDED" and rolled_back:
                return "but ROLLED_BACK was told"
        case "APPROVED":
            if course.plan.finalize:
                return "but it was no rehearsal"
            if not any(state.version == course.original and not state.routing for state in states):
                return "but it was never given back"
        case "AliasChanged":
            return "" if moved_by_others(played, course, told) else "but nobody else moved it"
        case "AliasBusy":
            return _not_busy(course, states, told.time)
        case "RollbackFailed":
            return ""
        case "HealthCheckFailed" if course.plan.version not in played.plan.failing:
            return "but nothing failed"
        case _ if now.routing and now.routing_by == course.id:
            return "but it is split"
        case _ if now.suspended and now.routing_by == course.id and not forged(now):
            return "but it is suspended"
    claimed = "It was rolled back." in told.reason
    if claimed and not any(time <= told.time for time in course.rolled_back):
        return "but no rollback was told"
    return ""


def _not_busy(course: Course, states: list[State], time: float) -> str:
    split = [state for state in states if state.routing or state.suspended]
    if all(state.routing_by == course.id for state in split):
        return "but nobody had split it"
    # What reads like an abandoned suspension, and is written by hand after the alias was looked at,
    # is rolled back by the next rollout.
    late = [state for state in split if state.suspended and state.since > course.began]
    late = [state for state in late if forged(state)]
    if not late and all(abandoned(state, time) for state in split):
        return "but the split was abandoned"
    return ""
