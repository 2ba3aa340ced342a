"""`make local`: AWS on this machine, with the deployer, a function to deploy and users, until
Ctrl-C."""

import shlex
import signal

from local.cloud import ALIAS, FAILING, FUNCTION, HEALTHY, ORIGINAL, ROOT, Cloud, running
from local.demo.users import Users
from local.sandbox import REGION, emulator

#: About what AWS takes to publish a minute.
DELAY = 60.0
#: Seconds until a line in a log can be read.
LOG_DELAY = 5.0
RATE = 5.0

_COMMANDS = """
It is up. In another terminal:

  cd {folder}
  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION={region}
  export AWS_ACCESS_KEY_ID=local AWS_SECRET_ACCESS_KEY=local PATH={bin}:"$PATH"

A rollout, as it is planned, and then followed to its end; and one that anybody has started:

  make rollout FUNCTION={function} ALIAS={alias} VERSION={healthy} STEPS=4 INTERVAL=30 DRY_RUN=1
  make rollout FUNCTION={function} ALIAS={alias} VERSION={healthy} STEPS=4 INTERVAL=30
  make watch FUNCTION={function} ALIAS={alias} WAIT=60

The same with the AWS CLI:

  aws lambda get-alias --function-name {function} --name {alias}
  aws lambda invoke --function-name SimpleDeployFunction --invocation-type Event \\
      --payload fileb://events/healthy.json out.json
  aws stepfunctions start-execution --state-machine-arn {machine} \\
      --name first --input file://events/linear.json
  aws logs filter-log-events --log-group-name {group} --query 'events[].[message]' \\
      --filter-pattern '{{ $.message = "*" }}' --output text

Users call '{function}:{alias}' {rate:g} times a second. It is on version {original};
version {healthy} works, version {failing} fails 30 % of its calls (events/failing.json).
CloudWatch publishes each minute {delay:g} s after its end; a line in a log can be read
after {log_delay:g} s.
Ctrl-C ends it.
"""


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    emulator()
    print("Starting AWS on this machine and installing the deployer into it …", flush=True)
    with running(DELAY, log_delay=LOG_DELAY) as cloud:
        cloud.install()
        cloud.publish_checkout()
        with Users(cloud, RATE):
            print(told(cloud), flush=True)
            try:
                signal.pause()
            except KeyboardInterrupt:
                print("Ending …")
    return 0


def told(cloud: Cloud) -> str:
    """What to type."""
    return _COMMANDS.format(
        endpoint=cloud.endpoint,
        region=REGION,
        folder=shlex.quote(str(ROOT)),
        bin=shlex.quote(str(ROOT / ".venv" / "bin")),
        function=FUNCTION,
        alias=ALIAS,
        group=cloud.output("LogGroupName"),
        machine=cloud.output("StateMachineArn"),
        original=ORIGINAL,
        healthy=HEALTHY,
        failing=FAILING,
        rate=RATE,
        delay=DELAY,
        log_delay=LOG_DELAY,
    )
