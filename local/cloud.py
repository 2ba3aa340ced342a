"""Starts and ends AWS on this machine, installs the deployer into it, and sets up a function to
deploy."""

import contextlib
import fcntl
import io
import json
import os
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local import processes
from local.sandbox import REGION

ROOT = Path(__file__).parent.parent
BUCKET = "artifacts"
STACK = "aws-lambda-deploy-stack"

#: The function to deploy, its alias, and the alias's description.
FUNCTION = "checkout"
ALIAS = "live"
WORDS = "Checkout service"

#: The published versions of the function; the slow one is killed at its time-out, in every call.
ORIGINAL = "1"
HEALTHY = "2"
FAILING = "3"
SLOW = "4"
_TIMEOUT = 3
_VERSIONS = {
    ORIGINAL: {"FAILS": "0", "SLEEPS": "0"},
    HEALTHY: {"FAILS": "0", "SLEEPS": "0.001"},
    FAILING: {"FAILS": "0.3", "SLEEPS": "0"},
    SLOW: {"FAILS": "0", "SLEEPS": str(_TIMEOUT + 10)},
}


class Cloud:
    """A running local AWS: its address, and the environment in which commands reach it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        # A make that started us is none of the commands' business, nor is another AWS.
        others = ("AWS_", "MAKE", "MFLAGS")
        ours = {key: value for key, value in os.environ.items() if not key.startswith(others)}
        self.environment = {
            **ours,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}",
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: Any) -> Any:
        """A boto3 client that does not try again by itself."""
        once: Any = {"total_max_attempts": 1}
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(read_timeout=1000, retries=once, max_pool_connections=50),
        )

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        """A command as a user types it, in the project's folder."""
        return subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env=self.environment,
            text=True,
            capture_output=True,
            check=False,
        )

    def install(self, *parameters: str) -> str:
        """`./install.sh`, as on AWS, with parameters of the template such as "A=b"; returns what it
        printed, raises `RuntimeError` with it when it fails."""
        given = ""
        if parameters:
            given = f" --parameter-overrides {' '.join(parameters)}"
        self.client("s3").create_bucket(Bucket=BUCKET)
        with _alone_in(ROOT):  # what is built is in the project's folder, for everybody
            done = self.run(f"BUCKET_NAME={BUCKET} ./install.sh{given}")
        if done.returncode:
            raise RuntimeError(f"./install.sh failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def sandboxes(self, function: str | None = None) -> list[dict[str, Any]]:
        """The invocations that run now: `function`, `version`, `request-id`, and `pids`, the
        emulator first."""
        return list(self._local("sandboxes", function=function))

    def kill(self, function: str) -> None:
        """SIGKILL to every process of the sandboxes in which the function runs; its invocations end
        as errors."""
        for sandbox in self.sandboxes(function):
            processes.kill(sandbox["pids"])

    def outage(self, seconds: float, how: str = "refuse", services: Collection[str] = ()) -> None:
        """From now on the API is out of order (faults.py); functions go on. 0 seconds: all is well
        again.

        `services` are the names that requests are signed for, such as "lambda", "monitoring",
        "states"; none: all.
        """
        self._local("outage", seconds=seconds, how=how, services=list(services))

    def logs(self, **settings: float) -> None:
        """From now on a line can be read `delay` seconds after it was written; for a page of events
        `looked_at` of them are looked at, whether the pattern lets them through or not. What is not
        given is as on AWS."""
        self._local("logs", **settings)

    def codedeploy(self, **settings: float) -> None:
        """From now on a hook has `timeout` seconds to answer; without it, an hour."""
        self._local("codedeploy", **settings)

    def written(self, group: str) -> list[dict[str, Any]]:
        """All events of a log group, oldest first, also those that nobody can read so far: tests
        and the demo see what is done at once, users and functions see it as late as on AWS."""
        return list(self._local("written", group=group))

    def fire(self, rule: str) -> None:
        """A scheduled rule's event, now."""
        self._local("fire", rule=rule)

    def fire_schedule(self, group: str, name: str) -> None:
        """A one-time schedule of EventBridge Scheduler, now."""
        self._local("fire", group=group, schedule=name)

    def _local(self, path: str, **about: Any) -> Any:
        address = f"{self.endpoint}/_local/{path}"
        with urllib.request.urlopen(address, json.dumps(about).encode()) as answer:
            return json.load(answer)

    def publish_checkout(self, name: str = FUNCTION) -> None:
        """A function with its published versions, its alias on the first one."""
        lambda_ = self.client("lambda")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.write(Path(__file__).parent / "target" / "app.py", "app.py")
        role = self.client("iam").create_role(
            RoleName=name, AssumeRolePolicyDocument=json.dumps({})
        )
        lambda_.create_function(
            FunctionName=name,
            Runtime="python3.13",
            Handler="app.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": code.getvalue()},
            Timeout=_TIMEOUT,
            Environment={"Variables": {}},
        )
        for version, variables in _VERSIONS.items():
            lambda_.update_function_configuration(
                FunctionName=name, Environment={"Variables": variables}
            )
            published = lambda_.publish_version(FunctionName=name)["Version"]
            assert published == version, published
        lambda_.create_alias(
            FunctionName=name, Name=ALIAS, FunctionVersion=ORIGINAL, Description=WORDS
        )

    def output(self, name: str) -> str:
        """One of the stack's outputs."""
        describe = self.client("cloudformation").describe_stacks
        (stack,) = describe(StackName=STACK)["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return str(outputs[name])

    def deployer_log(self, alias: str = ALIAS, group: str = "LogGroupName") -> list[dict[str, Any]]:
        """What the deployer has logged of the alias's rollouts so far, oldest first; `group` is an
        output's name."""
        lines = self.written(self.output(group))
        told = [json.loads(line["message"]) for line in lines if line["message"].startswith("{")]
        # What has no message is a metric.
        return [line for line in told if line.get("alias") == alias and "message" in line]


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """No other process is in a block like this one for the same folder."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextlib.contextmanager
def running(
    delay: float, port: int = 0, latest: float = 59.0, log_delay: float = 5.0
) -> Iterator[Cloud]:
    """A local AWS that publishes metrics `delay` seconds after their minute; it ends with the
    block.

    One-time schedules fire up to `latest` seconds late. A line in a log can be read `log_delay`
    seconds after it was written.
    """
    command = [sys.executable, "-m", "local.server", "--with-parent"]
    command += ["--port", str(port), "--delay", str(delay), "--latest", str(latest)]
    command += ["--log-delay", str(log_delay)]
    with subprocess.Popen(
        command,
        cwd=ROOT,
        stdin=subprocess.PIPE,  # closed when this process ends, however it ends
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to hand on, once the block has ended
    ) as server:
        try:
            assert server.stdout
            endpoint = server.stdout.readline().strip()
            if not endpoint:
                raise SystemExit(server.wait())  # it has said why
            yield Cloud(endpoint)
        finally:
            server.terminate()
