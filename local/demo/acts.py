"""`make demo`: a rollout of a healthy version, then one of a failing version, on this machine
alone.

`make workflow` does the same through DeployStateMachine.

Everything is what it would be on AWS: install.sh, the artifact in Lambda's runtime, `aws lambda
invoke`. The exit status is 0 only if the first ends on the new version, and the second is suspended
soon after its first failed call and then rolled back.
"""

import json
import signal
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from deployer.tell import NO_ENDINGS
from lambda_rollout.screen import Terminal
from lambda_rollout.words import NOTHING_KNOWN
from local.cloud import ALIAS, BUCKET, FAILING, FUNCTION, HEALTHY, ORIGINAL, ROOT, Cloud, running
from local.demo.users import Users
from local.sandbox import emulator

#: CloudWatch publishes a minute this many seconds after its end; on AWS it is about a minute.
DELAY = 5.0
#: Seconds until a line in a log can be read.
LOG_DELAY = 5.0
#: Users' calls a second.
RATE = 10.0
#: A rollout of the demo that has not ended after so many seconds never will.
LONGEST = 300.0
#: A failing version is suspended so many seconds after its first failed call, or it is too late.
SOON = 30.0
#: Lines of the log that end nothing; this one is not shown, for it comes every 30 s.
LEASED = "LEASED"
AT_WORK = (*NO_ENDINGS, "LOOKED", "NOT_SEEN", "NOT_TOLD", LEASED)
#: What a look says of the new version until CloudWatch has published a call of it.
_NO_CALLS = {"invocations": 0, "errors": 0}

#: What the demo ends with.
NEXT = """
What next:

  make local     keeps this AWS up, to type your own rollouts against: make rollout, make watch
  make install   installs the deployer into the AWS account of your credentials
  README.md      tells how it is used; docs/cli.md how from a terminal, docs/recipes.md what for
"""

console = Terminal(highlight=False, soft_wrap=True)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    emulator()
    acts = [good_version, bad_version]
    if sys.argv[1:] == ["workflow"]:
        acts = [good_execution, bad_execution]
    console.print("[bold]Starting AWS on this machine[/] and installing the deployer into it …")
    with running(DELAY, log_delay=LOG_DELAY) as cloud, TemporaryDirectory() as scratch:
        said(f"AWS_ENDPOINT_URL={cloud.endpoint} BUCKET_NAME={BUCKET} ./install.sh")
        cloud.install()
        cloud.publish_checkout()
        console.print(f"Users call '{FUNCTION}:{ALIAS}' {RATE:g} times a second.")
        versions = f"version {HEALTHY} works, version {FAILING} fails 30 % of its calls"
        console.print(f"It is on version {ORIGINAL}; {versions}.")
        logs = f"a line in a log can be read after {LOG_DELAY:g} s"
        console.print(f"CloudWatch publishes each minute {DELAY:g} s after its end; {logs}.")
        with Users(cloud, RATE) as users:
            as_they_should = all(act(cloud, users, Path(scratch, "out.json")) for act in acts)
    if not as_they_should:
        return 1
    console.print(NEXT)
    return 0


def good_version(cloud: Cloud, users: Users, out: Path) -> bool:
    console.rule(f"[bold]Version {HEALTHY}, which works")
    invoke = "aws lambda invoke --function-name SimpleDeployFunction --invocation-type Event"
    lines = follow(cloud, users, f"{invoke} --payload fileb://events/healthy.json {out}")
    ended_well = ended_as("SUCCEEDED", lines) and on_version(cloud, HEALTHY)
    return verdict(ended_well, f"the alias is on version {HEALTHY}")


def bad_version(cloud: Cloud, users: Users, out: Path) -> bool:
    console.rule(f"[bold]Version {FAILING}, which fails 30 % of its calls")
    invoke = "AWS_MAX_ATTEMPTS=1 aws lambda invoke --function-name SimpleDeployFunction"
    wait = f"{invoke} --cli-read-timeout 0 --payload fileb://events/failing.json {out}"
    lines = follow(cloud, users, wait)
    console.print("[dim]$[/] cat out.json")
    console.print(answer(out), markup=False)
    ended_well = ended_as("HealthCheckFailed", lines) and on_version(cloud, HEALTHY)
    back = verdict(ended_well, f"the alias was rolled back to version {HEALTHY}")
    return suspended_soon(users, lines) and back


def answer(out: Path) -> str:
    """What the function has answered, without the stack trace that Lambda adds to every error."""
    if not out.exists():
        return "nothing"
    told = json.loads(out.read_text())
    told.pop("stackTrace", None)
    return f"{json.dumps(told, ensure_ascii=False)[:600].rstrip('}')} …"


def good_execution(cloud: Cloud, users: Users, out: Path) -> bool:
    console.rule(f"[bold]DeployStateMachine: version {HEALTHY}, which works")
    follow(cloud, users, start_execution(cloud, "healthy"), "WorkflowLogGroupName")
    status = ended_execution(cloud, "healthy")["status"]
    ended_well = status == "SUCCEEDED" and on_version(cloud, HEALTHY)
    return verdict(ended_well, f"the execution has succeeded, the alias is on version {HEALTHY}")


def bad_execution(cloud: Cloud, users: Users, out: Path) -> bool:
    console.rule(f"[bold]DeployStateMachine: version {FAILING}, which fails 30 % of its calls")
    start = start_execution(cloud, "failing")
    lines = follow(cloud, users, start, "WorkflowLogGroupName")
    execution = ended_execution(cloud, "failing")
    why = f"{execution.get('error')}: {execution.get('cause')}"
    console.print(f"the execution: {execution['status']}, {why}")
    ended_well = execution.get("error") == "HealthCheckFailed" and on_version(cloud, HEALTHY)
    back = verdict(ended_well, f"the alias was rolled back to version {HEALTHY}")
    return suspended_soon(users, lines) and back


def start_execution(cloud: Cloud, event: str) -> str:
    """The command that starts events/<event>.json on the state machine."""
    machine = cloud.output("StateMachineArn")
    start = f"aws stepfunctions start-execution --state-machine-arn {machine}"
    return f"{start} --name demo-{event} --input file://events/{event}.json"


def ended_execution(cloud: Cloud, event: str) -> dict[str, Any]:
    """What `describe-execution` tells of it, when it has ended."""
    machine = cloud.output("StateMachineArn")
    arn = f"{machine.replace(':stateMachine:', ':execution:')}:demo-{event}"
    describe = cloud.client("stepfunctions").describe_execution
    for _ in range(100):
        told = dict(describe(executionArn=arn))
        if told["status"] != "RUNNING":
            break
        time.sleep(0.1)
    return told


def follow(
    cloud: Cloud, users: Users, command: str, group: str = "LogGroupName"
) -> list[dict[str, Any]]:
    """Run the command; tell what happens until the rollout has ended; its log lines."""
    said(command)
    before = len(cloud.deployer_log(group=group))
    shell = ["bash", "-c", command]
    invoked = subprocess.Popen(shell, cwd=ROOT, env=cloud.environment, stdout=subprocess.DEVNULL)
    start = time.monotonic()
    last_count = 0.0
    told: list[dict[str, Any]] = []
    while time.monotonic() - start < LONGEST:
        time.sleep(0.5)
        elapsed = time.monotonic() - start
        lines = cloud.deployer_log(group=group)[before + len(told) :]
        told += lines
        for line in lines:
            if line["message"] != LEASED:
                console.print(f"{elapsed:5.0f} s  {shown(line)}")
        if elapsed - last_count >= 5:
            last_count = elapsed
            console.print(f"{elapsed:5.0f} s  [dim]users {traffic(users)}[/]")
        if lines and lines[-1]["message"] not in AT_WORK:
            invoked.wait(30)
            return told
    invoked.kill()
    return []


def ended_as(status: str, lines: list[dict[str, Any]]) -> bool:
    return bool(lines) and lines[-1]["message"] == status


def suspended_soon(users: Users, lines: list[dict[str, Any]]) -> bool:
    """Tell how many calls the failing version cost, and how soon users were off it; whether that
    was soon."""
    failed = f"{users.errors[FAILING]} of {users.calls[FAILING]}"
    console.print(f"[bold]Calls of version {FAILING} that have failed: {failed}.[/]")
    first = users.first_errors.get(FAILING)
    times: dict[str, float] = {}
    for line in lines:
        times.setdefault(line["message"], datetime.fromisoformat(line["timestamp"]).timestamp())
    if first is None or not {"SUSPENDED", "ROLLED_BACK"} <= times.keys():
        return verdict(False, "it was suspended, and rolled back, after a call had failed")
    suspended = times["SUSPENDED"] - first
    back = times["ROLLED_BACK"] - first
    soon = f"it was suspended {suspended:.1f} s after the first of them"
    return verdict(suspended <= SOON, f"{soon}, by the log, and rolled back {back:.0f} s after it")


def shown(line: dict[str, Any]) -> str:
    """A line of the deployer's log, for people."""
    what = line["message"]
    if what == "STARTED":
        versions = f"from version {line['original-version']} to version {line['new-version']}"
        return f"{versions} in {line['steps']} steps"
    if what == "SHIFTED":
        return f"[cyan]weight {line['weight']:.2f}[/] of the calls go to the new version"
    if what == "SUSPENDED":
        return f"[bold black on yellow]SUSPENDED[/] {line['reason']} {line['where']}"
    if what == "RESUMED":
        return f"[bold cyan]RESUMED[/] at weight {line['weight']:.2f}: {line['reason']}"
    if what == "LOOKED" and line["verdict"] == "SUSPECTED":
        return "[yellow]look SUSPECTED[/]"  # the next line says why
    if what == "LOOKED" and line["verdict"] != "FAILED" and line.get("new") == _NO_CALLS:
        return f"[yellow]look no calls published yet: {NOTHING_KNOWN}[/]"
    if what == "LOOKED":
        colour = {"FAILED": "red", "SUCCEEDED": "green"}.get(line["verdict"], "yellow")
        return f"[{colour}]look {line['verdict']}[/] {line['reason']}"
    if what == "SUCCEEDED":
        return "[bold green]SUCCEEDED[/]"
    return f"[bold red]{what}[/] {line.get('reason', '')} {line.get('where', '')}"


def traffic(users: Users) -> str:
    return "; ".join(
        f"version {version}: {users.calls[version]} calls, {users.errors[version]} errors"
        for version in sorted(users.calls)
    )


def on_version(cloud: Cloud, version: str) -> bool:
    alias = cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=ALIAS)
    return alias["FunctionVersion"] == version and "RoutingConfig" not in alias


def said(command: str) -> None:
    console.print(f"[dim]$[/] {command}")


def verdict(as_it_should: bool, what: str) -> bool:
    if as_it_should:
        console.print(f"[bold green]As it should: {what}.[/]")
    else:
        console.print(f"[bold red]NOT as it should: {what}?[/]")
    return as_it_should
