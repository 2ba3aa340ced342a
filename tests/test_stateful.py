"""Whatever happens, in whatever order: the alias ends on one version, and somebody is told why.

Hypothesis draws plans (tests/drawn_plans.py), each is played in virtual time (tests/scenario.py),
and the rules below are asked of what happened. `SCENARIOS` says how many, `SEED` which; a scenario
that breaks a rule is made as small as possible, and told.
"""

import builtins
import os
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from tests.drawn_plans import LIKE_A_STAMP, SEED, drawn
from tests.plans import (
    WATCHDOG,
    At,
    Beside,
    Deliver,
    Fault,
    Kill,
    Plan,
    Stop,
    Suspended,
    Update,
    fault,
    noisy,
    one,
    quick,
)
from tests.played import (
    ABANDONED,
    NO_ENDINGS,
    OPERATOR,
    Course,
    Played,
    Told,
    Write,
    unstamped,
)
from tests.scenario import Letter, Stage, play
from tests.whose import (
    WINDOW,
    by_the_watchdog,
    died_telling,
    forged,
    is_nobody_s,
    is_of,
    left_to_the_watchdog,
    may_be_its_own,
    may_be_told_again,
    pasted,
    untrue,
)

#: How often a rollout may be suspended.
MOST = 3

SCENARIOS = int(os.environ.get("SCENARIOS", "200"))


class Violation(NamedTuple):
    """`key` names what went wrong, so that the same can be told from something else."""

    key: str
    story: str


# -- the rules: where the alias is -----------------------------------------------------------------


def no_split_is_left_without_a_word(played: Played) -> Iterator[Violation]:
    """At the end the alias is unsplit; or an operator's own split; or somebody was told of it."""
    last = played.states[-1]
    course = played.by_id(last.routing_by)
    if not last.routing or course is None or forged(last):
        return
    if played.plan.events_lost and course.plan.driver == "machine" and not last.stamp:
        return  # the schedule takes only what has a stamp: it may be somebody's own by then
    share = last.sentence.partition(", the rest")[0]  # whose the rest is may have changed since
    if not any(share in told.where for told in course.endings):
        stamp = "with" if last.stamp else "without"
        yield Violation(f"left split {stamp} a stamp", f"{course} has left it: {last.sentence}")


def no_suspension_is_left(played: Played) -> Iterator[Violation]:
    """At the end no rollout's stamp says that it is suspended."""
    last = played.states[-1]
    course = played.by_id(last.stamp.id if last.stamp else "")
    if last.suspended and course and not forged(last):
        yield Violation("left suspended", f"{course} has left it: {last.description!r}")


def nobody_s_version_is_overwritten(played: Played) -> Iterator[Violation]:
    """A rollout moves the alias to another version only from its original version to its new one,
    and under a split of its own."""
    for course, write in played.deployers_writes():
        move = (write.before.version, write.after.version)
        finalized = move == (course.original, course.plan.version) and is_of(course, write.before)
        if write.before.version != write.after.version and not finalized:
            yield written("FunctionVersion overwritten", course, write)


def nobody_s_split_is_overwritten(played: Played) -> Iterator[Violation]:
    """A deployer or a watchdog replaces only a split, or a suspension, that is its rollout's, or
    nobody's."""
    for course, write in played.splits_replaced():
        before = write.before
        if not is_of(course, before) and not is_nobody_s(played, before, write.time):
            kind = "suspension" if before.suspended else "split"
            yield written(f"a {kind} overwritten", course, write)


def the_watchdog_lets_the_living_work(played: Played) -> Iterator[Violation]:
    """It takes no split of a rollout that lives and whose lease has not run out."""
    for course, write in played.splits_replaced():
        before = write.before
        own = is_of(course, before) or is_nobody_s(played, before, write.time)
        in_time = course.lives(write.time) and not course.lease_over(write.time)
        if own and by_the_watchdog(write) and in_time:
            yield written("the watchdog fights the living", course, write)


def nothing_is_split_on_another_version(played: Played) -> Iterator[Violation]:
    """A rollout splits the alias only while it stands on the original version."""
    for course, write in played.deployers_writes():
        if write.resplits and write.before.version != course.original:
            yield written("a version overwritten by a split", course, write)


def what_was_taken_back_stays_so(played: Played) -> Iterator[Violation]:
    """A rollout whose split somebody else took out does not split the alias again, nor does it
    suspend it; one whose suspension somebody took back does not resume."""
    have_split = set[str]()
    for write in played.writes:
        course = played.by_id(write.by)
        if write.actor and course and course.id in have_split and not write.before.routing:
            rests = is_of(course, write.before) and write.before.suspended
            own = write.before.routing_by == write.by
            taken_back = not own and not (rests and may_be_its_own(played, course, write))
            if write.resplits and (taken_back or not rests):
                kind = "a take-back" if write.before.suspended else "a rollback"
                yield written(f"{kind} overwritten", course, write)
            if write.suspends:
                yield written("a rollback suspended", course, write)
        if write.after.routing:
            have_split.add(write.after.routing_by)


def while_suspended_every_call_goes_to_the_original(played: Played) -> Iterator[Violation]:
    """What a rollout suspends stands on its original version alone, and was its own split."""
    for course, write in played.deployers_writes():
        stamp = write.after.stamp
        if stamp is None or not stamp.suspended or stamp.id != course.id:
            continue
        if write.after.routing or write.after.version != course.original:
            yield written("suspended elsewhere", course, write)
        if not is_of(course, write.before):
            yield written("suspended what is not its own", course, write)


def after_its_ending_it_moves_nothing(played: Played) -> Iterator[Violation]:
    """Save what could not be undone or taken out."""
    for course in played.courses:
        final = [each for each in course.endings if not died_telling(course, each)]
        final = [each for each in final if each.status not in ("RollbackFailed", "AliasChanged")]
        for write in played.writes if final else ():
            late = write.by == course.id and write.time > final[0].time
            if write.actor and late and write.moves:
                when = f"{final[0]}, and at {write.time:.2f} s {write.actor}"
                yield Violation(f"moved after {final[0].status}", f"{course}: {when}")


# -- the rules: the user's words -------------------------------------------------------------------


def nobody_s_words_are_overwritten(played: Played) -> Iterator[Violation]:
    """What a deployer or a watchdog writes are the words that stood; shortened at most, while its
    stamp stands."""
    for write in played.writes:
        words = write.before.words
        shown = unstamped(write.after.description)
        shortened = shown.endswith("…") and words.startswith(shown[:-1]) and write.after.stamp
        if write.actor and shown != words and not shortened:
            story = f"at {write.time:.2f} s {write.actor}: {words!r} by {shown!r}"
            yield Violation("words overwritten", story)


def the_last_words_stand_alone(played: Played) -> Iterator[Violation]:
    """At the end the description is the last words of a user, exactly, and no stamp of ours is
    left."""
    last = played.states[-1]
    if last.text_by in (OPERATOR, ABANDONED) or last.description == last.words or last.routing:
        return
    kind = "a stamp is left" if last.stamp else "words lost"
    yield Violation(kind, f"it is {last.description!r}, and should be {last.words!r}")


# -- the rules: somebody is told why ---------------------------------------------------------------


def whoever_ends_has_told(played: Played) -> Iterator[Violation]:
    """A rollout that neither died nor was stopped has told how it ended."""
    for course, status, _ in outcomes(played):
        if not told_itself(course) and not left_to_the_watchdog(played, course):
            kind = f"never told: {status} ({course.plan.driver})"
            yield Violation(kind, f"{course} ended {course.outcome}")


def what_was_told_is_how_it_ended(played: Played) -> Iterator[Violation]:
    """What it told last is what its result or its error says."""
    for course, status, text in outcomes(played):
        for told in told_itself(course)[-1:]:
            story = f"{course} told {told}, and ended {course.outcome}"
            # What a Rollback told may be an earlier try than the one that ended the execution: the
            # alias may have moved on.
            where = told.where in text or course.plan.driver == "machine"
            if told.status != status:
                kind = f"told {told.status}, ended {status} ({course.plan.driver})"
                yield Violation(kind, story)
            elif status != "RollbackFailed" and text and not (told.reason in text and where):
                yield Violation(f"told otherwise: {status}", story)


def an_ending_is_told_once(played: Played) -> Iterator[Violation]:
    """Once more only where whoever told it has died since, or could not say so."""
    for course in played.courses:
        for told, then in pairwise(course.endings):
            again = told.status == then.status
            if again and not may_be_told_again(played, course, told, then):
                yield Violation(f"told again: {told.status}", f"{course}: {told}, and {then}")


def a_rollout_has_one_ending(played: Played) -> Iterator[Violation]:
    """Another one only after RollbackFailed."""
    for course in played.courses:
        answered = [told for told in course.endings if not died_telling(course, told)]
        statuses = list(dict.fromkeys(told.status for told in answered or course.endings))
        if statuses[:1] == ["RollbackFailed"]:
            statuses = statuses[1:]
        if len(statuses) > 1 and not pasted(played, course):
            told = "; ".join(str(each) for each in course.endings)
            kind = f"endings: {' '.join(statuses)} ({course.plan.driver})"
            yield Violation(kind, f"{course}: {told}")


def a_rollback_is_told(played: Played) -> Iterator[Violation]:
    """Who takes back a rollout's split, and lives, tells how it ended."""
    for course, write in played.deployers_writes():
        before = write.before
        after = write.after
        # The rest of it, beside a version of somebody else's, was told of.
        own = before.routing_by == course.id and before.version == course.original
        moved = before.routing or before.suspended
        taken = not after.routing and not after.suspended and after.version == before.version
        took = moved and taken
        if not took or not own or forged(before) or not write.actor or write.actor.dead:
            continue
        if not any(told.time >= write.time for told in course.endings):
            story = f"{course}: by {write.actor} at {write.time:.2f} s"
            yield Violation("a rollback untold", story)


def suspensions_are_told_in_turn(played: Played) -> Iterator[Violation]:
    """SUSPENDED, then RESUMED or an ending; at most three times."""
    for course in played.courses:
        statuses = [each.status for each in told_once(course)]
        if statuses != (["SUSPENDED", "RESUMED"] * len(statuses))[: len(statuses)]:
            yield Violation("told out of order", f"{course}: {statuses}")
        if statuses.count("SUSPENDED") > MOST:
            yield Violation("suspended too often", f"{course}: {statuses}")


def who_was_suspended_has_an_ending(played: Played) -> Iterator[Violation]:
    """It is told; or somebody else had the alias by then, and there is nothing of it to tell."""
    for course, write in played.deployers_writes():
        if not write.suspends or course.endings:
            continue
        others = any(not each.actor and each.time >= write.time for each in played.writes)
        if not others:
            yield written("suspended, and never told", course, write)


def every_suspension_was_told(played: Played) -> Iterator[Violation]:
    """Soon, by who made it, unless that died; or an ending was."""
    for course, write in played.deployers_writes():
        if not write.suspends or not write.actor or write.actor.dead:
            continue
        until = write.time + 2 * WINDOW
        told = [each.time for each in (*course.suspensions, *course.endings)]
        soon = any(write.time <= time <= until for time in told)
        if not soon and not course.dies_between(write.time, until):
            yield written("suspended without a word", course, write)


def a_rollback_that_fails_is_told(played: Played) -> Iterator[Violation]:
    """Who tries to take back a rollout's split, and fails, tells it."""
    for time, actor, text in played.failed_rollbacks:
        for course in played.courses:
            told = any(each.time <= time for each in course.endings)
            if actor.ids == (course.id,) and not told:
                story = f"{course}: at {time:.2f} s {actor} failed: {text}"
                yield Violation("RollbackFailed untold", story)


# -- the rules: what is told is true ---------------------------------------------------------------


def where_is_true(played: Played) -> Iterator[Violation]:
    """Where an ending says the alias is, there it was just before; or it could not be read, and was
    so once."""
    suspended = ((course, told) for course in played.courses for told in course.suspensions)
    for course, told in [*played.endings(), *suspended]:
        if told.where.startswith(("The alias was not moved", "The alias was neither")):
            continue
        since = 0.0 if "could not be read" in told.where else told.time - WINDOW
        lately = played.between(since, told.time)
        ends = [state.sentence.rpartition("checkout' ")[2] for state in lately]
        if told.where and not told.where.endswith(tuple(ends)):
            yield Violation(f"where is untrue: {told.status}", f"{course}: {told}")


def the_ending_is_true(played: Played) -> Iterator[Violation]:
    """What an ending claims has come to pass."""
    for course, told in played.endings():
        why = untrue(played, course, told)
        if why:
            kind = f"untrue: {told.status}, {why} ({course.plan.driver})"
            yield Violation(kind, f"{course}: {told}")


def no_warning_comes_twice(played: Played) -> Iterator[Violation]:
    """An ending's warnings differ."""
    for course, told in played.endings():
        if len(set(told.warnings)) < len(told.warnings):
            yield Violation("a warning twice", f"{course}: {told.status}: {told.warnings}")


def nothing_unexpected_comes_out(played: Played) -> Iterator[Violation]:
    """Nobody meets an exception that is not of the tree: a task may raise its own, if it is not
    told of."""
    for name, where in played.unexpected:
        told = any(name in each.reason for _, each in played.endings())
        if told or hasattr(builtins, name) or not where.startswith("the state machine"):
            yield Violation(f"unexpected: {name}, {where.partition(':')[0]}", f"{name} in {where}")


Rule = Callable[[Played], Iterator[Violation]]

RULES: tuple[Rule, ...] = (
    no_split_is_left_without_a_word,
    no_suspension_is_left,
    nobody_s_version_is_overwritten,
    nobody_s_split_is_overwritten,
    the_watchdog_lets_the_living_work,
    nothing_is_split_on_another_version,
    what_was_taken_back_stays_so,
    while_suspended_every_call_goes_to_the_original,
    after_its_ending_it_moves_nothing,
    nobody_s_words_are_overwritten,
    the_last_words_stand_alone,
    whoever_ends_has_told,
    what_was_told_is_how_it_ended,
    an_ending_is_told_once,
    a_rollout_has_one_ending,
    a_rollback_is_told,
    suspensions_are_told_in_turn,
    who_was_suspended_has_an_ending,
    every_suspension_was_told,
    a_rollback_that_fails_is_told,
    where_is_true,
    the_ending_is_true,
    no_warning_comes_twice,
    nothing_unexpected_comes_out,
)

#: What is known to go wrong: how a violation's key begins. A scenario that breaks only these is
#: counted, and passes.
KNOWN: tuple[str, ...] = ()


# -- the promise -----------------------------------------------------------------------------------


def test_whatever_happens_the_promise_holds(capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally()

    @drawn(SCENARIOS)
    def holds(plan: Plan) -> None:
        played = play(plan)
        found = violations(played)
        tally.add(played, found)
        assert_nothing_new(found, played)

    holds()
    with capsys.disabled():
        print(tally)


def test_a_plan_is_played_the_same_way_every_time() -> None:
    @drawn(20)
    def look(plan: Plan) -> None:
        assert play(plan).journal == play(plan).journal

    look()


# -- what was found once, as the smallest plan that shows it ---------------------------------------

FAILING: dict[str, Any] = {"failing": ("8",), "delay": -40.0}
PROMOTED = Update("8", ())
TAKEN_BACK = Update(routing=())
REWORDED = Update(text="Mine")
ONCE_MORE = Update()
LONG_PAST = Update(text=LIKE_A_STAMP.format("dddddddddddd", "2026-01-05T11:05:00Z"))
YEAR_9999 = Update(text=LIKE_A_STAMP.format("dddddddddddd", "9999-12-31T23:59:59Z"))

FOUND = {
    "reworded as a whole, then killed before the next look": quick(
        (At(12), REWORDED), (At(13), Kill(0))
    ),
    "killed, then reworded as a whole": quick((At(10), Kill(0)), (At(12), REWORDED)),
    "stopped, then reworded as a whole": quick(
        (At(10), Stop(0)), (At(12), REWORDED), driver="machine"
    ),
    "promoted in preflight beside an abandoned split, loop": quick(
        (At(0.1), PROMOTED), found="abandoned"
    ),
    "promoted in preflight beside an abandoned split, machine": quick(
        (At(0.12), PROMOTED), driver="machine", found="abandoned"
    ),
    "an abandoned split touched in preflight": quick((At(0.1), Update()), found="abandoned"),
    "promoted before the first shift": quick((At(0.12), PROMOTED), driver="machine"),
    "promoted between the last look and Finalize": quick((At(40.8), PROMOTED), driver="machine"),
    "promoted while a shift fails": quick(fault(20, 60), (At(25), PROMOTED), driver="machine"),
    "promoted while Finalize fails": quick(fault(40, 60), (At(45), PROMOTED), driver="machine"),
    "promoted while Rollback fails": quick(
        fault(10, 120), (At(100), PROMOTED), driver="machine", **FAILING
    ),
    "every answer to Finalize is lost": quick(fault(40.6, 40, "", "lost"), driver="machine"),
    "a rollback that fails is told at the watchdog's second delivery": quick(
        (At(10), Kill(0)), fault(11, 2000), fault(140, 250, "GetAlias")
    ),
    "a weight beside somebody's version cannot be taken out for long": quick(
        (At(10), Kill(0)), (At(12), Update("9")), fault(100, 2000)
    ),
    "a rollback fails for long, loop": quick(fault(30, 2000)),
    "a rollback fails for long, machine": quick(fault(30, 2000), driver="machine"),
    "every answer is lost for longer than anything waits": quick(fault(8.8, 150, "", "late")),
    "a stamp of the year 9999, loop": quick((At(12), YEAR_9999), then=(one(starts=At(100.0)),)),
    "a stamp of the year 9999, machine": quick(
        (At(12), YEAR_9999), then=(one("machine", starts=At(100.0)),)
    ),
    "GetAlias lags behind the shift": Plan(
        (one("machine", weights=(1.0,), interval=5.0),), (fault(0.1, 40, "GetAlias", "stale"),)
    ),
    "moved while the version is Pending": Plan(
        (one("machine", version="9"),), ((At(1), Update("8")),), pending=120.0
    ),
    "refused, told, killed, and run again": Plan(
        (one("machine", version="9"),),
        ((Beside(0, 13, True), Kill(0)), (At(63.8), Kill(0))),
        pending=120.0,
    ),
    "finalized, told, killed, and the next has begun": quick(
        (Beside(0, 17, True), Kill(0)),
        driver="machine",
        then=(one(starts=Beside(0, 16, True), version="9"),),
    ),
    "long words are taken over from under a dead rollout's stamp": quick(
        (At(10), Kill(0)),
        (At(12), TAKEN_BACK),
        then=(one(starts=At(20.0), version="9"),),
        words="c" * 256,
    ),
    "somebody's own split has the next weight, beside another version": quick(
        (At(20.3), Update("6", (("8", 1.0),)))
    ),
    "killed, and under a dead rollout's stamp, which is wiped later": quick(
        (At(10), Kill(0)), (At(10), LONG_PAST), (At(1000), REWORDED)
    ),
    "promoted while suspended, and the description is left": noisy(
        (Suspended(0, 5.0), Kill(0)),
        (Suspended(0, 6.0), PROMOTED),
        then=(one(starts=Suspended(0, 60.0), version="9"),),
    ),
    "the suspension's answer is lost, and it is taken back meanwhile": noisy(
        (Suspended(0, 2.0), TAKEN_BACK), fault(8, 6, what="lost")
    ),
    "the task that suspends dies, and it is taken back before the next": noisy(
        (Suspended(0, 0.0), Kill(0)), (Suspended(0, 0.02), ONCE_MORE), driver="machine"
    ),
    "the task that suspends dies, is taken back at once, and its next one has another clock": Plan(
        (one("machine", budget=900.0, skew=2.4),),
        ((Suspended(0, 0.0), Kill(0)), (Suspended(0, 0.0), ONCE_MORE)),
        log_delay=5.0,
        noise=7.0,
    ),
    "a late write has rolled a suspension back while its deployer tries": noisy(
        (Beside(WATCHDOG, 0, False), Fault("late", 5.0, "UpdateAlias")),
        (Suspended(0, 0.0), Fault("throttled", 800.0, "UpdateAlias")),
    ),
    "another rollout is suspended when the lease of one that was refused has run out": noisy(
        (Beside(0, 1, False), Fault("throttled", 150.0, "GetAlias")),
        then=(one(starts=Beside(0, 0, False)),),
    ),
    "the watchdog's message comes early": quick((At(10), Deliver(0))),
    "the watchdog's message comes twice at once": quick(
        (At(10), Kill(0)), (At(299), Deliver(0)), (At(299), Deliver(0))
    ),
    "our stamp comes back after the end": quick(
        (At(60), Update(text="Mine " + LIKE_A_STAMP.format("{id}", "2026-01-05T12:05:00Z")))
    ),
}


@pytest.mark.parametrize("plan", FOUND.values(), ids=FOUND)
def test_what_was_found_once_does_not_come_back(plan: Plan) -> None:
    played = play(plan)
    assert_nothing_new(violations(played), played)


# -- the rules bite: of a world in which something is broken they say so ---------------------------


class NoWatchdog(Stage):
    """Its messages are never delivered."""

    def post(self, letter: Letter, due: float) -> None:
        pass


class NoLock(Stage):
    """AWS takes every write, whatever its `RevisionId`."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan)
        self.alias.locked = False


class Deaf(Stage):
    """What is told reaches nobody."""

    def tell(self, detail: dict[str, Any]) -> Told:
        told = super().tell(detail)
        for course in self.courses:
            course.endings = [each for each in course.endings if each is not told]
        return told


class Wordy(Stage):
    """Whatever is told is told twice."""

    def tell(self, detail: dict[str, Any]) -> Told:
        super().tell(detail).heard = True
        return super().tell(detail)


class Fickle(Stage):
    """After each ending another one is told."""

    def tell(self, detail: dict[str, Any]) -> Told:
        told = super().tell(detail)
        if told.status not in NO_ENDINGS:
            super().tell({**detail, "status": "RolloutInterrupted"})
        return told


class Liar(Stage):
    """It tells of the wrong place, of a success, of a repeated warning."""

    def tell(self, detail: dict[str, Any]) -> Told:
        if detail["status"] in NO_ENDINGS:
            return super().tell(detail)
        where = "Alias 'live' of 'checkout' is on version 5."
        return super().tell(
            {**detail, "status": "SUCCEEDED", "where": where, "warnings": ["No", "No"]}
        )


class Mute(Stage):
    """It tells of no suspension."""

    def tell(self, detail: dict[str, Any]) -> Told:
        told = super().tell(detail)
        for course in self.courses:
            course.suspensions.clear()
        return told


class Restless(Stage):
    """It tells of every suspension four times."""

    def tell(self, detail: dict[str, Any]) -> Told:
        for status in ("SUSPENDED", "RESUMED") * 3 if detail["status"] == "SUSPENDED" else ():
            super().tell({**detail, "status": status}).heard = True
        return super().tell(detail)


@pytest.mark.parametrize(
    ("world", "plan", "expected"),
    [
        (NoWatchdog, quick((At(10), Kill(0))), "left split with a stamp"),
        (NoWatchdog, quick((At(10), Kill(0)), (At(12), Update(None, (), None))), "a stamp is left"),
        (NoLock, quick((At(20.3), Update("9", ()))), "a version overwritten by a split"),
        (NoLock, quick((At(20.3), Update(None, ()))), "a rollback overwritten"),
        (NoLock, quick((At(20.3), Update(None, (("9", 0.2),)))), "a split overwritten"),
        (NoLock, quick((At(20.4), Update(text="Mine"))), "words overwritten"),
        (NoLock, quick((At(40.4), Update("9", ()))), "FunctionVersion overwritten"),
        (NoWatchdog, noisy((Suspended(0, 5.0), Kill(0))), "left suspended"),
        (NoLock, noisy((Beside(0, 36, False), TAKEN_BACK)), "a take-back overwritten"),
        (NoLock, noisy((Beside(0, 12, False), TAKEN_BACK)), "a rollback suspended"),
        (NoLock, noisy((Beside(0, 12, False), Update("9", ()))), "suspended elsewhere"),
        (NoLock, noisy((Beside(0, 12, False), TAKEN_BACK)), "suspended what is not its own"),
        (NoLock, noisy(then=(one(version="9"),), pending=11.0), "a suspension overwritten"),
        (Mute, noisy(), "suspended without a word"),
        (Wordy, noisy(), "told out of order"),
        (Restless, noisy(), "suspended too often"),
        (Deaf, noisy((Suspended(0, 5.0), Kill(0))), "suspended, and never told"),
        (Deaf, quick(), "never told: SUCCEEDED (loop)"),
        (Deaf, quick((At(10), Kill(0))), "a rollback untold"),
        (Wordy, quick(), "told again: SUCCEEDED"),
        (Fickle, quick(), "endings: SUCCEEDED RolloutInterrupted (loop)"),
        (Fickle, quick(), "told RolloutInterrupted, ended SUCCEEDED (loop)"),
        (Liar, quick(), "where is untrue: SUCCEEDED"),
        (Liar, quick(), "a warning twice"),
        (Liar, quick(**FAILING), "untrue: SUCCEEDED, but it was never on the new version (loop)"),
    ],
)
def test_the_rules_bite(world: type[Stage], plan: Plan, expected: str) -> None:
    assert expected in {each.key for each in violations(play(plan, world))}


# -- what the rules and the stories need -----------------------------------------------------------


def written(key: str, course: Course, write: Write) -> Violation:
    """The violation of a write that should not have been."""
    before = f"{write.before.version} {write.before.routing} {write.before.description[-90:]!r}"
    after = f"{write.after.version} {write.after.routing}"
    who = f"at {write.time:.2f} s {write.actor}, for {course}"
    return Violation(key, f"{who}: {after} in the place of {before} by {write.before.routing_by}")


def outcomes(played: Played) -> Iterator[tuple[Course, str, str]]:
    """How each rollout ended that neither died nor was stopped: its status and its error's text."""
    for course in played.courses:
        if course.outcome and course.outcome[0] not in ("Lambda.Unknown", "Runtime.ExitError"):
            yield course, *course.outcome


def told_once(course: Course) -> Iterator[Told]:
    """SUSPENDED and RESUMED; what a task told that died, and was run again, once."""
    before = None
    for told in course.suspensions:
        again = before is not None and told.status == before.status
        if not (again and before and course.dies_between(before.time, told.time)):
            yield told
        before = told


def told_itself(course: Course) -> list[Told]:
    return [told for told in course.endings if told.actor.who == course.number]


def violations(played: Played) -> list[Violation]:
    """All; their keys say what special was in the plan."""
    stale = any(isinstance(deed, Fault) and deed.what == "stale" for _, deed in played.plan.deeds)
    special = {
        "a forged stamp": any(forged(state) for state in played.states),
        "a message in addition": played.plan.has(Deliver),
        "a stale answer": stale,
    }
    beside = "".join(f", beside {name}" for name, there in special.items() if there)
    return [Violation(key + beside, story) for rule in RULES for key, story in rule(played)]


def assert_nothing_new(found: list[Violation], played: Played) -> None:
    new = [f"{key}: {story}" for key, story in found if not key.startswith(KNOWN)]
    assert not new, "\n".join([*new, played.story])


class Tally:
    """What was played."""

    def __init__(self) -> None:
        self.scenarios = 0
        self.deeds = 0
        self.split = 0
        self.ended: Counter[str] = Counter()
        self.known: Counter[str] = Counter()

    def add(self, played: Played, found: list[Violation]) -> None:
        self.known.update({each.key for each in found if each.key.startswith(KNOWN)})
        self.scenarios += 1
        self.deeds += played.done
        self.split += any(state.routing for state in played.states)
        for course in played.courses:
            if course.stopped:
                self.ended["stopped"] += 1
            elif course.outcome:
                self.ended[course.outcome[0]] += 1
            elif course.started is not None:
                self.ended["killed"] += 1

    def __str__(self) -> str:
        ended = ", ".join(f"{number} {how}" for how, number in self.ended.most_common())
        split = f"in {self.split} the alias was split; {self.deeds} deeds of others"
        lines = [f"{self.scenarios} scenarios, seed {SEED}; {split}", f"rollouts ended: {ended}"]
        if self.known:
            lines.append("known violations:")
        lines += [f"  {number} × {key}" for key, number in self.known.most_common()]
        return "".join(f"\n  {line}" for line in lines)
