"""What a pipeline reads: with `--json` one object on standard output, progress on standard error;
without waiting it ends once AWS has accepted."""

import json
from typing import Any

import pytest

from deployer.decisions import errors
from lambda_rollout import called
from lambda_rollout.endings import STATUSES, Status
from tests.beginnings import EVENT
from tests.test_cli import ROLLOUT, VERBS, WATCH, WHY, Ran, bad, good, runs
from tests.watched import CALLER, ID, Aws, Clock, refusal
from world.world import World

START = ROLLOUT.replace("rollout", "start", 1)
PLAN = ROLLOUT.replace("rollout", "plan", 1)
WHO = {"function-name": "checkout", "alias-name": "live"}
VERSIONS = {"original-version": "7", "new-version": "8"}


def test_a_good_rollout_is_one_object_and_its_progress_is_elsewhere(aws: Aws) -> None:
    ran = Ran(f"{START} --json", good(aws))
    assert answered(ran) == {
        "exit-status": 0,
        "status": "SUCCEEDED",
        **WHO,
        **VERSIONS,
        "rollout": ID,
        "reason": WHY,
        "where": "Alias 'live' of 'checkout' is on version 8.",
        "warnings": ["Does anything call this alias?"],
        "started-by": CALLER,
        "next": "To go back to version 7: make undo FUNCTION=checkout ALIAS=live",
    }
    assert "weight 50 %  step 1 of 2" in ran.err and "SUCCEEDED: " in ran.err


def test_a_bad_one_says_why_and_what_to_do(aws: Aws) -> None:
    ran = Ran(f"{WATCH} --json --wait 20", bad(aws))
    told = answered(ran)
    assert (ran.status, told["exit-status"], told["status"]) == (1, 1, "HealthCheckFailed")
    assert told["reason"] == f"{WHY} It was rolled back."
    assert told["where"] == "Alias 'live' of 'checkout' is on version 7."
    assert told["next"].startswith("Nothing has to be done for users: they are on version 7.")
    assert ran.err.endswith(f"{told['next']}\n")


@pytest.mark.parametrize("message", STATUSES)
def test_the_object_has_the_deployer_s_word_and_the_exit_status(aws: Aws, message: str) -> None:
    runs(aws, (40, lambda: aws.end(message, "7", reason="Because.")))
    told = answered(Ran(f"{START} --json", aws))
    assert (told["status"], told["exit-status"]) == (message, STATUSES[message])
    assert told["reason"] == "Because."


@pytest.mark.parametrize("options", ["", " --started-by release-7"])
def test_without_waiting_it_ends_once_it_is_accepted(aws: Aws, options: str) -> None:
    ran = Ran(f"{START} --json --no-wait{options}", aws)
    assert (ran.status, ran.seconds, len(aws.invoked)) == (Status.DEPLOYED, 0, 1)
    who = options.removeprefix(" --started-by ") or CALLER
    assert answered(ran) == {
        "exit-status": 0,
        "status": "ACCEPTED",
        **WHO,
        **VERSIONS,
        "warnings": [],
        "started-by": who,
    }
    ran = Ran(f"{START} --no-wait", Aws(Clock()))
    assert ran.out == "Accepted. How it goes: make watch FUNCTION=checkout ALIAS=live\n"


def test_a_handed_over_rollout_names_its_execution(aws: Aws) -> None:
    execution = "arn:aws:states:eu-west-1:1:execution:D:e"
    handed = {"execution": execution, "function_request_id": "request-1"}
    aws.story(
        (2, lambda: aws.tell("HANDED_OVER", **handed)),
        (8, lambda: aws.shift(0.5, 1, quiet=True)),
        (40, lambda: aws.end("SUCCEEDED", "8", "workflow", reason=WHY)),
    )
    assert answered(Ran(f"{START} --json", aws))["execution-arn"] == execution


def test_a_plan_is_the_dry_run_s_answer(aws: Aws) -> None:
    aws.answer = World().invoke({**EVENT, "dry-run": True})
    ran = Ran(f"{PLAN} --json", aws)
    told = answered(ran)
    assert (ran.status, told["status"], aws.invoked) == (Status.DEPLOYED, "PLANNED", [])
    assert [sent["dry-run"] for sent in aws.planned] == [True]
    assert told["plan"] == aws.answer["rollout"]["plan"]
    assert told["weights"] == aws.answer["rollout"]["weights"]
    assert told["where"] == "Alias 'live' of 'checkout' is on version 7."
    assert "dry run of checkout:live" in ran.err
    assert Ran(PLAN, aws).out == Ran(f"{START} --dry-run", aws).out


def test_what_the_deployer_refuses_to_plan_is_answered_too(aws: Aws) -> None:
    where = "Alias 'live' of 'checkout' is on version 7."
    aws.answer = {"errorType": "InvalidRollout", "errorMessage": f"There is no version 8. {where}"}
    told = answered(Ran(f"{PLAN} --json", aws))
    assert (told["exit-status"], told["status"]) == (2, "InvalidRollout")
    assert told["reason"].startswith("There is no version 8.")


def test_an_alias_that_is_busy_is_answered_with_the_deployer_s_word(aws: Aws) -> None:
    aws.shift(0.5, 1)
    told = answered(Ran(f"{START} --json", aws))
    assert (told["exit-status"], told["status"]) == (2, errors.AliasBusy.__name__)
    assert told["reason"].startswith(f"Rollout {ID} of version 8 runs on this alias")


REFUSED: dict[str, tuple[str, str, str]] = {
    "a typo": (f"{START} --steps x", "InvalidRollout", "'steps' must be a whole number"),
    "nothing said": ("start", "REFUSED", "Which function, alias, version, steps and interval?"),
    "no file": ("start --payload absent.json", "InvalidRollout", "The payload cannot be read"),
    "a plan of nothing": ("plan --alias live", "REFUSED", "Which function"),
    "no alias to watch": ("watch --function checkout", "REFUSED", "Which alias?"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_here_is_answered_too(aws: Aws, case: str) -> None:
    command, status, reason = REFUSED[case]
    ran = Ran(f"{command} --json", aws)
    told = answered(ran)
    assert (ran.status, told["exit-status"], told["status"]) == (2, 2, status)
    assert told["reason"].startswith(reason) and aws.invoked == []


@pytest.mark.parametrize(("verb", "status"), [(START, "REFUSED"), (WATCH, "NOT_SEEN")])
def test_what_aws_refuses_is_answered_too(aws: Aws, verb: str, status: str) -> None:
    aws.faults["get_alias"] = refusal("AccessDeniedException", status=403)
    ran = Ran(f"{verb} --json", aws)
    told = answered(ran)
    assert (told["exit-status"], told["status"]) == (ran.status, status)
    assert "allow lambda:GetAlias" in told["reason"]


def test_ctrl_c_is_answered_with_what_is_known(aws: Aws) -> None:
    def press() -> None:
        raise KeyboardInterrupt

    told = answered(Ran(f"{START} --json", good(aws).story((20, press))))
    assert (told["exit-status"], told["status"]) == (130, "STOPPED_WATCHING")
    share = "it sends 50 % of its calls to version 8, the rest to version 7."
    assert told["rollout"] == ID
    assert told["where"] == f"Alias 'live' of 'checkout' is split: {share}"


def test_nothing_that_runs_is_an_answer(aws: Aws) -> None:
    told = answered(Ran(f"{WATCH} --json", aws))
    assert (told["exit-status"], told["status"]) == (6, "NOTHING_RUNS")
    assert told["next"].endswith("make history FUNCTION=checkout ALIAS=live")


def test_a_plan_that_lacks_something_is_told_what_to_add_and_never_to_start_a_rollout(
    aws: Aws,
) -> None:
    ran = Ran("plan --alias live --steps 10 --interval 60", aws)
    assert ran.err == (
        "Which function and version? Add FUNCTION=checkout VERSION=8, "
        "or --function checkout --version 8.\n"
    )


@pytest.mark.parametrize("verb", VERBS)
def test_the_next_command_is_typed_as_this_one_was(
    verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", ["bin/lambda-rollout", verb])
    assert called.command(verb, function="checkout", alias="live") == (
        f"lambda-rollout {verb} --function checkout --alias live"
    )
    monkeypatch.setattr("sys.argv", [r"C:\Users\ada\bin\lambda-rollout.exe", verb])
    assert called.installed()
    monkeypatch.setattr("sys.argv", ["/clone/lambda_rollout/__main__.py", verb])
    made = called.command(verb, function="checkout", alias="live")
    assert made.startswith("make ") and made.endswith(" FUNCTION=checkout ALIAS=live")


# -- what the stories need ------------------------------------------------------------------------


@pytest.fixture
def aws() -> Aws:
    return Aws(Clock())


def answered(ran: Ran) -> dict[str, Any]:
    """The object, which is all that stands on standard output."""
    assert ran.out.count("\n") == 1
    told: dict[str, Any] = json.loads(ran.out)
    assert told["exit-status"] == ran.status
    return told
