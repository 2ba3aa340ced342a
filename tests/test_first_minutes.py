"""What somebody meets in the first minutes, and mistypes: each is a sentence with a remedy, and nothing
is sent; a dry run shows its plan; and the payload says who has asked."""

import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from rich.console import Console

from deployer.decisions.rollout import Rollout
from lambda_rollout import eyes, planned, table
from lambda_rollout.endings import Status
from local import up
from local.cloud import ROOT
from tests.test_cli import ROLLOUT, WATCH, Ran, good
from tests.test_cli_broken_off import closed_pipe
from tests.watched import CALLER, Aws, Clock, refusal
from world.aws import HERE
from world.world import World

DRY = f"{ROLLOUT} --dry-run"


# A dry run.
def test_a_dry_run_shows_the_plan_and_ends(aws: Aws) -> None:
    aws.answer = plan(rate=10.0, steps=2, interval=30)
    ran = Ran(DRY, aws)
    assert (ran.status, ran.err, ran.seconds) == (Status.DEPLOYED, "", 0)
    assert ran.out.splitlines() == [
        "dry run of checkout:live  version 7 → 8",
        "",
        "step  weight  from  until  calls of version 8",
        "   1    50 %   0 s   30 s           about 147",
        "   2   100 %  30 s  1 min           about 294",
        "",
        "takes        1 min of steps, up to 3 min in all",
        "done by      SimpleDeployFunction",
        "calls now    589 a minute of the alias, in the last hour",
        "fails-on     any error of version 8",
        "suspends-on  failed calls of version 8 in its log /aws/lambda/checkout",
        f"warning      {QUICK}",
        "             Nothing was moved.",
    ]


def test_a_dry_run_sends_nothing_that_moves_anything_and_asks_once(aws: Aws) -> None:
    aws.answer = plan()
    assert Ran(DRY, aws).status == Status.DEPLOYED
    assert aws.invoked == []
    target = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
    assert aws.planned == [{**target, "steps": 2, "interval": 30, "dry-run": True}]


@pytest.mark.parametrize(
    ("typed", "dry"),
    [
        ("--dry-run", True),
        ("--dry-run 1", True),
        ("--dry-run TRUE", True),
        ("--dry-run yes", True),
        ("--dry-run 0", False),
        ("--dry-run false", False),
        ("--dry-run no", False),
    ],
)
def test_a_dry_run_is_switched_on_and_off_in_words_and_comes_before_the_file_s(
    aws: Aws, tmp_path: Path, typed: str, dry: bool
) -> None:
    file = tmp_path / "payload.json"
    given = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
    file.write_text(json.dumps({**given, "type": "canary", "interval": 30, "dry-run": not dry}))
    aws.answer = plan()
    good(aws)
    assert Ran(f"rollout {typed} --payload {file}", aws).status == Status.DEPLOYED
    assert (len(aws.planned), len(aws.invoked)) == (int(dry), int(not dry))


def test_a_payload_that_is_a_dry_run_is_one(aws: Aws) -> None:
    aws.answer = plan()
    assert Ran(f"rollout --payload {ROOT / 'events' / 'dry-run.json'}", aws).status == 0
    assert [event["dry-run"] for event in aws.planned] == [True]


def test_a_terminal_shows_the_plan_as_a_table() -> None:
    told = planned.read(rollout(), plan(rate=10.0))
    console = Console(file=io.StringIO(), width=80, record=True)
    table.show(told, console, io.StringIO())
    shown = console.export_text()
    assert "╭─ dry run of checkout:live  version 7 → 8 ─" in shown
    assert re.search(r"step +weight +from +until +calls of version 8", shown)
    assert re.search(r"1 +50 % +0 s +30 s +about 147 ", shown)
    assert re.search(r"suspends-on +failed calls of version 8", shown)
    assert max(len(line) for line in shown.splitlines()) <= 80


def test_a_plan_tells_what_is_not_known_and_what_is_switched_off() -> None:
    world = an_hour()
    world.faults = {"GetMetricData 1": "broken"}
    check: dict[str, Any] = {"health-check": {"errors": False, "min-invocations": 1, "logs": False}}
    told = planned.text(planned.read(rollout(**check), asked(world, **check)))
    assert re.search(r"50 % .* not known$", told, re.MULTILINE)
    assert "calls now    not known: CloudWatch could not be asked" in told
    assert re.search(r"^suspends-on  nothing$", told, re.MULTILINE)
    assert re.search(r"up to 13 min where every step is held for calls$", told, re.MULTILINE)
    off: dict[str, Any] = {"health-check": False}
    told = planned.text(planned.read(rollout(**off), asked(an_hour(), **off)))
    assert re.search(r"^fails-on     nothing: the health check is off$", told, re.MULTILINE)


def test_every_reason_to_roll_back_has_a_line_of_its_own() -> None:
    world = an_hour()
    world.alarms = {"checkout-errors": "OK"}
    check: dict[str, Any] = {"health-check": {"alarms": ["checkout-errors"], "smoke-test": {}}}
    lines = planned.text(planned.read(rollout(**check), asked(world, **check))).splitlines()
    first = next(number for number, line in enumerate(lines) if line.startswith("fails-on"))
    assert lines[first : first + 3] == [
        "fails-on     any error of version 8",
        "             alarm checkout-errors going into ALARM",
        "             the smoke test of version 8 (not run in a dry run)",
    ]


def test_a_dry_run_of_a_version_that_is_deployed_says_so(aws: Aws) -> None:
    aws.answer = World().invoke({**EVENT, "new-version": "7"})
    ran = Ran(DRY, aws)
    assert (ran.status, ran.err) == (Status.DEPLOYED, "")
    assert ran.out == (
        "ALREADY_DEPLOYED: Alias 'live' of 'checkout' is on version 7: there is nothing to plan.\n"
    )


def test_what_would_be_refused_is_a_sentence(aws: Aws) -> None:
    message = "Version 8 could not be read. Alias 'live' of 'checkout' is on version 7."
    aws.answer = {"errorType": "InvalidRollout", "errorMessage": message, "stackTrace": ["File x"]}
    ran = Ran(DRY, aws)
    assert (ran.status, ran.out, ran.err) == (Status.REFUSED, "", f"InvalidRollout: {message}\n")
    aws.answer = {"errorType": "Sandbox.Timedout", "errorMessage": "Task timed out after 900 s"}
    ran = Ran(DRY, aws)
    assert (ran.status, ran.out) == (Status.REFUSED, "")
    assert ran.err == (
        "SimpleDeployFunction has failed, and made no plan: Task timed out after 900 s\n"
    )


def test_a_plan_that_does_not_come_is_a_sentence(aws: Aws) -> None:
    aws.faults["plan"] = refusal("AccessDeniedException", status=403)
    ran = Ran(DRY, aws)
    assert ran.status == Status.REFUSED and "allow lambda:InvokeFunction on Simple" in ran.err
    aws.faults["plan"] = refusal("ServiceException", status=503)
    ran = Ran(DRY, aws)
    assert ran.status == Status.NOT_SEEN
    assert ran.err.endswith("No plan came; nothing was moved.\n") and ran.err.count("\n") == 1


def test_a_dry_run_is_waited_for_as_long_as_the_deployer_may_take() -> None:
    made = {}

    def make(service: str, config: Any) -> Any:
        made[service, config.read_timeout] = config
        return World  # whatever has attributes

    with pytest.raises(AttributeError):
        eyes.Clients(make)
    assert ("lambda", 905) in made
    sts = [config for (service, _), config in made.items() if service == "sts"]
    (quick,) = sts
    assert quick.connect_timeout + quick.read_timeout <= 2
    assert quick.retries == {"total_max_attempts": 1}


# What is missing.
MISSING = {
    "rollout": ("function", "alias", "version", "steps", "interval"),
    "rollout --alias live": ("function", "version", "steps", "interval"),
    "rollout --function checkout --alias live --version 8": ("steps", "interval"),
    "rollout --type linear": ("function", "alias", "version", "steps", "interval"),
    "rollout --type exponential --interval 9": ("function", "alias", "version", "steps"),
    "rollout --type canary": ("function", "alias", "version", "interval"),
    "rollout --weights 0.1,1": ("function", "alias", "version", "interval"),
    "rollout --type Canary10Percent5Minutes": ("function", "alias", "version"),
    "rollout --steps ten": ("function", "alias", "version", "interval"),
    "watch": ("function", "alias"),
    "watch --alias live": ("function",),
}


@pytest.mark.parametrize("typed", MISSING)
def test_all_that_is_missing_is_named_at_once_and_can_be_copied(aws: Aws, typed: str) -> None:
    ran = Ran(typed, aws)
    assert (ran.status, aws.invoked, ran.err.count("\n")) == (Status.REFUSED, [], 1)
    names = MISSING[typed]
    said = re.search(r"\? Add ([A-Z]+=.*), or (--.*)\.$", ran.err)
    assert said, "what was given stays as it was typed"
    assert [word.split("=")[0] for word in said[1].split()] == [name.upper() for name in names]
    assert said[2].split()[::2] == [f"--{name}" for name in names]
    assert ran.err.startswith(f"Which {names[0]}")
    completed = Ran(f"{typed} {said[2]}", good(Aws(Clock())))
    assert "Which" not in completed.err


def test_what_the_file_has_is_not_missing(aws: Aws, tmp_path: Path) -> None:
    file = tmp_path / "payload.json"
    for given, absent in (
        ({"function-name": "checkout"}, "alias, version, steps and interval"),
        ({"type": "canary", "new-version": "8"}, "function, alias and interval"),
        ({"weights": [1], "alias-name": "live"}, "function, version and interval"),
    ):
        file.write_text(json.dumps(given))
        ran = Ran(f"rollout --payload {file}", aws)
        assert (ran.status, aws.invoked) == (Status.REFUSED, [])
        assert ran.err.startswith(f"Which {absent}?")


# What is no JSON.
WRONG = {
    "--health {errors:any}": ("health-check", "not JSON", """HEALTH='{"errors": "any"}'"""),
    "--health yes": ("health-check", "not JSON", """HEALTH='{"errors": "any"}'"""),
    "--health baseline": ("health-check", "not JSON", """HEALTH='{"errors": "baseline"}'"""),
    "--health {errors:baseline}": (
        "health-check",
        "not JSON",
        """HEALTH='{"errors": "baseline"}', or --health '{"errors": "baseline"}'""",
    ),
    "--steps four": ("steps", "a whole number", "STEPS=10"),
    "--steps 4x": ("steps", "a whole number", "STEPS=10"),
    "--interval 30s": ("interval", "a number of seconds", "INTERVAL=60"),
    "--interval 1,5": ("interval", "a number of seconds", "INTERVAL=60"),
    "--weights 0.1,half,1": ("weights", "a list of numbers", "WEIGHTS=0.05,0.25,1"),
    "--weights 10%,100%": ("weights", "a list of numbers", "WEIGHTS=0.05,0.25,1"),
    "--weights [0.1,1": ("weights", "a list of numbers", "WEIGHTS=0.05,0.25,1"),
    "--dry-run maybe": ("dry-run", "true or false", "DRY_RUN=1"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_read_is_told_how_it_is_written(aws: Aws, wrong: str) -> None:
    ran = Ran(f"{ROLLOUT} {wrong}", aws)
    assert (ran.status, aws.invoked, aws.planned) == (Status.REFUSED, [], [])
    key, rule, remedy = WRONG[wrong]
    assert ran.err.startswith(f"InvalidRollout: '{key}' must be ") and ran.err.count("\n") == 1
    assert rule in ran.err and f"write it as in {remedy}" in ran.err


# The stack, and the address.
@pytest.mark.parametrize("line", [ROLLOUT, DRY])
def test_a_stack_that_is_not_there_is_refused_before_anything_starts(aws: Aws, line: str) -> None:
    ran = Ran(f"{line} --stack another", aws)
    assert (ran.status, aws.invoked, aws.planned) == (Status.REFUSED, [], [])
    assert ran.err.startswith("There is no stack 'another' in eu-west-1: install the deployer")
    assert "--stack (make: STACK=)" in ran.err and ran.err.endswith(" Nothing was sent.\n")


def test_a_stack_that_may_not_be_read_keeps_nothing_from_starting(aws: Aws) -> None:
    aws.faults["describe_stacks"] = refusal("AccessDenied", status=403)
    aws.answer = plan()
    assert Ran(DRY, aws).status == Status.DEPLOYED
    assert Ran(ROLLOUT, good(aws)).status == Status.UNKNOWN
    assert len(aws.invoked) == 1


ADDRESSES = {
    "localhost:5000": "http://localhost:5000",
    "127.0.0.1": "http://127.0.0.1",
    "aws.internal/proxy": "http://aws.internal/proxy",
    "http://": "http://127.0.0.1:5000",
    "//localhost": "http://127.0.0.1:5000",
    "ftp://localhost": "http://127.0.0.1:5000",
    "http://a b": "http://127.0.0.1:5000",
}


@pytest.mark.parametrize("line", [ROLLOUT, WATCH, DRY])
@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA"])
def test_an_address_that_is_none_is_named_with_the_remedy(
    aws: Aws, monkeypatch: pytest.MonkeyPatch, name: str, address: str, line: str
) -> None:
    monkeypatch.setenv(name, address)
    ran = Ran(line, aws)
    assert (ran.status, ran.out, aws.invoked, aws.planned) == (Status.REFUSED, "", [], [])
    assert ran.err.startswith(f"{name} is '{address}', which is no address")
    assert ran.err.endswith(f": export {name}={ADDRESSES[address]}.\n") and ran.err.count("\n") == 1


def test_an_address_that_is_one_or_is_not_used_is_taken(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "HTTPS://localhost:5000/x")
    monkeypatch.setenv("AWS_ENDPOINT_URL_DYNAMODB", "localhost")
    assert Ran(WATCH, aws).status == Status.NOTHING_RUNS
    monkeypatch.setenv("AWS_ENDPOINT_URL", "localhost")
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert Ran(WATCH, aws).status == Status.NOTHING_RUNS


def test_an_address_without_http_ends_the_process_with_a_sentence() -> None:
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    place = {"AWS_ENDPOINT_URL": "localhost:5000", "AWS_DEFAULT_REGION": "eu-west-1"}
    done = typed(["-m", "lambda_rollout", *WATCH.split()], environment={**keys, **place})
    assert (done.returncode, done.stdout) == (Status.REFUSED, "")
    assert done.stderr.startswith("AWS_ENDPOINT_URL is 'localhost:5000'")
    assert done.stderr.count("\n") == 1


def test_ctrl_c_at_any_moment_and_twice_leaves_no_traceback() -> None:
    """From when Python has begun to load the command: what comes before is Python's own."""
    keys = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
    place = {"AWS_ENDPOINT_URL": "http://127.0.0.1:9", "AWS_DEFAULT_REGION": "eu-west-1"}
    script = (
        "import runpy, signal, sys, threading, time\n"
        "def press():\n"
        "    for pause in (float(sys.argv.pop(1)), 0.02):\n"
        "        time.sleep(pause)\n"
        "        signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)\n"
        "threading.Thread(target=press, daemon=True).start()\n"
        "time.sleep(0.01)\n"
        "runpy.run_module('lambda_rollout', run_name='__main__')\n"
    )
    for moment in range(8):
        pause = f"{0.02 + moment * 0.06}"
        done = typed(["-c", script, pause, *WATCH.split()], environment={**keys, **place})
        assert done.returncode == Status.STOPPED_WATCHING, (pause, done.stderr)
        assert "Traceback" not in done.stderr, pause


# Who has asked.
@pytest.mark.parametrize(
    ("arn", "sent"),
    [
        (CALLER, CALLER),
        (
            "arn:aws:iam::123456789012:user/" + "x" * 97,
            "arn:aws:iam::123456789012:user/" + "x" * 97,
        ),
        (
            "arn:aws:iam::123456789012:user/" + "x" * 98,
            "arn:aws:iam::123456789012:user/" + "x" * 97,
        ),
    ],
)
def test_the_caller_s_arn_says_who_has_asked(aws: Aws, arn: str, sent: str) -> None:
    aws.caller = arn
    assert Ran(ROLLOUT, good(aws)).status == Status.DEPLOYED
    assert [event["started-by"] for event in aws.invoked] == [sent]
    assert Rollout.from_event(aws.invoked[0], HERE).started_by == sent


def test_what_is_said_of_who_has_asked_comes_first(aws: Aws, tmp_path: Path) -> None:
    aws.faults["get_caller_identity"] = AssertionError("it need not be asked")
    assert Ran(ROLLOUT, good(aws), also=["--started-by", "release 7"]).status == Status.DEPLOYED
    file = tmp_path / "payload.json"
    given = {"function-name": "checkout", "alias-name": "live", "new-version": "8"}
    file.write_text(json.dumps({**given, "steps": 2, "interval": 30, "started-by": "pipeline"}))
    again = good(Aws(Clock()))
    again.faults = aws.faults
    assert Ran(f"rollout --payload {file}", again).status == Status.DEPLOYED
    sent = [event["started-by"] for event in (*aws.invoked, *again.invoked)]
    assert sent == ["release 7", "pipeline"]


@pytest.mark.parametrize("who", ["", "x" * 129])
def test_a_wrong_word_of_who_has_asked_is_refused(aws: Aws, who: str) -> None:
    ran = Ran(ROLLOUT, aws, also=["--started-by", who])
    assert (ran.status, aws.invoked) == (Status.REFUSED, [])
    assert "'started-by' must be text of 1 to 128 characters" in ran.err


@pytest.mark.parametrize(
    "fault",
    [
        refusal("AccessDenied", status=403),
        refusal("ServiceUnavailable", status=503),
        KeyError("Arn"),
    ],
)
def test_a_rollout_starts_where_it_is_not_told_who_has_asked(aws: Aws, fault: Exception) -> None:
    aws.faults["get_caller_identity"] = fault
    ran = Ran(ROLLOUT, good(aws))
    to_do = "To go back to version 7: make undo FUNCTION=checkout ALIAS=live\n"
    assert (ran.status, ran.err) == (Status.DEPLOYED, to_do)
    assert ["started-by" in event for event in aws.invoked] == [False]


def test_an_answer_that_does_not_come_is_not_waited_for(
    aws: Aws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambda_rollout.start._WHO_SECONDS", 0.05)
    answered = threading.Event()
    aws.sts.get_caller_identity = answered.wait
    ran = Ran(ROLLOUT, good(aws))
    answered.set()
    assert ran.status == Status.DEPLOYED
    assert ["started-by" in event for event in aws.invoked] == [False]


# make, and what it prints.
def test_make_hands_a_dry_run_and_who_has_asked_on(tmp_path: Path) -> None:
    variables = ["DRY_RUN=1", 'STARTED_BY=the release\'s "pipeline" 7', "FUNCTION=checkout"]
    (tmp_path / "lambda_rollout").mkdir()
    (tmp_path / "lambda_rollout" / "__main__.py").write_text("import sys; print(sys.argv[1:])")
    done = make(tmp_path, "rollout", *variables)
    assert done.stdout.strip() == repr(
        [
            *("start", "--function", "checkout", "--dry-run", "1"),
            *("--started-by", 'the release\'s "pipeline" 7'),
        ]
    )


MADE = {
    "stop": ["FUNCTION=checkout", "ALIAS=live", "STACK=other"],
    "promote": ["FUNCTION=checkout", "ALIAS=live"],
    "undo": ["FUNCTION=checkout", "ALIAS=live", "YES=1"],
    "history": ["FUNCTION=checkout", "LAST=3", "SINCE=7d"],
}


@pytest.mark.parametrize("verb", MADE)
def test_make_hands_the_other_verbs_on(tmp_path: Path, verb: str) -> None:
    (tmp_path / "lambda_rollout").mkdir()
    (tmp_path / "lambda_rollout" / "__main__.py").write_text("import sys; print(*sys.argv[1:])")
    typed = " ".join(MADE[verb]).replace("YES=1", "--yes")
    options = re.sub(r"([A-Z]+)=", lambda name: f"--{name[1].lower()} ", typed)
    done = make(tmp_path, verb, *MADE[verb])
    assert done.stdout.strip() == f"{verb} {options}"


def test_ctrl_c_while_the_tools_are_set_up_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "a folder"
    folder.mkdir()
    slow = folder / "slow python"
    slow.write_text(
        f"#!{sys.executable}\n"
        "import pathlib, sys, time\n"
        "if '-m' in sys.argv:\n"
        "    pathlib.Path('begun').touch()\n"
        "    time.sleep(60)\n"
    )
    slow.chmod(0o755)
    with subprocess.Popen(
        [*_make(folder), "tools", "PYTHON='./slow python'"],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        wait_for((folder / "begun").exists)
        os.killpg(process.pid, signal.SIGINT)
        _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert "Stopped while the tools were being set up: the next make sets them up anew." in err
    assert "Traceback" not in err
    assert not (folder / ".venv" / ".complete").exists()


def test_what_make_local_prints_works_in_a_folder_with_spaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "it's a $folder"
    (folder / ".venv" / "bin").mkdir(parents=True)
    program = folder / ".venv" / "bin" / "make"
    program.write_text('#!/bin/sh\nprintf "%s|" "$PWD" "$AWS_ENDPOINT_URL" "$@"; echo\n')
    program.chmod(0o755)
    monkeypatch.setattr(up, "ROOT", folder)
    lines = up.told(NO_CLOUD).split("\n")
    setting_up = [line for line in lines if re.match(r"  (cd|export) ", line)]
    makes = [line for line in lines if line.startswith("  make ")]
    assert len(setting_up) == 3
    script = "\n".join([*setting_up, *makes])
    done = subprocess.run(["bash", "-ec", script], text=True, capture_output=True, check=True)
    told = done.stdout.splitlines()
    assert [line.split("|")[:2] for line in told] == [[str(folder), "http://localhost:1"]] * 3
    assert [line.split("|")[2] for line in told] == ["rollout", "rollout", "watch"]


def test_what_make_local_prints_is_taken_by_the_command(aws: Aws) -> None:
    known = re.search(r"^VARIABLES := (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert known
    for line in up.told(NO_CLOUD).split("\n"):
        if line.startswith("  make "):
            _, verb, *variables = shlex.split(line)
            names = [variable.split("=")[0] for variable in variables]
            assert verb in ("rollout", "watch") and set(names) <= set(known[1].split())


@pytest.mark.parametrize("arguments", [("help",), ("rollout", "--help")])
def test_a_pipe_that_is_closed_ends_make_without_a_traceback(arguments: tuple[str, ...]) -> None:
    with closed_pipe() as out:
        done = subprocess.run(
            ["make", *arguments], cwd=ROOT, stdout=out, stderr=subprocess.PIPE, check=False
        )
    assert b"Traceback" not in done.stderr


FAREWELLS = {
    "a pipe that is closed": ("print('x' * 9000, flush=True)", 1, "Ended (Broken pipe).\n"),
    "Ctrl-C": ("raise KeyboardInterrupt", 130, "Stopped: what ran on this machine has ended.\n"),
    "no emulator": ("raise RuntimeError('It failed:\\nso and so')", 1, "It failed:\nso and so\n"),
    "a fault": ("{}['x']", 1, "Ended (KeyError: 'x', in <string>, line 4).\n"),
    "its end": ("return 1", 1, ""),
}


@pytest.mark.parametrize("name", FAREWELLS)
def test_whatever_ends_the_local_aws_is_said_in_a_sentence(name: str) -> None:
    doing, status, told = FAREWELLS[name]
    script = f"from local.farewell import with_a_sentence\n\ndef main():\n    {doing}\n"
    with closed_pipe() as out:
        done = typed(["-c", f"{script}\nwith_a_sentence(main)"], out=out)
    assert (done.returncode, done.stderr) == (status, told)


def test_the_demo_ends_with_what_to_do_next() -> None:
    from local.demo.acts import NEXT

    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {*re.findall(r"make (\w+)", NEXT)} == {"local", "rollout", "watch", "install"} & targets
    files = re.findall(r"[\w/]+\.md", NEXT)
    assert len(files) == 3 and all((ROOT / file).exists() for file in files)


@pytest.mark.parametrize("verdict", ["PENDING", "SUCCEEDED"])
def test_the_demo_does_not_call_a_version_good_of_which_nothing_is_published(verdict: str) -> None:
    from local.demo.acts import shown

    line: dict[str, Any] = {"message": "LOOKED", "verdict": verdict, "reason": "No calls."}
    nothing = {"invocations": 0, "errors": 0}
    some = {"invocations": 9, "errors": 0}
    unknown = "[yellow]look no calls published yet: nothing is known[/]"
    assert shown({**line, "original": some, "new": nothing}) == unknown
    assert shown({**line, "original": some, "new": some}).endswith(f"]look {verdict}[/] No calls.")
    failed = shown({**line, "verdict": "FAILED", "original": some, "new": nothing})
    assert failed == "[red]look FAILED[/] No calls.", "such as an alarm"


@pytest.mark.parametrize("words", [["demmo"], [], ["demo", "workflow"]])
def test_a_word_that_names_nothing_to_run_here_is_refused(words: list[str]) -> None:
    done = typed(["-m", "local", *words])
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "Which one? Run make local, make demo or make workflow.\n"


# -- what the stories need ------------------------------------------------------------------------

EVENT: dict[str, Any] = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "steps": 2,
    "interval": 30,
    "dry-run": True,
}
QUICK = (
    "This rollout reaches 100 % after 30 s; the first figures come after about 90 s. "
    "With 'min-invocations': 1 in 'health-check' no weight is raised before calls at the last "
    "one have been published."
)


#: What `make local` needs of a cloud to tell what to type.
NO_CLOUD: Any = SimpleNamespace(endpoint="http://localhost:1", output=lambda name: f"the-{name}")


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Aws:
    for name in os.environ:
        if name.startswith("AWS_ENDPOINT_URL"):
            monkeypatch.delenv(name)
    return Aws(Clock())


def an_hour(**settings: Any) -> World:
    """A world in which users have called for an hour."""
    world = World(**settings)
    world.advance(3600)
    return world


def asked(world: World, **payload: Any) -> dict[str, Any]:
    return world.invoke({**EVENT, **payload})


def plan(rate: float = 10.0, **payload: Any) -> dict[str, Any]:
    """What the deployer answers."""
    return asked(an_hour(rate=rate), **payload)


def rollout(**payload: Any) -> Rollout:
    return Rollout.from_event({**EVENT, **payload}, HERE)


def typed(
    arguments: list[str], environment: dict[str, str] | None = None, out: int = subprocess.PIPE
) -> "subprocess.CompletedProcess[str]":
    """A process of Python's, in the project's folder."""
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, **(environment or {})},
        stdout=out,
        stderr=subprocess.PIPE,
        timeout=60,
        text=True,
        check=False,
    )


def _make(folder: Path) -> list[str]:
    """make, with the project's Makefile in another folder."""
    (folder / "Makefile").write_text((ROOT / "Makefile").read_text())
    (folder / "requirements").mkdir(exist_ok=True)
    (folder / "requirements" / "tools.lock").touch()
    return ["make", "--no-print-directory"]


def make(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The same, with tools that are set up."""
    command = _make(folder)
    tools = folder / ".venv"
    (tools / "bin").mkdir(parents=True)
    (tools / "bin" / "python").symlink_to(sys.executable)
    (tools / ".complete").touch()
    return subprocess.run(
        [*command, *arguments], cwd=folder, text=True, capture_output=True, timeout=60, check=True
    )


def wait_for(happened: Callable[[], bool]) -> None:
    end = time.monotonic() + 30
    while not happened():
        assert time.monotonic() < end
        time.sleep(0.05)
