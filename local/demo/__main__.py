"""`make demo`: a rollout of a healthy version, then one of a failing version, on this machine
alone.

`make workflow` does the same through DeployStateMachine.

Everything is what it would be on AWS: install.sh, the artifact in Lambda's runtime, `aws lambda
invoke`. The exit status is 0 only if the first ends on the new version and the second is rolled
back.
"""

import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from deployer.tell import NO_ENDINGS
from local.cloud import ALIAS, FAILING, FUNCTION, HEALTHY, ORIGINAL, ROOT, Cloud, running
from local.demo.users import Users
from local.sandbox import emulator

#: CloudWatch publishes a minute this many seconds after its end; on AWS it is about a minute.
DELAY = 5.0
#: Users' calls a second.
RATE = 10.0
#: A rollout of the demo that has not ended after so many seconds never will.
LONGEST = 300.0

console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        emulator()
    except RuntimeError as error:
        console.print(str(error))
        return 1
    acts = (
        (good_execution, bad_execution)
        if sys.argv[1:] == ["workflow"]
        else (good_version, bad_version)
    )
    console.print("[bold]Starting AWS on this machine[/] and installing the deployer into it …")
    with running(DELAY) as cloud, TemporaryDirectory() as scratch:
        said(f"AWS_ENDPOINT_URL={cloud.endpoint} BUCKET_NAME=artifacts ./install.sh")
        cloud.install()
        cloud.publish_checkout()
        console.print(
            f"Users call '{FUNCTION}:{ALIAS}' {RATE:g} times a second. It is on version {ORIGINAL}; version {HEALTHY} "
            f"works, version {FAILING} fails 30 % of its calls.\n"
            f"CloudWatch publishes each minute {DELAY:g} s after its end."
        )
        with Users(cloud, RATE) as users:
            return 0 if all(act(cloud, users, Path(scratch, "out.json")) for act in acts) else 1


def good_version(cloud: Cloud, users: Users, out: Path) -> bool:
    console.rule(f"[bold]Version {HEALTHY}, which works")
    command = (
        f"aws lambda invoke --function-name SimpleDeployFunction --invocation-type Event "
        f"--payload fileb://events/healthy.json {out}"
    )
    end = follow(cloud, users, command)
    ended_well = end.get("message") == "SUCCEEDED" and on_version(cloud, HEALTHY)
    return verdict(ended_well, f"the alias is on version {HEALTHY}")


def bad_version(cloud: Cloud, users: Users, out: Path) -> bool:
    console.rule(f"[bold]Version {FAILING}, which fails 30 % of its calls")
    command = (
        f"AWS_MAX_ATTEMPTS=1 aws lambda invoke --function-name SimpleDeployFunction --cli-read-timeout 0 "
        f"--payload fileb://events/failing.json {out}"
    )
    end = follow(cloud, users, command)
    console.print(
        f"[dim]$[/] cat out.json\n{out.read_text()[:600] if out.exists() else 'nothing'} …"
    )
    ended_well = end.get("message") == "HealthCheckFailed" and on_version(cloud, HEALTHY)
    return verdict(ended_well, f"the alias was given back to version {HEALTHY}")


def good_execution(cloud: Cloud, users: Users, _: Path) -> bool:
    console.rule(f"[bold]DeployStateMachine: version {HEALTHY}, which works")
    follow(cloud, users, start_execution(cloud, "healthy"), "WorkflowLogGroupName")
    ended_well = ended_execution(cloud, "healthy")["status"] == "SUCCEEDED" and on_version(
        cloud, HEALTHY
    )
    return verdict(ended_well, f"the execution has succeeded, the alias is on version {HEALTHY}")


def bad_execution(cloud: Cloud, users: Users, _: Path) -> bool:
    console.rule(f"[bold]DeployStateMachine: version {FAILING}, which fails 30 % of its calls")
    follow(cloud, users, start_execution(cloud, "failing"), "WorkflowLogGroupName")
    execution = ended_execution(cloud, "failing")
    console.print(
        f"the execution: {execution['status']}, {execution.get('error')}: {execution.get('cause')}"
    )
    ended_well = execution.get("error") == "HealthCheckFailed" and on_version(cloud, HEALTHY)
    return verdict(ended_well, f"the alias was given back to version {HEALTHY}")


def start_execution(cloud: Cloud, event: str) -> str:
    """The command that starts events/<event>.json on the state machine."""
    return (
        f"aws stepfunctions start-execution --state-machine-arn {cloud.output('StateMachineArn')} "
        f"--name demo-{event} --input file://events/{event}.json"
    )


def ended_execution(cloud: Cloud, event: str) -> dict[str, Any]:
    """What `describe-execution` tells of it, when it has ended."""
    arn = cloud.output("StateMachineArn").replace(":stateMachine:", ":execution:")
    for _ in range(100):
        told: dict[str, Any] = cloud.client("stepfunctions").describe_execution(
            executionArn=f"{arn}:demo-{event}"
        )
        if told["status"] != "RUNNING":
            break
        time.sleep(0.1)
    return told


def follow(cloud: Cloud, users: Users, command: str, group: str = "LogGroupName") -> dict[str, Any]:
    """Run the command; tell what happens until the rollout has ended; its last log line."""
    said(command)
    before = len(cloud.deployer_log(group=group))
    invoked = subprocess.Popen(
        ["bash", "-c", command], cwd=ROOT, env=cloud.environment, stdout=subprocess.DEVNULL
    )
    start, told, last_count = time.monotonic(), before, 0.0
    while time.monotonic() - start < LONGEST:
        time.sleep(0.5)
        elapsed = time.monotonic() - start
        lines = cloud.deployer_log(group=group)
        for line in lines[told:]:
            console.print(f"{elapsed:5.0f} s  {shown(line)}")
        if elapsed - last_count >= 5:
            last_count = elapsed
            console.print(f"{elapsed:5.0f} s  [dim]users {traffic(users)}[/]")
        told = len(lines)
        if told > before and lines[-1]["message"] not in (
            *NO_ENDINGS,
            "LOOKED",
            "NOT_SEEN",
            "NOT_TOLD",
        ):
            invoked.wait(30)
            return lines[-1]
    invoked.kill()
    return {}


def shown(line: dict[str, Any]) -> str:
    """A line of the deployer's log, for people."""
    what = line["message"]
    if what == "STARTED":
        return f"from version {line['original-version']} to version {line['new-version']} in {line['steps']} steps"
    if what == "SHIFTED":
        return f"[cyan]weight {line['weight']:.2f}[/] of the calls go to the new version"
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
    console.print(
        f"[bold green]As it should: {what}.[/]"
        if as_it_should
        else f"[bold red]NOT as it should: {what}?[/]"
    )
    return as_it_should


if __name__ == "__main__":
    sys.exit(main())
