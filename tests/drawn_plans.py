"""The plans that Hypothesis draws for the stateful test: every moment, deed and surrounding that it
knows.

`SEED` says which are drawn; they are the same on every machine.
"""

import math
import os
from collections.abc import Callable
from functools import cache
from typing import Any

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.plans import (
    WATCHDOG,
    At,
    Beside,
    Deliver,
    Ended,
    Fault,
    Kill,
    Plan,
    Rollout,
    Stop,
    Suspended,
    Update,
)

SEED = int(os.environ.get("SEED", "20261123"))


def drawn(examples: int) -> Callable[[Callable[[Plan], None]], Callable[[], None]]:
    """A test of so many plans; it fails with the smallest one that breaks it."""
    configured = settings(
        max_examples=examples,
        database=None,
        deadline=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    return lambda test: seed(SEED)(configured(given(plans())(test)))


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    """Each has only some kinds of deeds, so that these meet each other. In half of them the log has
    the first rollout suspended, if nothing comes before."""
    accused = draw(st.booleans())
    courses = (draw(ACCUSED if accused else FIRST), *draw(OTHERS))
    kinds = frozenset(draw(KINDS) for _ in range(draw(st.integers(1, 3))))
    surroundings = draw(SURROUNDINGS) | draw(AN_ACCUSING_LOG if accused else st.just({}))
    return Plan(courses, draw(happenings(len(courses), kinds)), **surroundings)


# -- moments and deeds -----------------------------------------------------------------------------

VERSIONS = ["6", "7", "8", "9"]

LIKE_A_STAMP = "[rollout {} to 8 at 0.5 (1/2) until {}]"
LIKE_A_SUSPENSION = "[rollout {} to 8 suspended at 0.5 (1/2) until {}]"
FORGED = [
    "Mine " + LIKE_A_STAMP.format("{id}", "2026-01-05T12:05:00Z"),
    LIKE_A_STAMP.format("{id}", "9999-12-31T23:59:59Z"),
    LIKE_A_STAMP.format("dddddddddddd", "2026-01-05T11:05:00Z"),
    "Mine " + LIKE_A_STAMP.format("dddddddddddd", "2026-01-05T12:30:00Z"),
    "Mine " + LIKE_A_STAMP.format("dddddddddddd", "9999-12-31T23:59:59Z"),
    "Mine " + LIKE_A_SUSPENSION.format("{id}", "2026-01-05T12:05:00Z"),
    "Mine " + LIKE_A_SUSPENSION.format("dddddddddddd", "2026-01-05T12:30:00Z"),
    LIKE_A_SUSPENSION.format("dddddddddddd", "2026-01-05T11:05:00Z"),
]
TEXTS = ["", "Mine", "Ours {stamp}", "m" * 256]

WHAT = ["throttled", "broken", "denied", "lost", "late", "unsent", "slow", "stale"]
OF = ["GetAlias", "UpdateAlias", "GetMetricData", "FilterLogEvents", "PutEvents", "SendMessage"]

later = st.sampled_from([0.0, 0.1, 5.0, 100.0, 300.0, 1000.0])
soon = st.sampled_from([0.0, 0.02, 0.1, 4.0, 16.0, 60.0, 150.0])
tenths = st.integers(0, 1200).map(lambda number: number / 10)
minutes = st.integers(0, 40).map(lambda number: number * 60.0)
times = st.builds(At, tenths | minutes)


def beside(who: Any) -> Any:
    return st.builds(Beside, who, st.integers(0, 60), st.booleans())


def operators(texts: list[str]) -> Any:
    """Any update; and, as often, what operators mostly do: promote, take back, reword."""
    said = st.none() | st.sampled_from(texts)
    weights = st.tuples(st.sampled_from(VERSIONS), st.sampled_from([0.2, 0.5, 0.6, 1.0, 0.33]))
    routing = st.none() | st.just(()) | st.tuples(weights)
    return st.one_of(
        st.builds(Update, st.none() | st.sampled_from(VERSIONS), routing, said),
        st.builds(Update, st.just("8"), st.just(()), said),
        st.builds(Update, st.none(), st.just(()), said),
        st.builds(Update, st.none(), st.none(), st.sampled_from(texts)),
    )


@cache
def deeds(number: int) -> dict[str, Any]:
    """By kind: what may happen beside so many rollouts."""
    who = st.integers(0, number - 1)
    anybody = who | st.just(WATCHDOG)
    meanwhile = st.builds(Suspended, who, soon)
    moments = beside(anybody) | times | st.builds(Ended, who, later) | meanwhile
    what = st.sampled_from(WHAT)
    of = st.sampled_from(["", "", *OF])
    seconds = st.sampled_from([5.0, 40.0, 150.0, 800.0, 2000.0])
    return {
        "operators": st.tuples(moments, operators(TEXTS)),
        "forgers": st.tuples(moments, operators(FORGED)),
        "kills": st.tuples(moments, st.builds(Kill, anybody)),
        "stops": st.tuples(moments, st.builds(Stop, who)),
        "messages": st.tuples(moments, st.builds(Deliver, who)),
        "faults": st.tuples(beside(anybody), st.builds(Fault, what, st.just(0.0))),
        "outages": st.tuples(moments, st.builds(Fault, what, seconds, of)),
    }


@cache
def happenings(number: int, kinds: frozenset[str]) -> Any:
    """Deeds of these kinds, beside so many rollouts."""
    of_kinds = [deeds(number)[kind] for kind in sorted(kinds)]
    return st.lists(st.one_of(of_kinds), min_size=1, max_size=8).map(tuple)


KINDS = st.sampled_from(["operators", "kills", "outages", *deeds(1)])


# -- rollouts, and what surrounds them -------------------------------------------------------------


def rollouts(starts: Any, *versions: str, **more: Any) -> Any:
    usual = {
        "driver": st.sampled_from(["loop", "machine"]),
        "weights": st.sampled_from([(0.5, 1.0), (1.0,), (0.2, 0.6, 1.0)]),
        "interval": st.sampled_from([20.0, 5.0, 40.0]),
        "health": st.sampled_from([0.0, False, 60.0]),
        "errors": st.sampled_from(["any", "any", 0.1, "baseline"]),
        "skew": st.sampled_from([0.0, 2.4, -2.4]),
        "budget": st.sampled_from([300.0, 900.0]),
        "finalize": st.sampled_from([True, True, True, False]),
    }
    return st.builds(Rollout, starts=starts, version=st.sampled_from(versions), **(usual | more))


ACCUSED = rollouts(
    st.just(At(0.0)),
    "8",
    interval=st.sampled_from([20.0, 40.0]),
    health=st.sampled_from([0.0, 60.0]),
    errors=st.sampled_from(["any", "any", "any", 0.1]),
    budget=st.sampled_from([500.0, 900.0]),
)
FIRST = rollouts(st.just(At(0.0)), "8", "8", "9")
AFTER_THE_FIRST = st.builds(Ended, st.just(0), later)
MEANWHILE = st.builds(Suspended, st.just(0), soon)
WHENEVER = AFTER_THE_FIRST | beside(st.just(0)) | times | MEANWHILE
MORE = rollouts(WHENEVER, "8", "8", "9", "6", "7")
OTHERS = st.lists(MORE, max_size=2)

SURROUNDINGS: Any = st.fixed_dictionaries(
    {
        "words": st.sampled_from(["Checkout service", "", "c" * 256, "🚀" * 128]),
        "found": st.sampled_from(["", "", "", "", "abandoned", "split"]),
        "failing": st.sampled_from([(), (), ("8",), ("8", "9")]),
        "share": st.sampled_from([1.0, 1.0, 0.05]),
        "delay": st.sampled_from([60.0, -40.0]),
        "log_delay": st.sampled_from([math.inf, 5.0, 5.0, 15.0]),
        "log_fault": st.sampled_from(["", "", "", "", "denied", "throttled", "broken"]),
        "noise": st.sampled_from([0.0, 0.0, 25.0, 7.0]),
        "late": st.sampled_from([0.0, 0.0, 45.0, 300.0]),
        "fires": st.sampled_from([30.0, 0.0, 59.0]),
        "events_lost": st.booleans(),
        "pending": st.sampled_from([0.0, 0.0, 0.0, 30.0, 120.0]),
    }
)

AN_ACCUSING_LOG: Any = st.fixed_dictionaries(
    {
        "failing": st.sampled_from([(), (), ("8",)]),
        "delay": st.sampled_from([60.0, 60.0, 15.0]),
        "log_delay": st.sampled_from([5.0, 15.0]),
        "log_fault": st.just(""),
        "noise": st.sampled_from([7.0, 25.0]),
    }
)
