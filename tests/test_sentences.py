"""An ending in five sentences: understood alone, one line each, whatever was said or is not known;
and what a mail and a chat message make of them."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer import tell as telling
from deployer.decisions.sentences import LONGEST, sentences
from local.cloud import ROOT
from tests.beginnings import DETAIL as ROLLOUT
from tests.beginnings import EVENT
from tests.mailed import RESOURCES, arrived
from tests.test_told import STORIES, VALIDATOR, Story, play
from world.delivery import deliver_all
from world.faults import Killed
from world.machine import Machine
from world.world import FakeClients, World

PATTERN = RESOURCES["EndingsRule"]["Properties"]["EventPattern"]
ENDINGS = [*PATTERN["detail"]["status"], "SomethingNew"]
ON_7 = "Alias 'live' of 'checkout' is on version 7."
ON_8 = "Alias 'live' of 'checkout' is on version 8."
ON_9 = "Alias 'live' of 'checkout' is on version 9."
SPLIT = (
    "Alias 'live' of 'checkout' is split: "
    "it sends 30 % of its calls to version 8, the rest to version 7."
)
UNREAD = (
    "Alias 'live' of 'checkout' could not be read (ServiceException); "
    "when last seen it is on version 7."
)
DETAIL = {**ROLLOUT, "reason": "Version 8 had 12 errors in 300 invocations (4.00%)."}
BEFORE = {"step": 0, "weight": 0}


@pytest.mark.parametrize(
    ("status", "more", "headline"),
    [
        ("SUCCEEDED", {"where": ON_8}, "checkout:live is on version 8 (before: 7)."),
        ("SUCCEEDED", {"where": SPLIT}, "checkout:live has got version 8 (before: 7)."),
        (
            "ALREADY_DEPLOYED",
            {"original-version": "8", "where": ON_8},
            "checkout:live was on version 8 already: there was nothing to do.",
        ),
        (
            "HealthCheckFailed",
            {},
            "checkout:live is back on version 7: version 8 failed its health check.",
        ),
        (
            "HealthCheckFailed",
            BEFORE,
            "checkout:live stayed on version 7: version 8 failed its health check.",
        ),
        (
            "HealthCheckFailed",
            {"where": ON_8},
            "checkout:live is on version 8: version 8 failed its health check.",
        ),
        (
            "HealthCheckInconclusive",
            {},
            "checkout:live is back on version 7: version 8 could not be judged.",
        ),
        (
            "RolloutInterrupted",
            {"where": UNREAD},
            "checkout:live could not be read in the end: the rollout of version 8 was interrupted.",
        ),
        (
            "RolloutInterrupted",
            {**BEFORE, "where": SPLIT},
            "checkout:live is split: the rollout of version 8 was interrupted.",
        ),
        (
            "AliasChanged",
            {},
            "checkout:live is back on version 7: the rollout of version 8 was stopped by hand.",
        ),
        (
            "AliasChanged",
            {"where": ON_9},
            "checkout:live is on version 9: "
            "somebody else changed it, and ended the rollout of version 8.",
        ),
        (
            "AliasChanged",
            {"where": SPLIT},
            "checkout:live is split: somebody else changed it, and ended the rollout of version 8.",
        ),
        (
            "RollbackFailed",
            {"where": SPLIT},
            "checkout:live needs a person now: "
            "it could not be rolled back from version 8 to version 7.",
        ),
        (
            "InvalidRollout",
            BEFORE,
            "checkout:live was not touched: the rollout of version 8 was refused.",
        ),
        (
            "InvalidRollout",
            {},
            "checkout:live is back on version 7: the rollout of version 8 was refused.",
        ),
        (
            "RolloutTooLong",
            BEFORE,
            "checkout:live was not touched: the rollout of version 8 would take too long.",
        ),
        (
            "AliasBusy",
            {**BEFORE, "where": SPLIT},
            "checkout:live was not touched: it is busy, so the rollout of version 8 was refused.",
        ),
        (
            "SomethingNew",
            {},
            "checkout:live is back on version 7: the rollout of version 8 ended with SomethingNew.",
        ),
    ],
)
def test_the_headline_is_understood_alone(status: str, more: dict[str, Any], headline: str) -> None:
    assert sentences(status, {**DETAIL, **more})["headline"] == headline


@pytest.mark.parametrize("step", [0, 3])
@pytest.mark.parametrize("where", [ON_7, ON_8, ON_9, SPLIT, UNREAD])
@pytest.mark.parametrize("status", ENDINGS)
def test_nothing_has_to_be_done_only_where_the_alias_is_as_it_should_be(
    status: str, where: str, step: int
) -> None:
    told = sentences(status, {**DETAIL, "where": where, "step": step})
    wanted = {"SUCCEEDED": where, "ALREADY_DEPLOYED": where}.get(status, ON_7)
    if where != wanted:
        assert "Nothing has to be done" not in told["now"]
    if where != ON_7:
        assert "by hand" not in told["headline"]


def test_a_split_that_somebody_else_changed_is_not_left_without_a_word() -> None:
    now = sentences("AliasChanged", {**DETAIL, "where": SPLIT})["now"]
    assert now.startswith("Nobody watches that split. Finish it, or give it back to version 7: aws")
    assert sentences("AliasChanged", {**DETAIL, "where": UNREAD})["now"].startswith("See where")


def test_a_split_that_is_another_one_s_is_not_to_be_given_back() -> None:
    """It may be the state machine's, which goes on with the rollout."""
    now = sentences("RolloutInterrupted", {**DETAIL, **BEFORE, "where": SPLIT})["now"]
    assert now == "Start the rollout again; where the reason names a command, run that one first."


def test_a_payload_that_could_not_be_read_is_told_all_the_same() -> None:
    world, _ = play("the loop", STORIES["no object"])
    told = world.told[-1]["sentences"]
    assert told["headline"] == "Nothing was moved: the rollout of a new version was refused."
    assert told["why"].startswith("The payload must be a JSON object")
    assert told["now"] == "Mend what the reason names, and start the rollout again."


def test_a_misspelt_key_is_told_of_the_alias_that_it_is_about() -> None:
    world, _ = play("the loop", STORIES["misspelt"])
    told = world.told[-1]
    assert (told["function"], told["alias"]) == ("checkout", "live")
    headline = "checkout:live was not touched: the rollout of a new version was refused."
    assert told["sentences"]["headline"] == headline


def test_why_has_the_warnings_of_a_success_and_no_second_command() -> None:
    warned = sentences("SUCCEEDED", {**DETAIL, "where": ON_8, "warnings": ["Few calls.", "Slow."]})
    assert warned["why"] == f"{DETAIL['reason']} Few calls. Slow."
    command = "aws lambda update-alias --description 'my \"own\" words'"
    failed = sentences("RollbackFailed", {**DETAIL, "reason": f"Denied. Run: {command}"})
    assert failed["why"] == "Denied."


def test_who_started_it_is_told_as_far_as_the_payload_said_it() -> None:
    who = {**EVENT, "started-by": 'Ann of "release"\\7\nand her team'}
    world, _ = play("the loop", Story([], who))
    assert world.told[-1]["sentences"]["by"] == "Started by Ann of 'release'/7 and her team."
    unknown, _ = play("the loop", STORIES["good"])
    assert unknown.told[-1]["sentences"]["by"] == "Who started it is not known."


@pytest.mark.parametrize("dies", ["SimpleDeployFunction", "an execution"])
def test_the_watchdog_says_who_started_what_has_died(dies: str) -> None:
    event = {**EVENT, "started-by": "Ada"}
    world = World()
    if dies == "an execution":
        machine = Machine(world, event)
        world.at(60, machine.abort)
        deliver_all(world, [machine.run()])
    else:
        world.at(60, world.kill)
        with pytest.raises(Killed):
            world.invoke(event)
        world.dead = False
        deliver_all(world)
    assert world.told[-1]["status"] == "RolloutInterrupted"
    assert world.told[-1]["sentences"]["by"] == "Started by Ada."


ODD = st.text(st.sampled_from('"\\\n\r\t\x00\x1f\x7f\x85\u2028\ud83d<>{}$a 7ä'), max_size=30)
KNOWN = st.fixed_dictionaries(
    {"where": st.sampled_from([ON_7, ON_8, SPLIT, UNREAD, "", "The alias was not moved."]) | ODD},
    optional={
        "reason": ODD | st.just("x" * 400_000),
        "warnings": st.lists(ODD, max_size=3),
        "started-by": ODD,
        "step": st.integers(0, 3),
    },
)
WHO = [
    {},
    {"function": "checkout", "alias": "live"},
    {key: DETAIL[key] for key in ("function", "alias", "original-version", "new-version")},
]


@settings(max_examples=1000, derandomize=True, deadline=None, database=None)
@given(st.sampled_from(ENDINGS), st.sampled_from(WHO), KNOWN)
def test_whatever_was_said_it_fits_into_a_quoted_template(
    status: str, who: dict[str, str], more: dict[str, Any]
) -> None:
    told = sentences(status, {**who, **more})
    assert list(told) == ["headline", "why", "where", "now", "by"]
    for text in told.values():
        assert text.isprintable() and text.strip() == text != ""
        assert not {'"', "\\"} & {*text} and len(text) <= LONGEST
    shown = arrived("Email", {"sentences": told}).splitlines()
    assert [json.loads(each) for each in shown] == [
        told["headline"],
        f"Why: {told['why']}",
        f"Where: {told['where']}",
        f"What to do now: {told['now']}",
        told["by"],
    ]
    chat = json.loads(arrived("Chat", {"sentences": told}))
    assert chat == {
        "version": "1.0",
        "source": "custom",
        "content": {
            "textType": "client-markdown",
            "title": told["headline"],
            "description": f"{told['why']} {told['where']} {told['by']}",
            "nextSteps": [told["now"]],
        },
    }


def test_the_page_shows_a_mail_and_a_chat_message_as_they_arrive() -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    for message in shown():
        assert f"```\n{message}\n```" in page, message


def test_a_topic_gets_what_a_mail_says() -> None:
    world, _ = play("the loop", STORIES["bad"])
    assert arrived("Topic", world.told[-1]) == arrived("Email", world.told[-1])


@pytest.mark.parametrize("driver", ["the loop", "the state machine"])
@pytest.mark.parametrize("name", STORIES)
def test_every_ending_and_nothing_else_comes_with_sentences(name: str, driver: str) -> None:
    world, _ = play(driver, STORIES[name])
    for event in world.told:
        ending = event["status"] in PATTERN["detail"]["status"]
        assert ("sentences" in event) == ending == (event["status"] not in telling.NO_ENDINGS)


def test_a_log_line_has_no_sentences(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level("INFO"):
        play("the loop", STORIES["bad"])
    lines = [record for record in caplog.records if record.message == "HealthCheckFailed"]
    assert lines and not [line for line in lines if hasattr(line, "sentences")]


def test_a_reason_without_end_is_still_an_event() -> None:
    world = World()
    reason = "ü" * 1_000_000
    telling.tell(FakeClients(world), "HealthCheckFailed", **{**DETAIL, "reason": reason})
    (event,) = world.told
    assert len(json.dumps(event)) < 256 * 1024
    assert not [*VALIDATOR.iter_errors(event)]


def test_what_the_watchdog_rescued_is_told_in_the_same_words() -> None:
    world = World(rate=0)
    world.at(40, world.kill)
    with pytest.raises(Killed):
        world.invoke(EVENT)
    world.dead = False
    deliver_all(world)
    told = world.told[-1]["sentences"]
    assert told["headline"] == (
        "checkout:live is back on version 7: the rollout of version 8 was interrupted."
    )
    assert told["why"].startswith("The deployer died")


# -- what the stories need ------------------------------------------------------------------------


def shown() -> tuple[str, str]:
    """The mail and the chat message of a bad version, whose log tells of it first."""
    event = {**EVENT, "started-by": "release pipeline 7"}
    story = Story(
        [], event, {"errors": {"8": 1.0}}, lambda world: world.__dict__.update(log_delay=5.0)
    )
    world, _ = play("the loop", story)
    return arrived("Email", world.told[-1]), arrived("Chat", world.told[-1])
