"""Whose the alias is: the whole table, row by row, and what must hold in every row that one can
think of."""

from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from deployer.decisions.ownership import Hold, Snapshot, Want, Whose, judge, same_weight
from deployer.decisions.stamp import Stamp, write

NOW = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)
LATER, LONG_AGO = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
OURS, OTHERS = "aaaaaaaaaaaa", "bbbbbbbbbbbb"
WORDS = "Checkout service"

#: Our weight is 0.3, the next one 0.4; the original version is 7, the new one 8.
STAMPS = {
    "none": None,
    "ours": Stamp(OURS, "8", 0.3, 3, 10, LATER),
    "another's": Stamp(OTHERS, "8", 0.3, 3, 10, LATER),
    "one to 9": Stamp(OTHERS, "9", 0.3, 3, 10, LATER),
    "a dead one's": Stamp(OTHERS, "8", 0.3, 3, 10, LONG_AGO),
    "ours, suspended": Stamp(OURS, "8", 0.3, 3, 10, LATER, suspended=True),
    "another's, suspended": Stamp(OTHERS, "8", 0.3, 3, 10, LATER, suspended=True),
    "a dead one's, suspended": Stamp(OTHERS, "8", 0.3, 3, 10, LONG_AGO, suspended=True),
}
ROUTINGS: dict[str, dict[str, float]] = {
    "alone": {},
    "our weight": {"8": 0.3},
    "the next weight": {"8": 0.4},
    "another weight": {"8": 0.7},
    "another version": {"9": 0.3},
    "the original's": {"7": 0.6},
}
WANTS = {
    "shift": Want({"8": 0.4}, stamp=Stamp(OURS, "8", 0.4, 4, 10, LATER)),
    "roll back": Want({}, rolling_back=True),
    "finalize": Want({}, version="8"),
    "suspend": Want({}, stamp=STAMPS["ours, suspended"]),
}


def found(version: str, routing: str, stamp: str, revision: str = "new") -> Snapshot:
    answer: dict[str, Any] = {"FunctionVersion": version, "RevisionId": revision}
    answer["Description"] = write(WORDS, STAMPS[stamp])
    if ROUTINGS[routing]:
        answer["RoutingConfig"] = {"AdditionalVersionWeights": ROUTINGS[routing]}
    return Snapshot(answer)


def hold(shifted: bool, **more: Any) -> Hold:
    weights = (0.3, 0.4) if shifted else ()  # the last one, and one that is on its way
    held = Hold(OURS, "7", "8", weights, shifted, revision="last", superseded=("older",))
    return Hold(**{**held.__dict__, **more})


#: After a shift of ours: the alias as it was found; whose it is by what is wanted: to shift, to
#: roll back, to finalize; and what of ours is to be taken out where it is somebody else's.
AFTER_A_SHIFT = """
7  our weight       ours          OURS        OURS       OURS        weight stamp
7  our weight       none          OURS        OURS       OURS        weight
7  the next weight  ours          THEIRS      THEIRS     THEIRS      stamp
7  our weight       another's     THEIRS      THEIRS     THEIRS
7  our weight       a dead one's  THEIRS      THEIRS     THEIRS
7  another weight   ours          THEIRS      THEIRS     THEIRS      stamp
7  another weight   none          THEIRS      THEIRS     THEIRS
7  another weight   another's     THEIRS      THEIRS     THEIRS
7  another version  ours          THEIRS      THEIRS     THEIRS      stamp
7  another version  none          THEIRS      THEIRS     THEIRS
7  another version  another's     THEIRS      THEIRS     THEIRS
7  alone            ours          TAKEN_BACK  OURS       TAKEN_BACK  stamp
7  alone            none          TAKEN_BACK  AS_WANTED  TAKEN_BACK
7  alone            another's     TAKEN_BACK  OURS       TAKEN_BACK
8  alone            ours          PROMOTED    PROMOTED   PROMOTED    stamp
8  alone            none          PROMOTED    PROMOTED   AS_WANTED
8  alone            another's     PROMOTED    PROMOTED   PROMOTED
8  the original's   ours          THEIRS      THEIRS     THEIRS      stamp
8  the original's   none          THEIRS      THEIRS     THEIRS
8  the original's   another's     THEIRS      THEIRS     THEIRS
8  another version  another's     THEIRS      THEIRS     THEIRS
8  another version  one to 9      PROMOTED    PROMOTED   PROMOTED
8  another version  none          THEIRS      THEIRS     THEIRS
9  alone            ours          THEIRS      THEIRS     THEIRS      stamp
9  alone            none          THEIRS      THEIRS     THEIRS
9  alone            another's     THEIRS      THEIRS     THEIRS
9  our weight       ours          THEIRS      THEIRS     THEIRS      weight stamp
9  our weight       none          THEIRS      THEIRS     THEIRS      weight
9  our weight       another's     THEIRS      THEIRS     THEIRS
9  another weight   ours          THEIRS      THEIRS     THEIRS      stamp
"""

#: Before: nothing of ours can be on it, but for a stamp whose write's answer was lost.
BEFORE_A_SHIFT = """
7  alone            none          OURS        AS_WANTED  OURS
7  alone            another's     OURS        OURS       OURS
7  alone            ours          TAKEN_BACK  OURS       TAKEN_BACK  stamp
7  our weight       none          BUSY        BUSY       BUSY
7  our weight       another's     BUSY        BUSY       BUSY
7  our weight       a dead one's  ABANDONED   ABANDONED  ABANDONED
7  another weight   none          BUSY        BUSY       BUSY
7  another weight   another's     BUSY        BUSY       BUSY
7  another version  none          BUSY        BUSY       BUSY
7  another version  a dead one's  BUSY        BUSY       BUSY
8  alone            none          PROMOTED    PROMOTED   AS_WANTED
8  alone            another's     PROMOTED    PROMOTED   PROMOTED
8  the original's   none          BUSY        BUSY       BUSY
9  alone            none          THEIRS      THEIRS     THEIRS
9  another weight   none          BUSY        BUSY       BUSY
"""


def rows(table: str, shifted: bool) -> list[tuple[Any, ...]]:
    cut = (slice(0, 1), slice(3, 20), slice(20, 34), slice(34, 46), slice(46, 57), slice(57, 69))
    lines = [line for line in table.splitlines() if line]
    return [(shifted, *(line[part].strip() for part in cut), line[69:].split()) for line in lines]


@pytest.mark.parametrize("row", rows(AFTER_A_SHIFT, True) + rows(BEFORE_A_SHIFT, False), ids=str)
def test_a_row_of_the_table(row: tuple[Any, ...]) -> None:
    shifted, version, routing, stamp, *whose, ours = row
    snapshot = found(version, routing, stamp)
    for want, expected in zip(WANTS, [*whose, whose[0]], strict=True):  # to suspend is to shift
        finding = judge(hold(shifted), WANTS[want], snapshot, NOW)
        assert finding == (expected, "weight" in ours, "stamp" in ours), want


#: While a suspension of ours lasts: the alias as it was found, under our own revision, which AWS
#: answered to that, or under a new one; whose it is by what is wanted: to resume, to roll back, to
#: finalize, to suspend.
WHILE_SUSPENDED = """
7  alone            ours, suspended         own OURS       OURS       OURS       AS_WANTED  stamp
7  alone            another's, suspended    own TAKEN_BACK TAKEN_BACK TAKEN_BACK TAKEN_BACK
7  alone            a dead one's, suspended own TAKEN_BACK TAKEN_BACK TAKEN_BACK TAKEN_BACK
7  alone            ours, suspended         new TAKEN_BACK OURS       TAKEN_BACK TAKEN_BACK stamp
7  alone            another's, suspended    new TAKEN_BACK TAKEN_BACK TAKEN_BACK TAKEN_BACK
7  alone            a dead one's, suspended new TAKEN_BACK TAKEN_BACK TAKEN_BACK TAKEN_BACK
7  alone            ours                    new TAKEN_BACK OURS       TAKEN_BACK TAKEN_BACK stamp
7  alone            none                    new TAKEN_BACK AS_WANTED  TAKEN_BACK TAKEN_BACK
7  alone            another's               new TAKEN_BACK OURS       TAKEN_BACK TAKEN_BACK
7  our weight       none                    new OURS       OURS       OURS       OURS       weight
7  our weight       ours                    new OURS       OURS       OURS       OURS       weight stamp
7  our weight       ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  the next weight  ours                    new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  the next weight  ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  another weight   ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  another version  ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  our weight       another's               new THEIRS     THEIRS     THEIRS     THEIRS
8  alone            ours, suspended         new PROMOTED   PROMOTED   PROMOTED   PROMOTED   stamp
8  alone            none                    new PROMOTED   PROMOTED   AS_WANTED  PROMOTED
8  the original's   ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
9  alone            ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
9  our weight       ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
"""

#: Found under the stamp of a rollout that is suspended, while no suspension of ours was answered:
#: after a shift of ours.
A_SUSPENSION_AFTER_A_SHIFT = """
7  alone            ours, suspended         new TAKEN_BACK OURS       TAKEN_BACK AS_WANTED  stamp
7  alone            another's, suspended    new TAKEN_BACK TAKEN_BACK TAKEN_BACK TAKEN_BACK
7  alone            a dead one's, suspended new TAKEN_BACK TAKEN_BACK TAKEN_BACK TAKEN_BACK
7  our weight       ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  our weight       another's, suspended    new THEIRS     THEIRS     THEIRS     THEIRS
7  our weight       a dead one's, suspended new THEIRS     THEIRS     THEIRS     THEIRS
7  another weight   ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  another weight   another's, suspended    new THEIRS     THEIRS     THEIRS     THEIRS
7  another weight   a dead one's, suspended new THEIRS     THEIRS     THEIRS     THEIRS
8  alone            ours, suspended         new PROMOTED   PROMOTED   PROMOTED   PROMOTED   stamp
8  alone            another's, suspended    new PROMOTED   PROMOTED   PROMOTED   PROMOTED
8  alone            a dead one's, suspended new PROMOTED   PROMOTED   PROMOTED   PROMOTED
9  alone            ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
9  alone            another's, suspended    new THEIRS     THEIRS     THEIRS     THEIRS
9  alone            a dead one's, suspended new THEIRS     THEIRS     THEIRS     THEIRS
"""

#: Before: our own is what a task has written that died, and is run again.
A_SUSPENSION_BEFORE_A_SHIFT = """
7  alone            ours, suspended         new TAKEN_BACK OURS       TAKEN_BACK AS_WANTED  stamp
7  alone            another's, suspended    new BUSY       BUSY       BUSY       BUSY
7  alone            a dead one's, suspended new ABANDONED  ABANDONED  ABANDONED  ABANDONED
7  our weight       ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  our weight       another's, suspended    new BUSY       BUSY       BUSY       BUSY
7  our weight       a dead one's, suspended new BUSY       BUSY       BUSY       BUSY
7  another weight   ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
7  another weight   another's, suspended    new BUSY       BUSY       BUSY       BUSY
7  another weight   a dead one's, suspended new BUSY       BUSY       BUSY       BUSY
8  alone            ours, suspended         new PROMOTED   PROMOTED   PROMOTED   PROMOTED   stamp
8  alone            another's, suspended    new PROMOTED   PROMOTED   PROMOTED   PROMOTED
8  alone            a dead one's, suspended new PROMOTED   PROMOTED   PROMOTED   PROMOTED
9  alone            ours, suspended         new THEIRS     THEIRS     THEIRS     THEIRS     stamp
9  alone            another's, suspended    new THEIRS     THEIRS     THEIRS     THEIRS
9  alone            a dead one's, suspended new THEIRS     THEIRS     THEIRS     THEIRS
"""


def suspensions(table: str, of: Hold) -> list[tuple[Any, ...]]:
    lines = [line for line in table.splitlines() if line]
    cut = (slice(0, 1), slice(3, 20), slice(20, 44), slice(44, 48))
    return [(of, *(line[part].strip() for part in cut), *line[48:].split()) for line in lines]


SUSPENSIONS = [
    *suspensions(WHILE_SUSPENDED, hold(True, suspended="own")),
    *suspensions(A_SUSPENSION_AFTER_A_SHIFT, hold(True)),
    *suspensions(A_SUSPENSION_BEFORE_A_SHIFT, hold(False)),
]


@pytest.mark.parametrize("row", SUSPENSIONS, ids=lambda row: " ".join(row[1:5]))
def test_a_row_of_a_table_of_suspensions(row: tuple[Any, ...]) -> None:
    held, version, routing, stamp, revision, *told = row
    snapshot = found(version, routing, stamp, revision)
    ours = told[len(WANTS) :]
    for want, expected in zip(WANTS, told, strict=False):
        finding = judge(held, WANTS[want], snapshot, NOW)
        assert finding == (expected, "weight" in ours, "stamp" in ours), want


def test_a_suspension_whose_answer_was_lost_is_as_wanted_when_it_is_read_back() -> None:
    """Whoever has written it: nothing tells a take-back of those seconds from our own write."""
    want = WANTS["suspend"]
    again = hold(True, suspended="")
    for revision in ("own", "new"):
        snapshot = found("7", "alone", "ours, suspended", revision)
        assert judge(again, want, snapshot, NOW).whose is Whose.AS_WANTED
    assert want.stamp is not None
    other = Want({}, stamp=want.stamp._replace(until=NOW))  # as another task tells
    assert judge(again, other, snapshot, NOW).whose is Whose.OURS


def test_a_suspension_is_known_by_nothing_but_its_revision() -> None:
    """An operator who takes a suspended alias back writes what stands there already."""
    held = hold(True, suspended="own")
    for want in WANTS.values():
        own = judge(held, want, found("7", "alone", "ours, suspended", "own"), NOW)
        taken_back = judge(held, want, found("7", "alone", "ours, suspended", "new"), NOW)
        assert own.whose in (Whose.OURS, Whose.AS_WANTED)
        assert taken_back.whose is (Whose.OURS if want.rolling_back else Whose.TAKEN_BACK)


def test_a_revision_that_was_superseded_says_nothing_of_a_suspension() -> None:
    for suspended in ("", "own", "older"):
        for want in WANTS.values():
            snapshot = found("7", "alone", "ours, suspended", "older")
            held = hold(True, suspended=suspended)
            assert judge(held, want, snapshot, NOW) == (Whose.STALE, False, False)


def test_a_rollout_that_goes_on_is_suspended_no_more() -> None:
    held = hold(True, suspended="own").sending(0.3).took_effect(0.3)
    snapshot = found("7", "alone", "ours, suspended", "own")
    assert judge(held, WANTS["shift"], snapshot, NOW).whose is Whose.TAKEN_BACK


def test_another_rollout_s_suspension_is_never_written_over() -> None:
    for shifted, want, version, routing, _, provisioned in EVERYTHING:
        for stamp in ("another's, suspended", "a dead one's, suspended"):
            for suspended in ("", "own"):
                held = hold(shifted, suspended=suspended)
                snapshot = found(version, routing, stamp)
                finding = judge(held, WANTS[want], snapshot, NOW, provisioned)
                assert finding.whose is not Whose.OURS
                assert not finding.something_of_ours


def test_a_suspended_rollout_that_was_promoted_has_left_litter() -> None:
    for stamp in ("another's, suspended", "a dead one's, suspended"):
        snapshot = found("8", "alone", stamp)
        assert not snapshot.suspended
        onwards = Hold(OURS, "8", "9", revision="last")
        want = Want({"9": 0.3}, stamp=STAMPS["ours"])
        assert judge(onwards, want, snapshot, NOW).whose is Whose.OURS


def test_a_suspension_is_abandoned_a_minute_after_its_deadline() -> None:
    mark = STAMPS["another's, suspended"]
    assert mark is not None
    snapshot = found("7", "alone", "another's, suspended")
    for seconds, whose in {60: Whose.BUSY, 61: Whose.ABANDONED}.items():
        now = mark.until + timedelta(seconds=seconds)
        assert judge(hold(False), WANTS["shift"], snapshot, now).whose is whose


def test_a_shift_whose_answer_was_lost_is_as_wanted_when_it_is_read_back() -> None:
    want = Want({"8": 0.3}, stamp=STAMPS["ours"])
    for shifted in (True, False):
        sent = hold(shifted, weights=(0.3,))
        assert judge(sent, want, found("7", "our weight", "ours"), NOW).whose is Whose.AS_WANTED


EVERYTHING = list(product((True, False), WANTS, "789", ROUTINGS, STAMPS, (True, False)))


def test_the_original_s_weight_beside_the_new_version_is_aws_s_own_only_with_provisioned_concurrency() -> (
    None
):
    for stamp, whose in {"none": Whose.AS_WANTED, "ours": Whose.PROMOTED}.items():
        snapshot = found("8", "the original's", stamp)
        assert judge(hold(True), WANTS["finalize"], snapshot, NOW, provisioned=True).whose is whose
        assert judge(hold(True), WANTS["finalize"], snapshot, NOW).whose is Whose.THEIRS


def test_what_is_gone_is_gone_and_what_is_older_says_nothing() -> None:
    for shifted, want, version, routing, stamp, provisioned in EVERYTHING:
        held = hold(shifted)
        assert judge(held, WANTS[want], None, NOW, provisioned) == (Whose.GONE, False, False)
        old = found(version, routing, stamp, "older")
        assert judge(held, WANTS[want], old, NOW, provisioned) == (Whose.STALE, False, False)


def test_only_what_is_ours_or_free_may_be_written_over() -> None:
    counted = 0
    for shifted, want, version, routing, stamp, provisioned in EVERYTHING:
        snapshot = found(version, routing, stamp)
        finding = judge(hold(shifted), WANTS[want], snapshot, NOW, provisioned)
        if finding.whose is not Whose.OURS:
            continue
        counted += 1
        assert version == "7", "nobody's version is written over"
        if snapshot.routing:
            assert (
                shifted
                and routing in ("our weight", "the next weight")
                and stamp in ("ours", "none")
            )
        elif shifted or stamp == "ours":
            assert want == "roll back", "what was taken back is not taken again"
    assert counted > 20


def test_another_rollout_s_split_is_never_ours_whatever_its_weight() -> None:
    for shifted, want, version, routing, _, provisioned in EVERYTHING:
        for stamp in ("another's", "a dead one's"):
            finding = judge(
                hold(shifted), WANTS[want], found(version, routing, stamp), NOW, provisioned
            )
            assert not finding.something_of_ours
            assert finding.whose is not Whose.OURS or not ROUTINGS[routing]


def test_as_wanted_is_never_said_of_a_stamp_or_a_routing_that_is_not_wanted() -> None:
    for shifted, want, version, routing, stamp, provisioned in EVERYTHING:
        finding = judge(
            hold(shifted), WANTS[want], found(version, routing, stamp), NOW, provisioned
        )
        if finding.whose is Whose.AS_WANTED and want == "suspend":
            assert (version, routing, stamp) == ("7", "alone", "ours, suspended")
        elif finding.whose is Whose.AS_WANTED:
            assert stamp == "none" and want != "shift"
            assert version == ("8" if want == "finalize" else "7")
            assert routing == "alone" or (routing == "the original's" and provisioned)


# Weights as AWS may show them.


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (1 / 3, 0.33),
        (1 / 3, 0.3333),
        (2 / 3, 0.67),
        (2 / 3, 0.66),
        (2 / 3, 0.6667),
        (0.001, 0.0),
        (1.9e-6, 0.0),
    ],
)
def test_a_weight_of_which_aws_keeps_fewer_digits_is_still_ours(sent: float, shown: float) -> None:
    assert same_weight(sent, sent) and same_weight(sent, shown)


@pytest.mark.parametrize(
    ("sent", "other"), [(0.33, 0.3), (0.33, 0.34), (0.3, 0.31), (1 / 3, 0.335), (0.5, 0.6)]
)
def test_a_weight_that_somebody_set_beside_ours_is_not_ours(sent: float, other: float) -> None:
    assert not same_weight(sent, other)


def test_a_dead_rollout_s_date_may_be_the_last_that_there_is() -> None:
    last = Stamp(OTHERS, "8", 0.3, 3, 10, datetime.max.replace(microsecond=0, tzinfo=UTC))
    answer = {"FunctionVersion": "7", "RevisionId": "new", "Description": write(WORDS, last)}
    answer["RoutingConfig"] = {"AdditionalVersionWeights": {"8": 0.3}}  # type: ignore[assignment]
    assert judge(hold(False), WANTS["shift"], Snapshot(answer), NOW).whose is Whose.BUSY


def test_a_lease_that_fired_finds_its_weight_under_a_stamp_that_nobody_owns_any_more() -> None:
    for fired, shifted in product((True, False), (True, False)):
        held = hold(shifted, weights=(0.3, 0.4), fired=fired)
        for stamp in ("a dead one's", "another's"):
            finding = judge(held, WANTS["roll back"], found("7", "our weight", stamp), NOW)
            ours = fired and shifted and stamp == "a dead one's"
            assert finding.our_weight is ours
            assert (finding.whose is Whose.OURS) is ours
        other = judge(held, WANTS["roll back"], found("7", "another weight", "a dead one's"), NOW)
        assert not other.something_of_ours
