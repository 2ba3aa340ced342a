"""action.yml: the steps run as GitHub runs them, around a `lambda-rollout` that says what it is told
to, and once around the real one."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.decisions.evidence import Counts
from deployer.decisions.rollout import KEYS
from lambda_rollout import github, plain
from lambda_rollout.endings import Status
from lambda_rollout.state import State
from local.cloud import ROOT
from tests.runner import ACTION, Command, Fake, Job, Summary, assigned, commands

INPUTS = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "steps": "2",
    "interval": "60",
}

ENDED = {
    "status": "SUCCEEDED",
    "exit-status": 0,
    "rollout": "3f2a9c1b04de",
    "original-version": "7",
    "new-version": "8",
    "reason": "",
    "where": "Alias 'live' of 'checkout' is on version 8.",
    "warnings": ["Few calls | *so* far."],
    "started-by": "GitHub shop/checkout run 123 by ada",
    "next": "To go back to version 7: lambda-rollout undo --function checkout --alias live",
}
FAILED = {
    **{key: value for key, value in ENDED.items() if key != "next"},
    "status": "HealthCheckFailed",
    "exit-status": 1,
    "reason": "Version 8 had 39 errors in 39 invocations (100.00%). It was rolled back.",
    "where": "Alias 'live' of 'checkout' is on version 7.",
    "warnings": [],
}
PROGRESS = (
    "12:00:00  Accepted; waiting for the first shift …",
    "12:00:05  rollout 3f2a9c1b04de on checkout:live  version 7 → 8",
    "12:00:05  weight 50 %  step 1 of 2  2 min of steps",
    "12:00:50  calls since 12:00:00  version 7: 0 errors in 40 invocations; version 8: no published calls",
    "12:01:02  calls since 12:00:00  version 7: 0 errors in 90 invocations; "
    "version 8: 1 error in 30 invocations (3.33%)",
    "12:01:05  weight 100 %  step 2 of 2  1 min of steps",
    "12:02:10  SUCCEEDED: Alias 'live' of 'checkout' is on version 8.",
)


class Ran:
    """One use of the Action: what it did to GitHub's files and its log."""

    def __init__(self, job: Job, **changes: str) -> None:
        inputs = {**INPUTS, **changes}
        done = job.step("Roll out", {key: text for key, text in inputs.items() if text})
        assert done.stderr == ""
        self.status = done.returncode
        self.log = done.stdout
        self.commands = commands(done.stdout)
        self.outputs = assigned(job.output)
        self.summary = Summary(job.summary)

    @property
    def errors(self) -> list[Command]:
        return [each for each in self.commands if each.name == "error"]


@pytest.fixture
def job(tmp_path: Path) -> Job:
    return Job(tmp_path)


@pytest.fixture
def fake(job: Job) -> Fake:
    return Fake(job)


# How it ends.
def test_a_rollout_that_succeeds_is_told_in_log_summary_and_outputs(job: Job, fake: Fake) -> None:
    fake.says(json.dumps(ENDED), 0, *PROGRESS)
    ran = Ran(job)
    assert ran.status == 0
    assert ran.outputs == {
        "status": "SUCCEEDED",
        "rollout": "3f2a9c1b04de",
        "original-version": "7",
    }
    assert [each.name for each in ran.commands] == ["group", "endgroup"]
    assert all(line in ran.log.splitlines() for line in PROGRESS)
    assert ran.summary.title == "✅ checkout:live: SUCCEEDED"
    assert ran.summary.facts == {
        "how it ended": "SUCCEEDED",
        "the alias": "Alias 'live' of 'checkout' is on version 8.",
        "versions": "7 → 8",
        "steps": "2 of 2",
        "rollout": "3f2a9c1b04de",
        "started by": "GitHub shop/checkout run 123 by ada",
        "warning": "Few calls | *so* far.",
    }
    few = ["0 errors in 90 invocations", "1 error in 30 invocations (3.33%)"]
    assert ran.summary.tables[1] == [
        ["step", "weight", "at (UTC)", "calls of 7 so far", "calls of 8 so far"],
        ["1", "50 %", "12:00:05", *few],
        ["2", "100 %", "12:01:05", *few],
    ]
    assert f"Next: {ENDED['next']}" in ran.summary.text


def test_a_rollout_that_fails_is_an_annotation_with_the_reason(job: Job, fake: Fake) -> None:
    fake.says(json.dumps(FAILED), 1, *PROGRESS[:5])
    ran = Ran(job)
    assert ran.status == Status.ROLLED_BACK
    (error,) = ran.errors
    assert error.properties == {"title": "checkout:live: HealthCheckFailed"}
    assert error.message == f"{FAILED['reason']} {FAILED['where']}"
    assert "%25" in ran.log, "a bare % would be read as the beginning of a code"
    assert ran.outputs["status"] == "HealthCheckFailed"
    assert ran.summary.title == "❌ checkout:live: HealthCheckFailed"
    assert ran.summary.facts["why"] == FAILED["reason"]
    assert ran.summary.facts["steps"] == "1 of 2"
    assert "Publish a version that is mended" in ran.summary.text


@pytest.mark.parametrize(
    ("status", "name", "told"),
    [
        (Status.REFUSED, "AliasBusy", "mend what is named, and run the job again"),
        (Status.CHANGED, "AliasChanged", "lambda-rollout history"),
        (Status.UNKNOWN, "UNKNOWN", "lambda-rollout history"),
        (Status.STILL_SPLIT, "RollbackFailed", "lambda-rollout stop"),
        (Status.NOT_SEEN, "UNKNOWN", "lambda-rollout watch"),
        (Status.BROKEN_OFF, "UNKNOWN", "lambda-rollout watch"),
    ],
)
def test_every_bad_end_fails_the_step_by_its_own_status_and_says_what_to_do(
    job: Job, fake: Fake, status: Status, name: str, told: str
) -> None:
    fake.says(json.dumps({**FAILED, "status": name, "exit-status": status}), status)
    ran = Ran(job)
    assert (ran.status, len(ran.errors), ran.outputs["status"]) == (status, 1, name)
    assert told in ran.summary.text + ran.summary.html


def test_every_exit_status_has_its_next_step() -> None:
    assert {*github._NEXT, Status.NOTHING_RUNS} == set(Status)


def test_what_is_not_waited_for_is_accepted(job: Job, fake: Fake) -> None:
    accepted = {"status": "ACCEPTED", "exit-status": 0, "new-version": "8"}
    fake.says(json.dumps(accepted), 0)
    ran = Ran(job, wait="false")
    assert fake.asked[0] == ["start", "--json", "--no-wait"]
    assert (ran.status, ran.errors) == (0, [])
    assert ran.outputs == {"status": "ACCEPTED", "rollout": "", "original-version": ""}
    assert "lambda-rollout watch --function checkout --alias live" in ran.summary.html


def test_a_dry_run_says_that_nothing_was_moved(job: Job, fake: Fake) -> None:
    fake.says(json.dumps({**ENDED, "status": "PLANNED", "next": ""}), 0)
    ran = Ran(job, **{"dry-run": "true"})
    assert fake.asked[1]["dry-run"] is True
    assert "Nothing was moved: it was a dry run." in ran.summary.text


@pytest.mark.parametrize("wait", ["yes", "$(touch pwned)", "0"])
def test_a_wait_that_is_neither_true_nor_false_sends_nothing(
    job: Job, fake: Fake, wait: str
) -> None:
    fake.says(json.dumps(ENDED), 0)
    ran = Ran(job, wait=wait)
    assert ran.status == Status.REFUSED
    assert "The input 'wait' must be true or false" in ran.errors[0].message
    assert not (job.folder / "asked.json").exists()


@pytest.mark.parametrize("out", ["", "no JSON", "[]", "[" * 100_000])
@pytest.mark.parametrize(
    ("status", "ends"), [(0, Status.BROKEN_OFF), (1, Status.BROKEN_OFF), (2, Status.REFUSED)]
)
def test_a_command_that_says_nothing_usable_fails_with_its_last_words(
    job: Job, fake: Fake, out: str, status: int, ends: Status
) -> None:
    fake.says(out, status, "Traceback (most recent call last):", "ImportError: no rich", "")
    ran = Ran(job)
    assert ran.status == ends
    assert [each.message for each in ran.errors] == ["ImportError: no rich"]


def test_a_command_that_is_killed_without_a_word_is_said(job: Job, fake: Fake) -> None:
    command = job.temp / "lambda-rollout" / "bin" / "lambda-rollout"
    command.write_text("#!/bin/sh\nkill -9 $$\n")
    ran = Ran(job)
    assert ran.status == Status.BROKEN_OFF
    assert "ended with status -9, and has not said why" in ran.errors[0].message
    assert "A rollout that has begun goes on" in ran.summary.text


def test_packages_of_the_job_are_not_the_command_s(job: Job, fake: Fake) -> None:
    theirs = job.folder / "theirs"
    (theirs / "deployer").mkdir(parents=True)
    (theirs / "deployer" / "__init__.py").write_text("raise SystemExit('of the job')")
    job.environment["PYTHONPATH"] = str(theirs)
    command = job.temp / "lambda-rollout" / "bin" / "lambda-rollout"
    imports = f"import sys\nsys.path.append({str(ROOT)!r})\nimport deployer\n"
    command.write_text(f"#!{sys.executable}\n{imports}print({json.dumps(ENDED)!r})\n")
    ran = Ran(job)
    assert (ran.status, ran.outputs["status"]) == (0, "SUCCEEDED"), ran.log


def test_a_job_that_is_cancelled_says_that_the_rollout_goes_on(job: Job, fake: Fake) -> None:
    stopped = {**FAILED, "status": "STOPPED_WATCHING", "exit-status": 130, "where": ""}
    fake.says(json.dumps(stopped), 130, *PROGRESS[:3], waits=True)
    script = job.folder / "cancelled.sh"
    (step,) = [each for each in ACTION["runs"]["steps"] if each["name"] == "Roll out"]
    script.write_text(step["run"])
    child = subprocess.Popen(
        ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", str(script)],
        cwd=job.workspace,
        env={**job.environment, "INPUTS": json.dumps(INPUTS)},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    seen = ""
    while PROGRESS[2] not in seen:
        line = child.stdout.readline()
        assert line, seen
        seen += line
    child.send_signal(signal.SIGINT)
    rest, _ = child.communicate(timeout=60)
    assert child.returncode == Status.STOPPED_WATCHING
    assert "Stopped watching; the rollout goes on." in rest
    assert "The rollout goes on." in Summary(job.summary).text
    assert assigned(job.output)["rollout"] == "3f2a9c1b04de"


# What goes in.
def test_inputs_are_the_payload_s_keys_and_two_more() -> None:
    inputs = set(ACTION["inputs"])
    assert set(KEYS) <= inputs
    assert inputs - set(KEYS) == set(github.OWN)
    assert [name for name, each in ACTION["inputs"].items() if each.get("required")] == [
        *("function-name", "alias-name", "new-version")
    ]
    assert set(ACTION["outputs"]) == {"status", "rollout", "original-version"}
    for name, each in ACTION["outputs"].items():
        assert each["value"] == f"${{{{ steps.rollout.outputs.{name} }}}}"


def test_inputs_become_the_payload_with_numbers_and_objects(job: Job, fake: Fake) -> None:
    fake.says(json.dumps(ENDED), 0)
    given = {
        "weights": "0.01, 0.1,1",
        "steps": "",
        "health-check": '{"errors": "baseline"}',
        "hand-over": "false",
        "type": "  ",
        "new-version": "8\n",
        "stack": "--help",
    }
    Ran(job, **given)
    assert fake.asked == (
        ["start", "--json", "--stack=--help"],
        {
            "started-by": "GitHub shop/checkout run 123 by ada",
            "function-name": "checkout",
            "alias-name": "live",
            "new-version": "8",
            "interval": 60,
            "weights": [0.01, 0.1, 1],
            "health-check": {"errors": "baseline"},
            "hand-over": False,
        },
    )


def test_what_is_no_json_is_left_for_the_command_to_refuse() -> None:
    inputs = {"steps": "ten", "health-check": "{errors: any}", "weights": "[" * 100_000}
    assert github.payload(inputs, "ada") == {"started-by": "ada", **inputs}


def test_started_by_of_one_s_own_comes_first(job: Job, fake: Fake) -> None:
    fake.says(json.dumps(ENDED), 0)
    Ran(job, **{"started-by": "release 7"})
    assert fake.asked[1]["started-by"] == "release 7"


def test_the_longest_names_leave_the_run_and_the_actor_in_started_by() -> None:
    names = {"GITHUB_REPOSITORY": f"{'o' * 39}/{'r' * 100}", "GITHUB_ACTOR": "a" * 39}
    told = github.who({**names, "GITHUB_RUN_ID": "1" * 12})
    assert len(told) == 128
    assert told.endswith(f"r run {'1' * 12} by {'a' * 39}")


HOSTILE = (
    "\"; touch pwned; '$(touch pwned)'`touch pwned`",
    "x\n::error title=x::y\n::set-output name=status::SUCCEEDED",
    "x\r\n::stop-commands::x\r",
    "x ##[error]y ##[set-output name=status;]SUCCEEDED",
    "###[add-path]/tmp\n##[stop-commands]x",
    "<script>alert(1)</script> | <img src=x> </pre> ![a](http://x) [b](y) **c** `d` \\| $e$ &amp;",
    "end\nstatus=SUCCEEDED\nrollout<<x\ny\nx",
    "${{ github.token }} ${IFS} %0A::error::z 100 %",
    "--help",
    "ﬂåß 🚀 \u202e",
)


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("key", ["function-name", "new-version", "health-check", "stack"])
def test_what_people_write_stays_data_in_shell_log_and_summary(
    job: Job, fake: Fake, key: str, hostile: str
) -> None:
    told = dict.fromkeys(("status", "rollout", "reason", "where", "new-version"), hostile)
    said = json.dumps({**FAILED, **told, "warnings": [hostile]})
    fake.says(said, Status.NOT_SEEN, *hostile.splitlines())
    ran = Ran(job, **{key: hostile})
    assert not list(job.folder.rglob("pwned"))
    arguments, payload = fake.asked
    written = arguments[2].removeprefix("--stack=") if key == "stack" else payload[key]
    assert written == hostile.strip()
    plainly = " ".join(hostile.split())
    assert ran.outputs == {"status": plainly, "rollout": plainly, "original-version": "7"}
    assert [each.name for each in ran.commands] == ["group", "endgroup", "error"]
    in_log = plainly.replace("##[", "## [")
    assert ran.errors[0].message == f"{in_log} {in_log}"
    assert ran.summary.facts["why"] == plainly
    assert ran.summary.facts["warning"] == plainly
    assert len(ran.summary.tables) == 1
    assert re.findall(r"<[^>]*>", ran.summary.html) == ["<pre>", "</pre>"]
    ends = re.findall(r"^[a-z-]+<<(.+)$", job.output.read_text(), re.MULTILINE)
    assert len({*ends}) == 3, "nobody can know them before"


def test_no_script_of_the_action_holds_an_expression() -> None:
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert step["shell"] == "bash"


def test_a_runner_with_an_older_python_is_told_what_to_do(job: Job) -> None:
    older = job.folder / "bin"
    older.mkdir()
    (older / "python3").write_text("#!/bin/sh\nexit 1\n")
    (older / "python3").chmod(0o755)
    job.environment["PATH"] = f"{older}{os.pathsep}{os.environ['PATH']}"
    done = job.step("Install lambda-rollout", {})
    (error,) = commands(done.stdout)
    assert (done.returncode, error.name) == (1, "error")
    assert "Python 3.11 or newer is needed: put actions/setup-python" in error.message


def test_the_progress_that_is_read_is_the_one_that_is_printed() -> None:
    """`plain` writes the lines, and the summary's steps are read from them."""
    shown: list[str] = []
    before = None
    calls = (Counts(90, 0), Counts(30, 1))
    for step, weight, counts in ((1, 0.5, None), (1, 0.5, calls), (2, 1.0, calls)):
        changed = State(
            *("checkout", "live", 0.0, 60.0),
            rollout="3f2a9c1b04de",
            original="7",
            new="8",
            step=step,
            steps=2,
            weight=weight,
            counts=counts,
        )
        shown += [f"12:00:0{step}  {line}" for line in plain.changes(before, 0.0, changed, 1.0)]
        before = changed
    assert github.steps(shown) == (
        (
            github.Step(1, "50 %", "12:00:01", (str(calls[0]), str(calls[1]))),
            github.Step(2, "100 %", "12:00:02"),
        ),
        2,
    )
