"""What a person is told to run comes true: the commands in mails, errors, alarms and on the
dashboard are followed on the local AWS, and the alias is where they say."""

import json
import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from deployer.decisions.errors import DeployError
from deployer.decisions.sentences import sentences
from deployer.tell import SOURCE
from local.cloud import FUNCTION, HEALTHY, ORIGINAL, WORDS, Cloud
from tests.mailed import transformer
from tools import dashboard
from world.world import World

ALIAS = "remedy"
DEPLOYER = "SimpleDeployFunction"
PAYLOAD = {"function-name": FUNCTION, "alias-name": ALIAS, "new-version": HEALTHY}
AT_ONCE = {**PAYLOAD, "type": "all-at-once", "interval": 0, "health-check": False}
#: Too long for one invocation.
LONG = {**PAYLOAD, "steps": 10, "interval": 120}

#: To the end of the sentence: nothing stands behind a command.
COMMAND = re.compile(r"\baws \w+ [^'\"]*(?:'[^']*')?$")


def test_whoever_follows_the_mails_gets_what_they_say(mail: "Mailbox") -> None:
    """A rollout that may have been handed over, one that finds the alias taken, one that is stopped
    by hand, and one that succeeds and is taken back."""
    cloud = mail.cloud
    cloud.outage(60, how="lose", services=["states"])
    error = _invoke(cloud, LONG)
    cloud.outage(0)
    assert error["errorType"] == "RolloutInterrupted"
    look = re.search(
        r"aws stepfunctions describe-execution --execution-arn \S+", error["errorMessage"]
    )
    assert look
    assert json.loads(_run(cloud, look[0]))["status"] == "RUNNING"
    interrupted = mail.next()
    # The execution may have shifted by then.
    assert re.fullmatch(
        rf"{FUNCTION}:{ALIAS} (stayed on version {ORIGINAL}|is split): "
        rf"the rollout of version {HEALTHY} was interrupted\.",
        interrupted[0],
    )
    assert "where the reason names a command, run that one first" in interrupted[3]
    assert look[0] in interrupted[1]
    _until(lambda: _alias(cloud), lambda alias: "RoutingConfig" in alias)

    assert _invoke(cloud, AT_ONCE)["errorType"] == "AliasBusy"
    busy = mail.next()
    assert busy[0].startswith(f"{FUNCTION}:{ALIAS} was not touched: it is busy")
    assert busy[3].endswith("Do what the reason says, and start the rollout again.")
    end_it = re.search("wait, or end it now with '(aws [^']+)', and start again", busy[1])
    assert end_it
    _run(cloud, end_it[1])
    stopped = mail.next()
    assert stopped[0] == (
        f"{FUNCTION}:{ALIAS} is back on version {ORIGINAL}: "
        f"the rollout of version {HEALTHY} was stopped by hand."
    )
    _stands_on(cloud, ORIGINAL)

    assert _invoke(cloud, AT_ONCE)["rollout"]["status"] == "SUCCEEDED"  # as the mail says: again
    succeeded = mail.next()
    assert succeeded[0] == f"{FUNCTION}:{ALIAS} is on version {HEALTHY} (before: {ORIGINAL})."
    _stands_on(cloud, HEALTHY)
    assert f"To go back to version {ORIGINAL}: aws " in succeeded[3]
    _run(cloud, _command(succeeded[3]))
    _stands_on(cloud, ORIGINAL)


@pytest.mark.parametrize("words", [WORDS, "", "Ann's"])
def test_a_rollback_that_failed_is_done_by_either_command(aliased: Cloud, words: str) -> None:
    """The mail's gives all calls back; the error's the description, too, which the deployer would
    have put back later."""
    world = World(rate=0)
    world.alias.version = ORIGINAL
    world.alias.description = words
    world.states = {ORIGINAL: ["Active"], HEALTHY: ["Active"]}
    world.roles = dict.fromkeys(world.states, "role")
    world.down = ("denied", 40, 100_000)
    with pytest.raises(DeployError) as failed:
        world.invoke({**PAYLOAD, "alias-name": "live", "steps": 3, "interval": 30})
    told = world.told[-1]
    assert told["status"] == "RollbackFailed"
    message = re.search(r"Run: (aws .*?'?) Alias 'live'", str(failed.value))
    assert message
    for command, description in (
        (_command(told["sentences"]["now"]), world.alias.description),
        (message[1], words),
    ):
        _put(aliased, ORIGINAL, {HEALTHY: 0.67}, world.alias.description)
        _run(aliased, command.replace("--name live", f"--name {ALIAS}"))
        _stands_on(aliased, ORIGINAL, description)


SPLIT = (
    f"is split: it sends 30 % of its calls to version {HEALTHY}, the rest to version {ORIGINAL}."
)
UNREAD = f"could not be read (ServiceException); when last seen it is on version {ORIGINAL}."
ON_NEW = f"is on version {HEALTHY}."


@pytest.mark.parametrize(
    ("status", "where"),
    [
        ("HealthCheckFailed", ON_NEW),
        ("HealthCheckFailed", SPLIT),
        ("HealthCheckInconclusive", ON_NEW),
        ("RolloutInterrupted", SPLIT),
        ("AliasChanged", SPLIT),
        ("RollbackFailed", SPLIT),
        ("RollbackFailed", UNREAD),
        ("SUCCEEDED", ON_NEW),
        ("SomethingNew", SPLIT),
    ],
)
def test_a_command_to_give_the_alias_back_does_that(
    aliased: Cloud, status: str, where: str
) -> None:
    now = sentences(status, _detail(where))["now"]
    assert f"version {ORIGINAL}" in now or status == "RollbackFailed"
    if where == ON_NEW:
        _put(aliased, HEALTHY, {}, WORDS)
    else:
        _put(aliased, ORIGINAL, {HEALTHY: 0.3}, WORDS)
    _run(aliased, _command(now))
    _stands_on(aliased, ORIGINAL)


def test_a_command_to_look_shows_where_the_alias_is(aliased: Cloud) -> None:
    _put(aliased, ORIGINAL, {HEALTHY: 0.3}, WORDS)
    now = sentences("HealthCheckFailed", _detail(UNREAD))["now"]
    seen = json.loads(_run(aliased, _command(now)))
    assert seen["RoutingConfig"]["AdditionalVersionWeights"] == {HEALTHY: 0.3}


@pytest.mark.parametrize(
    ("state", "command"),
    [
        ("Pending", "aws lambda wait published-version-active --function-name {} --qualifier {}"),
        ("Inactive", "aws lambda invoke --function-name {}:{} out.json"),
    ],
)
def test_a_version_that_is_not_active_has_its_command(
    aliased: Cloud, tmp_path: Any, state: str, command: str
) -> None:
    world = World()
    world.states = {"7": ["Active"], "8": [state]}
    with pytest.raises(DeployError) as refused:
        world.deploy(steps=1, interval=800)
    assert command.format("checkout", "8") in str(refused.value)
    _run(aliased, command.format(FUNCTION, HEALTHY).replace("out.json", str(tmp_path / "out.json")))


def test_the_alarms_commands_are_taken(aliased: Cloud) -> None:
    alarms = aliased.client("cloudwatch").describe_alarms()["MetricAlarms"]
    told = [alarm["AlarmDescription"] for alarm in alarms if "split" in alarm["AlarmDescription"]]
    assert len(told) == 2
    assert all(len(each) <= 1024 for each in told), "so much CloudWatch takes"
    _put(aliased, ORIGINAL, {HEALTHY: 0.3}, WORDS)
    for each in told:
        command = _command(each).replace("FUNCTION", FUNCTION).replace(" ALIAS", f" {ALIAS}")
        # Version 1 of the CLI asks SQS at an address of its own, whatever the environment says.
        _run(aliased, f'{command} --endpoint-url "$AWS_ENDPOINT_URL"')
    _stands_on(aliased, ORIGINAL)


@pytest.mark.parametrize(("place", "version"), [(0, ORIGINAL), (1, HEALTHY)])
def test_the_dashboard_s_commands_stop_and_promote(
    aliased: Cloud, place: int, version: str
) -> None:
    values = {"FUNCTION_NAME": FUNCTION, "ALIAS_NAME": ALIAS}
    shown = dashboard.chosen(dashboard.body(), values)["widgets"]
    (text,) = [each["properties"]["markdown"] for each in shown if each["type"] == "text"]
    command = re.findall(r"```\n(.*)\n```", text)[place].replace("NEW_VERSION", HEALTHY)
    _put(aliased, ORIGINAL, {HEALTHY: 0.3}, WORDS)
    _run(aliased, command)
    _stands_on(aliased, version)


# -- what the stories need ------------------------------------------------------------------------


class Mailbox:
    """A queue that gets what the stack's rule sends by mail."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self._sqs = cloud.client("sqs")
        self._url = self._sqs.create_queue(QueueName="mailbox")["QueueUrl"]
        named = {"QueueUrl": self._url, "AttributeNames": ["QueueArn"]}
        arn = self._sqs.get_queue_attributes(**named)["Attributes"]["QueueArn"]
        policy = {
            "Statement": [
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "events.amazonaws.com"},
                    "Action": "sqs:SendMessage",
                    "Resource": arn,
                }
            ]
        }
        self._sqs.set_queue_attributes(
            QueueUrl=self._url, Attributes={"Policy": json.dumps(policy)}
        )
        events = cloud.client("events")
        pattern = {
            "source": [SOURCE],
            "detail": {"alias": [ALIAS], "sentences": {"now": [{"exists": True}]}},
        }
        events.put_rule(Name="mailbox", EventPattern=json.dumps(pattern))
        target = {"Id": "mailbox", "Arn": arn, "InputTransformer": transformer("Email")}
        events.put_targets(Rule="mailbox", Targets=[target])

    def next(self) -> list[str]:
        """The lines of the next mail."""

        def receive() -> Any:
            asked = {"QueueUrl": self._url, "WaitTimeSeconds": 1, "MaxNumberOfMessages": 1}
            return self._sqs.receive_message(**asked).get("Messages")

        (message,) = _until(receive, bool)
        self._sqs.delete_message(QueueUrl=self._url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(line) for line in message["Body"].splitlines()]

    def close(self) -> None:
        events = self.cloud.client("events")
        events.remove_targets(Rule="mailbox", Ids=["mailbox"])
        events.delete_rule(Name="mailbox")
        self._sqs.delete_queue(QueueUrl=self._url)


@pytest.fixture(scope="module")
def aliased(cloud: Cloud) -> Cloud:
    """The local AWS, with an alias of our own."""
    cloud.client("lambda").create_alias(
        FunctionName=FUNCTION, Name=ALIAS, FunctionVersion=ORIGINAL, Description=WORDS
    )
    return cloud


@pytest.fixture
def mail(aliased: Cloud) -> Iterator[Mailbox]:
    _put(aliased, ORIGINAL, {}, WORDS)
    box = Mailbox(aliased)
    yield box
    box.close()


def _detail(where: str) -> dict[str, Any]:
    return {
        "rollout": "0123456789ab",
        "function": FUNCTION,
        "alias": ALIAS,
        "original-version": ORIGINAL,
        "new-version": HEALTHY,
        "step": 3,
        "reason": "It is so.",
        "where": f"Alias '{ALIAS}' of '{FUNCTION}' {where}",
    }


def _command(sentence: str) -> str:
    found = COMMAND.search(sentence)
    assert found, sentence
    return found[0]


def _run(cloud: Cloud, command: str) -> str:
    done = cloud.run(command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def _invoke(cloud: Cloud, payload: dict[str, Any]) -> dict[str, Any]:
    invoke = cloud.client("lambda").invoke
    answer = invoke(FunctionName=DEPLOYER, Payload=json.dumps(payload))
    return dict(json.loads(answer["Payload"].read()))


def _alias(cloud: Cloud) -> dict[str, Any]:
    return dict(cloud.client("lambda").get_alias(FunctionName=FUNCTION, Name=ALIAS))


def _put(cloud: Cloud, version: str, routing: dict[str, float], words: str) -> None:
    cloud.client("lambda").update_alias(
        FunctionName=FUNCTION,
        Name=ALIAS,
        FunctionVersion=version,
        RoutingConfig={"AdditionalVersionWeights": routing},
        Description=words,
    )


def _stands_on(cloud: Cloud, version: str, words: str = WORDS) -> None:
    alias = _alias(cloud)
    found = (alias["FunctionVersion"], alias.get("RoutingConfig"), alias["Description"])
    assert found == (version, None, words)


def _until(look: Callable[[], Any], good: Callable[[Any], Any]) -> Any:
    for _ in range(300):
        if good(seen := look()):
            return seen
        time.sleep(0.2)
    raise AssertionError(f"it did not happen within a minute: {seen}")
