"""The recorded screens in docs/: pictures that stay small, show in dark and light, and are of these
commands."""

import re
import runpy
from types import SimpleNamespace
from typing import Any
from xml.etree import ElementTree

import pytest

from local.cloud import ROOT
from tools.terminal import Frame, Screen

record: Any = SimpleNamespace(**runpy.run_path(str(ROOT / "tools" / "record.py")))
SVG = "{http://www.w3.org/2000/svg}"
PICTURES = {
    "rollout.svg": (
        "$ make rollout FUNCTION=checkout ALIAS=live VERSION=2",
        "SUCCEEDED",
        "HealthCheckFailed",
    ),
    "watch-good.svg": ("$ make watch FUNCTION=checkout ALIAS=live", "SUCCEEDED"),
    "watch-bad.svg": (
        "$ make watch FUNCTION=checkout ALIAS=live",
        "HealthCheckFailed",
        "It was rolled back.",
    ),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_small_shows_what_it_should_and_no_machine_s_paths(name: str) -> None:
    source = (ROOT / "docs" / name).read_text()
    assert len(source.encode()) < 300_000
    told = "\n".join(
        "".join(each.itertext()) for each in ElementTree.fromstring(source).iter(f"{SVG}text")
    )
    assert all(words in told for words in PICTURES[name])
    assert not re.search(r"/(tmp|root|home|usr)/|directory", told)
    assert "prefers-color-scheme: dark" in source and "<script" not in source
    moves = len(re.findall(r"translateY", source))
    assert moves == 0 if name != "rollout.svg" else 10 < moves <= 2 * record.FRAMES


def test_a_screen_that_is_drawn_anew_keeps_only_the_last_drawing() -> None:
    screen = Screen()
    screen.feed("$ command\r\n\x1b[?25l\x1b[32mone\x1b[0m\r\ntwo")
    for piece in ("\r\x1b[2K\x1b[1A\x1b[2K\x1b", "[1mthree\x1b[", "0m\r\nfour\r\n\x1b[?25h"):
        screen.feed(piece)
    assert screen.lines == ("$ command", "\x1b[1mthree\x1b[0m", "four")
    assert Frame(0, screen.lines).text == "$ command\nthree\nfour"


def test_the_reel_stands_on_its_last_frame_where_nothing_moves() -> None:
    frames = [Frame(float(at), ("\x1b[1;31ma <b>\x1b[0m  c", f"{at}")) for at in range(3)]
    root = ElementTree.fromstring(record.svg([frames], "title"))
    (reel,) = [g for g in root.iter(f"{SVG}g") if g.get("class") == "reel"]
    high = int(str(root.get("viewBox")).split()[-1])
    assert reel.get("transform") == f"translate(0 {-2 * high})"
    assert len(list(reel)) == 6
    pieces = {text.text: (text.get("class"), text.get("x")) for text in root.iter(f"{SVG}text")}
    assert pieces["a <b>"] == ("b red", "14.0") and pieces["c"] == (None, f"{14 + 7 * 8.4:.1f}")


def test_frames_that_say_the_same_are_one_and_many_are_thinned_evenly() -> None:
    frames = [Frame(float(at), (str(at // 2),)) for at in range(200)]
    thinned = record.thinned(frames)
    assert len(thinned) == record.FRAMES and (thinned[0].lines, thinned[-1].lines) == (
        ("0",),
        ("99",),
    )
    assert record.thinned(frames[:6]) == [frames[1], frames[3], frames[5]]
