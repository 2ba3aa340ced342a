"""Starts and ends AWS on this machine, installs the deployer into it, and sets up a function to deploy."""

import contextlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.sandbox import REGION

ROOT = Path(__file__).parent.parent
BUCKET = "artifacts"
FUNCTION, ALIAS, WORDS = "checkout", "live", "Checkout service"

#: What each published version of the function does: the share of its calls that fail.
ORIGINAL, HEALTHY, FAILING = "1", "2", "3"
_FAILS = {ORIGINAL: "0", HEALTHY: "0.0", FAILING: "0.3"}


class Cloud:
    """A running local AWS: its address, and the environment in which commands reach it."""

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("AWS_")},
            "PATH": path,
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "local",
            "AWS_SECRET_ACCESS_KEY": "local",
            "AWS_DEFAULT_REGION": REGION,
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(self, service: Any) -> Any:
        """A boto3 client that does not try again by itself."""
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id="local",
            aws_secret_access_key="local",
            config=Config(read_timeout=1000, retries={"total_max_attempts": 1}, max_pool_connections=50),
        )

    def run(self, command: str) -> "subprocess.CompletedProcess[str]":
        """A command as a user types it, in the project's folder."""
        return subprocess.run(
            ["bash", "-c", command], cwd=ROOT, env=self.environment, text=True, capture_output=True, check=False
        )

    def install(self) -> str:
        """`./install.sh`, as on AWS; returns what it printed, raises `RuntimeError` with it when it fails."""
        self.client("s3").create_bucket(Bucket=BUCKET)
        done = self.run(f"BUCKET_NAME={BUCKET} ./install.sh")
        if done.returncode:
            raise RuntimeError(f"./install.sh failed:\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def publish_checkout(self) -> None:
        """A function with three published versions, its alias on the first one."""
        lambda_ = self.client("lambda")
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.write(Path(__file__).parent / "target" / "app.py", "app.py")
        role = self.client("iam").create_role(RoleName="checkout", AssumeRolePolicyDocument=json.dumps({}))
        lambda_.create_function(
            FunctionName=FUNCTION,
            Runtime="python3.13",
            Handler="app.handler",
            Role=role["Role"]["Arn"],
            Code={"ZipFile": code.getvalue()},
            Timeout=3,
            Environment={"Variables": {"FAILS": _FAILS[ORIGINAL]}},
        )
        for version, fails in _FAILS.items():
            lambda_.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": {"FAILS": fails}})
            published = lambda_.publish_version(FunctionName=FUNCTION)["Version"]
            assert published == version, published
        lambda_.create_alias(FunctionName=FUNCTION, Name=ALIAS, FunctionVersion=ORIGINAL, Description=WORDS)

    def deployer_log(self) -> list[dict[str, Any]]:
        """What the deployer has logged so far, oldest first."""
        stacks = self.client("cloudformation").describe_stacks(StackName="aws-lambda-deploy-stack")["Stacks"]
        outputs = {output["OutputKey"]: output["OutputValue"] for output in stacks[0]["Outputs"]}
        lines = []
        with contextlib.suppress(self.client("logs").exceptions.ResourceNotFoundException):
            events = self.client("logs").filter_log_events(logGroupName=outputs["LogGroupName"], limit=10_000)["events"]
            for event in sorted(events, key=lambda event: event["timestamp"]):
                with contextlib.suppress(ValueError):
                    lines.append(json.loads(event["message"]))
        return lines


@contextlib.contextmanager
def running(delay: float, port: int = 0) -> Iterator[Cloud]:
    """A local AWS that publishes metrics `delay` seconds after their minute; it ends with the block."""
    server = subprocess.Popen(
        [sys.executable, "-m", "local.server", "--delay", str(delay), "--port", str(port)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C is ours to hand on, once the block has ended
    )
    try:
        assert server.stdout
        endpoint = server.stdout.readline().strip()
        if not endpoint:
            raise SystemExit(server.wait())  # it has said why
        yield Cloud(endpoint)
    finally:
        server.terminate()
        server.wait()
