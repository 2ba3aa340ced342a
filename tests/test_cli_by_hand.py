"""An operator stops a rollout, or promotes its version, in a terminal: what is written to the alias,
and what is not where somebody else has written it meanwhile."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore import exceptions

from deployer.clock import iso
from lambda_rollout.endings import Status
from tests.test_cli import Ran, littered, runs
from tests.watched import ID, START, Aws, Clock, refusal

TARGET = "--function checkout --alias live"
STOP = f"stop {TARGET}"
PROMOTE = f"promote {TARGET}"
BOTH = pytest.mark.parametrize("command", [STOP, PROMOTE])

NO_WEIGHT: dict[str, Any] = {"AdditionalVersionWeights": {}}
LEFT = "Somebody else moved the alias during the rollout, so it was left to them."


def test_stop_takes_the_alias_back_and_waits_for_the_deployer_s_ending(aws: Aws) -> None:
    ran = Ran(STOP, noticed(under_way(aws), "AliasChanged"))
    assert (ran.status, aws.version, aws.routing) == (Status.DEPLOYED, "7", {})
    assert written(aws) == [{"RevisionId": "2", "RoutingConfig": NO_WEIGHT}]
    assert ran.seconds == pytest.approx(40, abs=6)
    assert "Taken back: all users are on version 7." in ran.out
    assert ran.out.endswith(
        f"Stopped by hand (AliasChanged): {LEFT} Alias 'live' of 'checkout' is on version 7.\n"
    )
    assert ran.err == (
        "To roll version 8 out after all: make rollout FUNCTION=checkout ALIAS=live VERSION=8 …\n"
    )


def test_promote_puts_the_alias_on_the_new_version_alone(aws: Aws) -> None:
    ran = Ran(PROMOTE, noticed(under_way(aws), "SUCCEEDED"))
    assert (ran.status, aws.version, aws.routing) == (Status.DEPLOYED, "8", {})
    assert written(aws) == [{"RevisionId": "2", "FunctionVersion": "8", "RoutingConfig": NO_WEIGHT}]
    assert "Promoted: all users are on version 8." in ran.out and "SUCCEEDED" in ran.out
    assert ran.err == "To go back to version 7: make undo FUNCTION=checkout ALIAS=live\n"


@BOTH
def test_without_waiting_it_ends_once_it_is_written(aws: Aws, command: str) -> None:
    ran = Ran(f"{command} --no-wait", under_way(aws))
    assert (ran.status, len(aws.moved)) == (Status.DEPLOYED, 1)
    assert ran.seconds == 20 and "at its next look" in ran.out


@pytest.mark.parametrize(
    ("command", "version", "status"), [(STOP, "7", "STOPPED"), (PROMOTE, "8", "PROMOTED")]
)
@pytest.mark.parametrize("wait", ["", " --no-wait"])
def test_as_json_it_says_what_was_done(
    aws: Aws, command: str, version: str, status: str, wait: str
) -> None:
    under_way(aws, **{"started-by": "release 7"})
    noticed(aws, "AliasChanged" if version == "7" else "SUCCEEDED")
    ran = Ran(f"{command} --json{wait}", aws)
    told = json.loads(ran.out)
    assert (told["exit-status"], told["status"]) == (0, status)
    assert (told["original-version"], told["new-version"]) == ("7", "8")
    assert told["where"] == f"Alias 'live' of 'checkout' is on version {version}."
    assert (told["rollout"], told["warnings"]) == (ID, [])
    if not wait:
        assert told["started-by"] == "release 7" and told["next"] in ran.err


def test_a_suspended_rollout_is_stopped_though_no_call_changes(aws: Aws) -> None:
    """What is written is the revision alone: the deployer knows by it that somebody was here."""
    runs(aws, (10, lambda: aws.suspend("Its log tells of failed calls."))).clock.sleep(20)
    revision = str(aws.revision)
    ran = Ran(f"{STOP} --no-wait", aws)
    assert (ran.status, aws.version, aws.routing) == (Status.DEPLOYED, "7", {})
    assert written(aws) == [{"RevisionId": revision, "RoutingConfig": NO_WEIGHT}]


def test_a_suspended_rollout_is_promoted(aws: Aws) -> None:
    runs(aws, (10, lambda: aws.suspend("Its log tells of failed calls."))).clock.sleep(20)
    ran = Ran(PROMOTE, noticed(aws, "SUCCEEDED"))
    assert (ran.status, aws.version) == (Status.DEPLOYED, "8")


def test_a_state_machine_s_rollout_is_stopped_in_the_same_way(aws: Aws) -> None:
    handed = {"execution": "arn:aws:states:eu-west-1:1:execution:D:e"}
    acts: list[tuple[float, Callable[[], Any]]] = [
        (1, lambda: aws.tell("HANDED_OVER", **handed)),
        (2, lambda: aws.shift(0.5, 1, quiet=True)),
        (40, lambda: aws.end("AliasChanged", "7", "workflow", reason=LEFT)),
    ]
    aws.story(*acts).clock.sleep(20)
    ran = Ran(f"{STOP} --json", aws)
    told = json.loads(ran.out)
    assert (ran.status, told["status"]) == (Status.DEPLOYED, "STOPPED")
    assert told["execution-arn"] == handed["execution"]


# Nothing is written.
IDLE: dict[str, Callable[[Aws], Any]] = {
    "no rollout": lambda aws: None,
    "a stamp that was left": lambda aws: littered(aws, {}),
}


@BOTH
@pytest.mark.parametrize("case", IDLE)
def test_where_no_rollout_runs_nothing_is_written(aws: Aws, case: str, command: str) -> None:
    IDLE[case](aws)
    ran = Ran(f"{command} --json", aws)
    assert (ran.status, aws.moved) == (Status.NOTHING_RUNS, [])
    assert ran.err == (
        "No rollout runs on this alias. Alias 'live' of 'checkout' is on version 7. "
        "Nothing was written.\n"
    )
    assert json.loads(ran.out)["status"] == "NOTHING_RUNS"


@BOTH
def test_somebody_s_own_split_is_left_to_them_with_the_command_by_hand(
    aws: Aws, command: str
) -> None:
    aws.routing = {"9": 0.1}
    ran = Ran(command, aws)
    assert (ran.status, aws.moved) == (Status.REFUSED, [])
    assert ran.err.startswith("AliasBusy: The alias is split already, and not by this deployer")
    assert "Nothing was written." in ran.err and "aws lambda update-alias" in ran.err


REFUSED = {
    "denied": (
        "update_alias",
        refusal("AccessDeniedException", status=403),
        "allow lambda:UpdateAlias on the function 'checkout'",
    ),
    "unread": (
        "get_alias",
        refusal("AccessDeniedException", status=403),
        "allow lambda:GetAlias on the function 'checkout'",
    ),
    "no credentials": ("get_alias", exceptions.NoCredentialsError(), "run 'aws configure'"),
}


@BOTH
@pytest.mark.parametrize("case", REFUSED)
def test_what_aws_refuses_is_one_sentence_with_a_remedy(aws: Aws, case: str, command: str) -> None:
    operation, fault, told = REFUSED[case]
    under_way(aws).faults[operation] = fault
    ran = Ran(f"{command} --json", aws)
    assert (ran.status, aws.moved, aws.routing) == (Status.REFUSED, [], {"8": 0.5})
    assert told in ran.err and ran.err.endswith("Nothing was sent.\n") and ran.err.count("\n") == 1
    assert json.loads(ran.out)["reason"] == ran.err.strip()


@BOTH
def test_what_is_left_out_is_asked_for(aws: Aws, command: str) -> None:
    verb = command.split()[0]
    ran = Ran(verb, aws)
    assert ran.status == Status.REFUSED
    assert ran.err == (
        "Which function and alias? Add FUNCTION=checkout ALIAS=live, "
        "or --function checkout --alias live.\n"
    )
    ran = Ran(f"{verb} --function checkout:live --alias live", aws)
    assert ran.status == Status.REFUSED and "leave out ':live'" in ran.err


# Somebody else writes the alias in the same moment.
def test_a_shift_in_between_is_read_again_and_the_rollout_stopped(aws: Aws) -> None:
    under_way(aws).meanwhile.append(lambda: aws.shift(1, 2))
    ran = Ran(f"{STOP} --no-wait", aws)
    assert (ran.status, aws.version, aws.routing) == (Status.DEPLOYED, "7", {})
    assert [each["RevisionId"] for each in aws.moved] == ["3"]
    assert "Somebody else has written the alias meanwhile, so nothing was written." in ran.err
    assert "PreconditionFailedException" in ran.err


def test_a_rollout_that_ends_in_between_is_told_and_not_written(aws: Aws) -> None:
    under_way(aws).meanwhile.append(lambda: aws.end("SUCCEEDED", "8", reason="All is well."))
    ran = Ran(STOP, aws)
    assert (ran.status, aws.moved, aws.version) == (Status.NOTHING_RUNS, [], "8")
    assert "The rollout was over before it could be written" in ran.err
    assert "SUCCEEDED: All is well." in ran.out
    assert "Stopped" not in ran.out


def test_without_waiting_a_rollout_that_was_over_is_said_to_be(aws: Aws) -> None:
    under_way(aws).meanwhile.append(lambda: aws.end("SUCCEEDED", "8", reason="All is well."))
    ran = Ran(f"{PROMOTE} --no-wait --json", aws)
    assert (ran.status, aws.moved) == (Status.NOTHING_RUNS, [])
    assert json.loads(ran.out)["reason"] == "It was over before."


def test_an_alias_that_cannot_be_read_at_the_end_is_as_the_deployer_says(aws: Aws) -> None:
    noticed(under_way(aws), "AliasChanged")
    aws.story((40, lambda: aws.faults.update(get_alias=refusal("ServiceException", status=503))))
    ran = Ran(f"{STOP} --json", aws)
    assert (ran.status, json.loads(ran.out)["status"]) == (Status.DEPLOYED, "STOPPED")


def test_another_rollout_that_begins_in_between_is_left_alone(aws: Aws) -> None:
    def another() -> None:
        aws.end("HealthCheckFailed", "7", reason="It failed.")
        aws.shift(0.1, 1, id="d" * 12)

    under_way(aws).meanwhile.append(another)
    ran = Ran(PROMOTE, aws)
    assert (ran.status, aws.moved, aws.routing) == (Status.NOTHING_RUNS, [], {"8": 0.1})
    assert "HealthCheckFailed: It failed." in ran.out


def test_an_alias_that_is_written_again_and_again_is_left(aws: Aws) -> None:
    under_way(aws).meanwhile += [lambda: aws.shift(0.5, 1, quiet=True)] * 9
    ran = Ran(STOP, aws)
    assert (ran.status, aws.moved) == (Status.REFUSED, [])
    assert "run stop again" in ran.err and ran.err.endswith("Nothing was sent.\n")


@BOTH
def test_a_lost_answer_is_read_back(aws: Aws, command: str) -> None:
    under_way(aws).lost = 1
    ran = Ran(f"{command} --no-wait", aws)
    assert (ran.status, len(aws.moved), aws.routing) == (Status.DEPLOYED, 1, {})
    assert "The alias is read again." in ran.err


@BOTH
def test_a_write_that_is_never_answered_is_not_called_done(aws: Aws, command: str) -> None:
    under_way(aws).faults["update_alias"] = exceptions.ReadTimeoutError(endpoint_url="http://x")
    ran = Ran(command, aws)
    assert (ran.status, aws.moved) == (Status.NOT_SEEN, [])
    assert ran.err.endswith("Whether the alias was written is not known.\n")


# The deployer's ending.
def test_a_deployer_that_says_nothing_leaves_the_alias_taken_back_with_a_warning(aws: Aws) -> None:
    ran = Ran(f"{STOP} --json", under_way(aws))
    told = json.loads(ran.out)
    assert (ran.status, told["status"]) == (Status.DEPLOYED, "STOPPED")
    assert ran.seconds == pytest.approx(80, abs=6)
    (warning,) = told["warnings"]
    assert warning.startswith("The rollout itself ended as ENDED: Ended; reason unknown")


def test_a_deployer_that_looks_seldom_is_said_to_look_later(aws: Aws) -> None:
    later = START + 1800
    times = {"next-look": iso(later), "step-ends": iso(later), "phase": "LASTING"}
    looked: dict[str, Any] = {"verdict": "PENDING", "reason": "", "step": 1, **times}
    aws.story((15, lambda: aws.tell("LOOKED", **looked)))
    told = json.loads(Ran(f"{STOP} --json", under_way(aws)).out)
    assert (told["status"], told["warnings"]) == (
        "STOPPED",
        [
            "The deployer has not said so far that it has seen it: "
            "its next look is due at 12:30:07 UTC."
        ],
    )


def test_who_moves_the_alias_after_us_is_told(aws: Aws) -> None:
    def moved() -> None:
        aws.end("AliasChanged", "9", reason=LEFT)

    ran = Ran(STOP, under_way(aws).story((40, moved)))
    assert (ran.status, aws.version) == (Status.CHANGED, "9")
    assert "is on version 9" in ran.out and "Stopped by hand" not in ran.out


def test_a_stop_that_somebody_else_turns_into_a_promotion_is_no_success(aws: Aws) -> None:
    ran = Ran(STOP, under_way(aws).story((30, lambda: aws.end("SUCCEEDED", "8", reason="Good."))))
    assert (ran.status, aws.version) == (Status.CHANGED, "8")


def test_a_new_version_that_failed_meanwhile_is_promoted_all_the_same_and_that_is_said(
    aws: Aws,
) -> None:
    acts = (30, lambda: aws.end("HealthCheckFailed", "8", reason="It failed."))
    ran = Ran(f"{PROMOTE} --json", under_way(aws).story(acts))
    told = json.loads(ran.out)
    assert (ran.status, told["status"]) == (Status.DEPLOYED, "PROMOTED")
    assert told["warnings"] == ["The rollout itself ended as HealthCheckFailed: It failed."]


def test_a_promotion_is_one_while_aws_moves_provisioned_concurrency(aws: Aws) -> None:
    """Until it is there AWS itself sends the original its part."""
    ran = Ran(f"{PROMOTE} --json", provisioned(aws, "SUCCEEDED", {"7": 0.4}))
    told = json.loads(ran.out)
    assert (ran.status, told["status"], told["warnings"]) == (Status.DEPLOYED, "PROMOTED", [])
    assert told["next"] == "To go back to version 7: make undo FUNCTION=checkout ALIAS=live"


OTHERS: dict[str, tuple[str, dict[str, float]]] = {
    "the deployer does not say so": ("AliasChanged", {"7": 0.4}),
    "another version": ("SUCCEEDED", {"5": 0.4}),
}


@pytest.mark.parametrize("case", OTHERS)
def test_another_split_after_a_promotion_is_somebody_else_s(aws: Aws, case: str) -> None:
    ran = Ran(PROMOTE, provisioned(aws, *OTHERS[case]))
    assert (ran.status, aws.version) == (Status.CHANGED, "8")


def test_ctrl_c_while_it_waits_leaves_it_written(aws: Aws) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    ran = Ran(f"{STOP} --json", under_way(aws).story((30, press)))
    assert (ran.status, aws.routing) == (Status.STOPPED_WATCHING, {})
    assert json.loads(ran.out)["status"] == "STOPPED_WATCHING"
    assert "Stopped waiting for the deployer. Taken back: all users are on version 7." in ran.err
    assert "the rollout goes on" not in ran.err


# -- what the stories need ------------------------------------------------------------------------


@pytest.fixture
def aws() -> Aws:
    return Aws(Clock())


def under_way(aws: Aws, **said: Any) -> Aws:
    """Twenty seconds after the start, at the first weight."""
    started = (1, lambda: aws.tell("STARTED", weight=0.0, step=0, steps=2, **said))
    aws.story(started, (1, lambda: aws.shift(0.5, 1))).clock.sleep(20)
    return aws


def noticed(aws: Aws, message: str) -> Aws:
    """The deployer sees it at its next look, leaves the alias as it is, and says so."""
    reason = {"reason": LEFT} if message == "AliasChanged" else {"reason": "Promoted by hand."}
    return aws.story((40, lambda: aws.end(message, aws.version, **reason)))


def provisioned(aws: Aws, message: str, routing: dict[str, float]) -> Aws:
    """A promoted alias that is split once more when the deployer looks."""
    noticed(under_way(aws), message)
    return aws.story((40, lambda: setattr(aws, "routing", routing)))


def written(aws: Aws) -> list[dict[str, Any]]:
    """Without what names the alias."""
    names = {"FunctionName": "checkout", "Name": "live"}
    assert all(each.items() >= names.items() for each in aws.moved)
    return [{key: each[key] for key in each if key not in names} for each in aws.moved]
