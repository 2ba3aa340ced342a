"""Rollouts of versions whose logs say that calls have failed, on a local AWS, all at once.

Every story has an alias, a version and users of its own. Whatever a version writes, into its log or
into an exception, holds `SECRET`; `Warned.kept` is all that the deployer and AWS made of it.
"""

import contextlib
import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import Any, NamedTuple

from local.cloud import WORDS, Cloud
from local.demo.users import Users

#: What nobody but the function's own log may ever hold.
SECRET = "card 4929-1234-5678-9012 of Lovelace, ada@example.com"
#: Whoever holds any of these holds a part of it; none is a part of a request's id by chance.
PARTS = ("4929-1234", "5678-9012", "Lovelace", "ada@")

#: Two functions; the log of the latter is in a group that the deployer may not read.
SHOP = "shop"
HIDDEN = "hidden"
GROUPS = {SHOP: "/aws/lambda/shop", HIDDEN: "/other/hidden"}

ORIGINAL = "1"

#: Users' calls a second, of each story.
RATE = 2.0

#: What a version does is what its variable says.
CODE = f"""
import json, os, time

SECRET = "{SECRET}"
DOES = os.environ["DOES"]
print(f"begins, for {{SECRET}}")
if DOES == "not begin":
    import nothing_of_that_name

def handler(event, context):
    print(f"is called, for {{SECRET}}")
    if DOES == "raise":
        raise KeyError(SECRET)
    if DOES == "exit":
        os._exit(3)
    if DOES == "sleep":
        time.sleep(30)
    if DOES == "print":
        print(json.dumps({{"errorType": SECRET, "errorMessage": SECRET}}))
    return {{}}
"""

#: Hears all events, and all mails that are made of them.
EARS = """
Resources:
  Kept: {Type: AWS::SQS::Queue, Properties: {QueueName: kept}}
  KeptOpen:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Kept]
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: [events.amazonaws.com, sns.amazonaws.com]}
            Action: sqs:SendMessage
            Resource: "*"
  Mails:
    Type: AWS::SNS::Topic
    Properties:
      TopicName: mails
      Subscription:
        - {Protocol: email, Endpoint: operator@example.org}
        - {Protocol: sqs, Endpoint: !GetAtt Kept.Arn}
  MailsOpen:
    Type: AWS::SNS::TopicPolicy
    Properties:
      Topics: [!Ref Mails]
      PolicyDocument:
        Statement:
          - {Effect: Allow, Principal: {Service: events.amazonaws.com}, Action: "sns:Publish", Resource: !Ref Mails}
  Told:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws-lambda-deploy, aws.states]}
      Targets: [{Id: queue, Arn: !GetAtt Kept.Arn}, {Id: topic, Arn: !Ref Mails}]
"""


class Story(NamedTuple):
    """What the new version does, by which driver it is rolled out, and how it is checked."""

    does: str
    by_machine: bool = False
    check: Any = True
    function: str = SHOP
    taken_back: bool = False  # by an operator, as soon as it is suspended

    @property
    def log(self) -> str:
        """The output of the stack that names the deployer's log group."""
        return "WorkflowLogGroupName" if self.by_machine else "LogGroupName"


#: By their aliases.
STORIES = {
    "raises": Story("raise"),
    "raises-in-the-machine": Story("raise", by_machine=True),
    "prints": Story("print"),
    "prints-in-the-machine": Story("print", by_machine=True),
    "sleeps": Story("sleep", taken_back=True),
    "exits": Story("exit", taken_back=True),
    "does-not-begin": Story("not begin", taken_back=True),
    "logs-off": Story("raise", check={"logs": False}),
    "hidden": Story("nothing", function=HIDDEN),
    "hidden-raises": Story("raise", function=HIDDEN),
}


class Ended(NamedTuple):
    """How a story ended."""

    answer: dict[str, Any]  # what the deployer answered; an error as a function's caller sees it
    lines: list[dict[str, Any]]  # the deployer's log
    seconds: dict[str, float]  # since users' first failed call, of the first line of each kind

    @property
    def messages(self) -> list[str]:
        """Every change of state."""
        return [line["message"] for line in self.lines if "where" in line]

    def said(self, message: str) -> str:
        """The reason in the first such line."""
        return next(str(line["reason"]) for line in self.lines if line["message"] == message)


class Warned:
    """All of the stories, under way."""

    def __init__(self, cloud: Cloud, pool: ThreadPoolExecutor) -> None:
        self.cloud = cloud
        self._pool = pool
        ears = cloud.client("cloudformation").create_stack
        ears(StackName="ears", TemplateBody=EARS)
        for function, group in GROUPS.items():
            self._create(function, group)
        versions = {name: self._publish(name) for name in STORIES}
        play = self._play
        self._ended: dict[str, Future[Ended]] = {
            name: pool.submit(play, name, version) for name, version in versions.items()
        }

    def ended(self, name: str) -> Ended:
        return self._ended[name].result()

    def stands_on(self, name: str, version: str) -> None:
        alias = self._alias(name)
        told = (alias["FunctionVersion"], alias.get("RoutingConfig"), alias["Description"])
        assert told == (version, None, WORDS)

    def kept(self) -> dict[str, str]:
        """Everything that is kept of the stories by what it is, but for the functions' own logs."""
        ended = {name: self.ended(name) for name in STORIES}
        kept = {f"answer {name}": json.dumps(each.answer) for name, each in ended.items()}
        kept |= {f"alias {name}": json.dumps(self._alias(name)) for name in STORIES}
        for output in ("LogGroupName", "WorkflowLogGroupName", "WatchdogLogGroupName"):
            lines = self.cloud.written(self.cloud.output(output))
            kept[output] = "\n".join(line["message"] for line in lines)
        for name, story in STORIES.items():
            if story.by_machine:
                kept[f"history {name}"] = self._history(name)
        for url in self.cloud.client("sqs").list_queues()["QueueUrls"]:
            kept[f"queue {url.rpartition('/')[2]}"] = self._messages(url)
        return kept

    def _create(self, function: str, group: str) -> None:
        code = io.BytesIO()
        with zipfile.ZipFile(code, "w") as archive:
            archive.writestr("app.py", CODE)
        self.cloud.client("lambda").create_function(
            FunctionName=function,
            Runtime="python3.13",
            Handler="app.handler",
            Role=self.cloud.client("iam").get_role(RoleName="checkout")["Role"]["Arn"],
            Code={"ZipFile": code.getvalue()},
            Timeout=3,
            LoggingConfig={"LogGroup": group},
            Environment={"Variables": {"DOES": "nothing"}},
        )
        published = self.cloud.client("lambda").publish_version(FunctionName=function)
        assert published["Version"] == ORIGINAL

    def _publish(self, name: str) -> str:
        """The story's version; its alias stands on the original one."""
        lambda_ = self.cloud.client("lambda")
        story = STORIES[name]
        variables = {"DOES": story.does, "STORY": name}
        lambda_.update_function_configuration(
            FunctionName=story.function, Environment={"Variables": variables}
        )
        lambda_.create_alias(
            FunctionName=story.function, Name=name, FunctionVersion=ORIGINAL, Description=WORDS
        )
        return str(lambda_.publish_version(FunctionName=story.function)["Version"])

    def _play(self, name: str, version: str) -> Ended:
        story = STORIES[name]
        payload = {
            "function-name": story.function,
            "alias-name": name,
            "new-version": version,
            "weights": [0.5, 1],
            "interval": 10,
            "health-check": story.check,
        }
        run = self._execute if story.by_machine else self._invoke
        with Users(self.cloud, RATE, alias=name, function=story.function) as users:
            answer = self._pool.submit(run, name, json.dumps(payload))
            if story.taken_back:
                _until(lambda: "SUSPENDED" in [line["message"] for line in self._lines(name)])
                self._take_back(name)
            answered = answer.result()
        lines = self._lines(name)
        failed = users.first_errors.get(version, 0.0)
        seconds: dict[str, float] = {}
        for line in lines:
            at = datetime.fromisoformat(line["timestamp"]).timestamp()
            seconds.setdefault(line["message"], at - failed)
        return Ended(answered, lines, seconds)

    def _invoke(self, name: str, payload: str) -> dict[str, Any]:
        invoke = self.cloud.client("lambda").invoke
        answer = invoke(FunctionName="SimpleDeployFunction", Payload=payload)
        return dict(json.loads(answer["Payload"].read()))

    def _execute(self, name: str, payload: str) -> dict[str, Any]:
        states = self.cloud.client("stepfunctions")
        machine = self.cloud.output("StateMachineArn")
        states.start_execution(stateMachineArn=machine, name=name, input=payload)
        arn = self._execution(name)
        _until(lambda: states.describe_execution(executionArn=arn)["status"] != "RUNNING")
        told = states.describe_execution(executionArn=arn)
        if told["status"] == "SUCCEEDED":
            return dict(json.loads(told["output"]))
        return {"errorType": told["error"], "errorMessage": told["cause"]}

    def _execution(self, name: str) -> str:
        machine = self.cloud.output("StateMachineArn")
        return f"{machine.replace(':stateMachine:', ':execution:')}:{name}"

    def _history(self, name: str) -> str:
        read = self.cloud.client("stepfunctions").get_execution_history
        asked = {"executionArn": self._execution(name)}
        told = []
        while True:
            page = read(**asked)
            told.append(json.dumps(page["events"], default=str))
            if not page.get("nextToken"):
                return "\n".join(told)
            asked["nextToken"] = page["nextToken"]

    def _messages(self, url: str) -> str:
        """All that are in the queue, or on their way through it."""
        sqs = self.cloud.client("sqs")
        asked = {"QueueUrl": url, "MaxNumberOfMessages": 10, "VisibilityTimeout": 60}
        bodies = []
        while messages := sqs.receive_message(**asked).get("Messages"):
            bodies += [message["Body"] for message in messages]
        return "\n".join(bodies)

    def _take_back(self, name: str) -> None:
        self.cloud.client("lambda").update_alias(
            FunctionName=STORIES[name].function,
            Name=name,
            FunctionVersion=ORIGINAL,
            RoutingConfig={"AdditionalVersionWeights": {}},
        )

    def _alias(self, name: str) -> dict[str, Any]:
        get = self.cloud.client("lambda").get_alias
        alias = get(FunctionName=STORIES[name].function, Name=name)
        return {key: value for key, value in alias.items() if key != "ResponseMetadata"}

    def _lines(self, name: str) -> list[dict[str, Any]]:
        return self.cloud.deployer_log(name, STORIES[name].log)


@contextlib.contextmanager
def all_stories(cloud: Cloud) -> Iterator[Warned]:
    """Each needs a thread, and so does what it waits for."""
    with ThreadPoolExecutor(2 * len(STORIES)) as pool:
        yield Warned(cloud, pool)


def _until(holds: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 600
    while not holds():
        assert time.monotonic() < give_up, "not within ten minutes"
        time.sleep(0.5)
