"""The stamp in the description: `read` and `write` undo each other, and AWS's 256 characters are
enough."""

from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deployer.decisions.errors import AliasBusy
from deployer.decisions.stamp import LONGEST_DESCRIPTION, Stamp, read, shortened, write
from world.world import World

STAMP = Stamp("3f2a9c1b04de", "8", 0.3, 3, 10, datetime(2026, 11, 23, 1, 10, tzinfo=UTC))
PLAIN = "[rollout 3f2a9c1b04de to 8 at 0.3 (3/10) until 2026-11-23T01:10:00Z]"


def units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def words_of_at_most(length: int) -> st.SearchStrategy[str]:
    """Anything that AWS takes for a description, emoji and line breaks included."""
    return st.text(max_size=length).filter(lambda words: units(words) <= length)


@st.composite
def stamps(draw: st.DrawFn) -> Stamp:
    steps = draw(st.integers(1, 1000))
    step = draw(st.integers(1, steps))
    # The stamp shows three digits of a weight, so that others would not come back.
    weight = 1.0 if step == steps else draw(st.integers(1, 999)) / 1000
    until = draw(st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1))).replace(
        microsecond=0, tzinfo=UTC
    )
    rollout_id = draw(st.text("0123456789abcdef", min_size=12, max_size=12))
    return Stamp(rollout_id, str(draw(st.integers(1, 99_999))), weight, step, steps, until)


def test_the_stamp_stands_behind_the_user_s_words() -> None:
    assert str(STAMP) == PLAIN
    assert write("Checkout service", STAMP) == f"Checkout service {PLAIN}"
    assert write("", STAMP) == PLAIN
    assert write("Checkout service", None) == "Checkout service"


@settings(derandomize=True, deadline=None, max_examples=500)
@given(words_of_at_most(256), stamps())
def test_words_that_fit_come_back_exactly_with_the_stamp(words: str, stamp: Stamp) -> None:
    assume(units(words) + 1 + len(str(stamp)) <= LONGEST_DESCRIPTION and read(words)[1] is None)
    assert read(write(words, stamp)) == (words, stamp)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(words_of_at_most(256), stamps())
def test_a_stamped_description_fits_into_what_aws_takes(words: str, stamp: Stamp) -> None:
    assert len(str(stamp)) <= 80
    assert units(write(words, stamp)) <= LONGEST_DESCRIPTION
    assert read(write(words, stamp))[1] == stamp


@settings(derandomize=True, deadline=None, max_examples=300)
@given(words_of_at_most(256))
def test_words_without_a_stamp_are_left_as_they_are(words: str) -> None:
    assert read(words) == (words, None)


@pytest.mark.parametrize(
    "words", ["x" * 256, "🚀" * 128, "é" * 256, "a b " * 64, "a" * 187 + "🚀" * 30]
)
def test_long_words_are_shortened_with_an_ellipsis_while_the_stamp_stands(words: str) -> None:
    shown, stamp = read(write(words, STAMP))
    assert stamp == STAMP
    assert shown.endswith("…") and words.startswith(shown[:-1])
    room = LONGEST_DESCRIPTION - len(PLAIN) - 1
    assert (
        room - 1 <= units(shown) <= room
    )  # nothing is cut that would have fitted; an emoji is not cut in half
    assert shortened(shown, room) == shown


@pytest.mark.parametrize(
    ("description", "words"),
    [
        (f"Before {PLAIN}", "Before"),
        (f"{PLAIN} after", " after"),
        (f"Before {PLAIN} after", "Before after"),
        (f"One {PLAIN} two {PLAIN}", "One two"),
        (f"Trailing space  {PLAIN}", "Trailing space "),
    ],
)
def test_a_stamp_is_found_wherever_somebody_has_put_words_around_it(
    description: str, words: str
) -> None:
    assert read(description) == (words, STAMP)


LOOK_ALIKES = [
    "[rollout 3f2a to 8 at 0.3 (3/10) until tomorrow]",
    "[rollout of the new checkout]",
    PLAIN[:-1],
    PLAIN.replace("T01", " 01"),
    PLAIN.replace("to 8", "to $LATEST"),
    PLAIN.replace("11-23", "13-45"),  # no such day
    PLAIN.replace("0.3", "1.2.3"),  # no such number
    "[[rollout]] ]",
]


@pytest.mark.parametrize("words", LOOK_ALIKES)
def test_words_that_only_look_like_a_stamp_are_the_user_s(words: str) -> None:
    assert read(words) == (words, None)


@pytest.mark.parametrize("words", LOOK_ALIKES)
def test_a_stamp_is_read_behind_words_that_look_like_one(words: str) -> None:
    assert read(write(words, STAMP)) == (words, STAMP)


@pytest.mark.parametrize(
    "until", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:00Z", "2026-01-05T12:05:00Z"]
)
def test_a_split_whose_stamp_has_not_run_out_is_busy_however_far_off_its_end_is(until: str) -> None:
    world = World()
    world.alias.routing = {"8": 0.3}
    world.alias.description = PLAIN.replace("2026-11-23T01:10:00Z", until)
    with pytest.raises(AliasBusy, match="Rollout 3f2a9c1b04de of version 8 runs on this alias"):
        world.deploy(steps=2, interval=60)
    assert world.moves == [] and world.writes == 0
