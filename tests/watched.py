"""An AWS for the tests of `lambda_rollout`: what it reads, changed by a script in virtual time. Takes
two writes: Invoke and UpdateAlias."""

import io
import json
import math
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError, ReadTimeoutError

from deployer.decisions.stamp import Stamp, write
from local import patterns

START = datetime(2026, 1, 5, 12, 0, 7, tzinfo=UTC).timestamp()
#: When a deployer has surely ended.
UNTIL = datetime.fromtimestamp(START, UTC) + timedelta(seconds=900)
ID = "0123456789ab"
WORDS = "Checkout service"
ARN = "arn:aws:lambda:eu-west-1:123456789012:function:checkout:live"
CALLER = "arn:aws:sts::123456789012:assumed-role/Deployers/ada"
GROUPS = {
    "LogGroupName": "simple",
    "WorkflowLogGroupName": "workflow",
    "WatchdogLogGroupName": "watchdog",
}


def refusal(code: str, message: str = "no", status: int = 400) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, "Operation")


class Clock:
    """Time that moves when it is slept; `at` has something done at a time, in seconds since the
    start."""

    def __init__(self) -> None:
        self.now = START
        self._due: list[tuple[float, Callable[[], Any]]] = []

    def time(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        end = self.now + seconds
        while self._due and START + self._due[0][0] <= end:
            due, action = self._due.pop(0)
            self.now = START + due
            action()
        self.now = end

    def at(self, seconds: float, action: Callable[[], Any]) -> None:
        self._due = sorted([*self._due, (seconds, action)], key=lambda due: due[0])


class Aws:
    """`faults` are raised by the operation's name; what was sent is in `invoked`, and for a plan in
    `planned`, which is answered with `answer`."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.region = "eu-west-1"
        self.version = "7"
        self.stamp = ""
        self.there = True
        self.routing: dict[str, float] = {}
        self.log: dict[str, list[dict[str, Any]]] = {name: [] for name in GROUPS.values()}
        self.outputs = dict(GROUPS)
        self.calls = {"7": (100, 0), "8": (50, 0)}
        self.faults: dict[str, BaseException] = {}
        self.invoked: list[Any] = []
        absent = SimpleNamespace(
            ResourceNotFoundException=type("ResourceNotFoundException", (ClientError,), {})
        )
        self.lambda_ = SimpleNamespace(get_alias=self.get_alias)
        self.once = SimpleNamespace(invoke=self.invoke, update_alias=self.update_alias)
        self.revision = 1
        #: Other functions' aliases, each as it is in an AWS of its own.
        self.others: dict[tuple[str, str], Aws] = {}
        self.moved: list[dict[str, Any]] = []
        #: What somebody does in the moment before the next write of the alias.
        self.meanwhile: list[Callable[[], Any]] = []
        #: How often the answer to a write of the alias is lost.
        self.lost = 0
        self.patient = SimpleNamespace(invoke=self.plan)
        self.sts = SimpleNamespace(get_caller_identity=self.get_caller_identity)
        self.caller = CALLER
        self.answer: Any = {}
        self.planned: list[Any] = []
        self.logs = SimpleNamespace(filter_log_events=self.filter_log_events, exceptions=absent)
        self.cloudformation = SimpleNamespace(describe_stacks=self.describe_stacks)
        self.cloudwatch = SimpleNamespace(get_metric_data=self.get_metric_data)

    def story(self, *acts: tuple[float, Callable[[], Any]]) -> "Aws":
        for seconds, act in acts:
            self.clock.at(seconds, act)
        return self

    def shift(
        self, weight: float, step: int, steps: int = 2, id: str = ID, quiet: bool = False
    ) -> None:
        """As the deployer does: the alias with its stamp, and the line."""
        self.revision += 1
        self.routing = {"8": weight}
        self.stamp = str(Stamp(id, "8", weight, step, steps, UNTIL))
        if not quiet:
            self.tell("SHIFTED", id=id, weight=weight, step=step, steps=steps)

    def suspend(self, reason: str, weight: float = 0.5, step: int = 1, quiet: bool = False) -> None:
        """As the deployer does."""
        self.revision += 1
        self.routing = {}
        self.stamp = str(Stamp(ID, "8", weight, step, 2, UNTIL, suspended=True))
        where = f"Alias 'live' of 'checkout' is on version {self.version}."
        if not quiet:
            self.tell("SUSPENDED", weight=weight, step=step, steps=2, reason=reason, where=where)

    def resume(self, reason: str, weight: float = 0.5, step: int = 1, quiet: bool = False) -> None:
        """As the deployer does."""
        self.shift(weight, step, quiet=True)
        if not quiet:
            self.tell("RESUMED", weight=weight, step=step, steps=2, reason=reason)

    def back(self, version: str = "7") -> None:
        self.revision += 1
        self.version = version
        self.routing = {}
        self.stamp = ""

    def tell(self, message: str, group: str = "simple", id: str = ID, **said: Any) -> None:
        who = {
            "rollout": id,
            "function": "checkout",
            "alias": "live",
            "original-version": "7",
            "new-version": "8",
        }
        lines = self.log[group]
        event = {"timestamp": int(self.clock.now * 1000), "eventId": f"{group}{len(lines)}"}
        lines.append({**event, "message": json.dumps({"message": message, **who, **said})})

    def end(self, message: str, version: str, group: str = "simple", **said: Any) -> None:
        self.back(version)
        self.tell(
            message, group, where=f"Alias 'live' of 'checkout' is on version {version}.", **said
        )

    def get_alias(self, **request: Any) -> Any:
        self._fail("get_alias")
        other = self.others.get((request["FunctionName"], request["Name"]))
        if other:
            return other.get_alias(FunctionName="checkout", Name="live")
        if not self.there or request != {"FunctionName": "checkout", "Name": "live"}:
            raise refusal("ResourceNotFoundException", "Cannot find alias arn", 404)
        description = f"{WORDS} {self.stamp}".strip() if self.stamp else write(WORDS, None)
        answer = {
            "AliasArn": ARN,
            "FunctionVersion": self.version,
            "RevisionId": str(self.revision),
            "Description": description,
        }
        return {
            **answer,
            **(
                {"RoutingConfig": {"AdditionalVersionWeights": self.routing}}
                if self.routing
                else {}
            ),
        }

    def invoke(self, **request: Any) -> Any:
        self._fail("invoke")
        assert (request["FunctionName"], request["InvocationType"]) == (
            "SimpleDeployFunction",
            "Event",
        )
        self.invoked.append(json.loads(request["Payload"]))
        return {"StatusCode": 202, "ResponseMetadata": {"RequestId": "request-1"}}

    def update_alias(self, **request: Any) -> Any:
        """As AWS does: under an old revision nothing is written."""
        self._fail("update_alias")
        if self.meanwhile:
            self.meanwhile.pop(0)()
        if request["RevisionId"] != str(self.revision):
            raise refusal(
                "PreconditionFailedException", "The RevisionId provided does not match", 412
            )
        self.moved.append(request)
        self.revision += 1
        self.version = request.get("FunctionVersion", self.version)
        self.routing = request["RoutingConfig"]["AdditionalVersionWeights"]
        if self.lost:
            self.lost -= 1
            raise ReadTimeoutError(endpoint_url="http://x")
        return self.get_alias(FunctionName=request["FunctionName"], Name=request["Name"])

    def plan(self, **request: Any) -> Any:
        self._fail("plan")
        assert (request["FunctionName"], request["InvocationType"]) == (
            "SimpleDeployFunction",
            "RequestResponse",
        )
        self.planned.append(json.loads(request["Payload"]))
        failed = {"FunctionError": "Unhandled"} if "errorType" in self.answer else {}
        return {
            "StatusCode": 200,
            "Payload": io.BytesIO(json.dumps(self.answer).encode()),
            **failed,
        }

    def get_caller_identity(self) -> Any:
        self._fail("get_caller_identity")
        return {"Account": "123456789012", "Arn": self.caller}

    def filter_log_events(self, **request: Any) -> Any:
        """Two lines a page."""
        self._fail("filter_log_events")
        let_through = patterns.read(request["filterPattern"])
        latest = request.get("endTime", math.inf)
        since = [
            line
            for line in self.log[request["logGroupName"]]
            if request["startTime"] <= line["timestamp"] <= latest and let_through(line["message"])
        ]
        first = int(request.get("nextToken", 0))
        more = {"nextToken": str(first + 2)} if len(since) > first + 2 else {}
        return {"events": since[first : first + 2], **more}

    def describe_stacks(self, **request: Any) -> Any:
        self._fail("describe_stacks")
        if request["StackName"] != "aws-lambda-deploy-stack":
            raise refusal("ValidationError", f"Stack with id {request['StackName']} does not exist")
        return {
            "Stacks": [
                {
                    "Outputs": [
                        {"OutputKey": key, "OutputValue": value}
                        for key, value in self.outputs.items()
                    ]
                }
            ]
        }

    def get_metric_data(self, **request: Any) -> Any:
        self._fail("get_metric_data")
        results = []
        for query in request["MetricDataQueries"]:
            metric = query["MetricStat"]["Metric"]
            version = {pair["Name"]: pair["Value"] for pair in metric["Dimensions"]}[
                "ExecutedVersion"
            ]
            value = self.calls[version][metric["MetricName"] == "Errors"]
            minute = datetime.fromtimestamp(self.clock.now // 60 * 60, UTC)
            results.append(
                {
                    "Id": query["Id"],
                    "StatusCode": "Complete",
                    "Timestamps": [minute],
                    "Values": [value],
                }
            )
        return {"MetricDataResults": results}

    def _fail(self, operation: str) -> None:
        if operation in self.faults:
            raise self.faults[operation]
