"""How AWS is called, and what its refusals mean. Decides nothing about a rollout.

Time-outs are short and attempts few, so that a look that began just before the reserve and a
rollback after it still end before Lambda kills the invocation.
"""

import os
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
from botocore import config, exceptions
from botocore.parsers import ResponseParserError

from deployer.clock import Clock
from deployer.decisions.checks.smoke_test import SECONDS as SMOKE_SECONDS

if TYPE_CHECKING:  # `lambda-rollout` is installed without it
    from aws_lambda_powertools.utilities.typing import LambdaContext

CONNECT_SECONDS = 2
READ_SECONDS = 4
ATTEMPTS = 2

#: The longest that one call may take, in seconds: every attempt times out, about 1 s between them.
CALL_SECONDS = ATTEMPTS * (CONNECT_SECONDS + READ_SECONDS) + 1

#: What a call may raise: AWS said no, or gave no answer that could be understood.
CallFailed = (exceptions.ClientError, exceptions.BotoCoreError, ResponseParserError)

_RETRIES: Any = {"mode": "standard", "total_max_attempts": ATTEMPTS}
_CONFIG = config.Config(
    connect_timeout=CONNECT_SECONDS, read_timeout=READ_SECONDS, retries=_RETRIES
)
_ONCE = config.Config(
    connect_timeout=CONNECT_SECONDS, read_timeout=SMOKE_SECONDS, retries={"total_max_attempts": 1}
)

#: Telling may take no longer than this: the rollout goes on. The second attempt is for a
#: connection that has died while Lambda had frozen the sandbox.
TELL_SECONDS = ATTEMPTS * (1 + 2) + 1

#: What must be left for the last words: where the alias is, that it was rolled back, and the
#: ending, which is told again if need be.
LAST_WORDS = CALL_SECONDS + 3 * TELL_SECONDS

_QUICK = config.Config(connect_timeout=1, read_timeout=2, retries=_RETRIES)

_CLIENTS = {
    "lambda_": ("lambda", _CONFIG),
    "once": ("lambda", _ONCE),  # one attempt, with the time that a smoke test may take
    "cloudwatch": ("cloudwatch", _CONFIG),
    "stepfunctions": ("stepfunctions", _CONFIG),
    "codedeploy": ("codedeploy", _CONFIG),
    "scheduler": ("scheduler", _CONFIG),
    "sqs": ("sqs", _CONFIG),
    "events": ("events", _QUICK),
    "logs": ("logs", _QUICK),
}

_client: Any = cache(boto3.client)


class Settings(NamedTuple):
    """What the template tells its functions; empty where a function has no such variable."""

    state_machine: str = ""
    lease_group: str = ""
    lease_queue: str = ""
    lease_role: str = ""
    lease_dead_letters: str = ""
    watchdog_queue: str = ""
    hook_queue: str = ""
    hook_rollout: str = ""


#: Each setting's environment variable.
VARIABLES = Settings(
    state_machine="DEPLOY_STATE_MACHINE_ARN",
    lease_group="LEASE_GROUP",
    lease_queue="LEASE_QUEUE_ARN",
    lease_role="LEASE_ROLE_ARN",
    lease_dead_letters="LEASE_DEAD_LETTER_ARN",
    watchdog_queue="WATCHDOG_QUEUE_URL",
    hook_queue="HOOK_QUEUE_URL",
    hook_rollout="HOOK_ROLLOUT",
)


class Means:
    """What a deployer works with: AWS's clients, the clock, its settings and its own ARN.

    Tests pass fakes of the same names.
    """

    def __init__(self, context: "LambdaContext") -> None:
        self.clock = Clock(context.get_remaining_time_in_millis)
        self.here = context.invoked_function_arn
        self.settings = Settings(*(os.environ.get(variable, "") for variable in VARIABLES))

    def __getattr__(self, name: str) -> Any:
        """A client, made when first asked for and kept for the sandbox's life.

        `once` is made anew each time: its one attempt must not meet a connection that has died
        while the sandbox was frozen.
        """
        service, settings = _CLIENTS[name]
        make: Any = boto3.client if name == "once" else _client
        return make(service, config=settings)


def id_of(execution: str) -> str:
    """The rollout id of a state machine's execution, from its ARN."""
    return sha256(execution.encode()).hexdigest()[:12]


def code(error: Exception) -> str:
    """AWS's name for the error, such as `ResourceNotFoundException`; the class's own without an
    answer."""
    if isinstance(error, exceptions.ClientError):
        return str(error.response.get("Error", {}).get("Code", ""))
    return type(error).__name__


#: In the codes of errors that pass, though their status says otherwise.
_PASSING = (
    "Throttl",
    "TooManyRequests",
    "RequestLimitExceeded",
    "ServiceException",
    "InternalFailure",
)


def denied(error: Exception) -> bool:
    """Whether permissions are missing (the codes that Lambda and CloudWatch use)."""
    return code(error) in ("AccessDeniedException", "AccessDenied", "UnauthorizedOperation")


def refused(error: Exception) -> bool:
    """Whether AWS said no for good: asking again cannot help, and nothing was changed.

    Not so for throttling (429; CloudWatch answers it with a 400), 5xx, a lost answer, an update of
    the function in progress (409), or a `RevisionId` that is not the latest (412): for the last one
    the caller reads the alias again.
    """
    if not isinstance(error, exceptions.ClientError):
        return False
    status = _status(error)
    if not 400 <= status < 500 or status in (408, 409, 412, 429):
        return False
    return not any(passing in code(error) for passing in _PASSING)


def may_have_been_done(error: Exception) -> bool:
    """Whether what was asked for may have been done all the same: its answer was lost.

    A `RevisionId` that is not the latest (412) may be the answer to a second attempt, whose first
    one replaced it.
    """
    if isinstance(error, exceptions.ClientError):
        attempts = error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
        return _status(error) == 412 and attempts > 0
    return not isinstance(
        error, exceptions.ConnectTimeoutError | exceptions.EndpointConnectionError
    )


def no_start(error: Exception) -> bool:
    """Whether Lambda could not start the function that was invoked, for a reason that is the
    function's own."""
    if not isinstance(error, exceptions.ClientError):
        return False
    # EFS's and SnapStart's are a 403, 408 and the like; the others a 502.
    return code(error).startswith(("EFS", "SnapStart")) or _status(error) == 502


def _status(error: exceptions.ClientError) -> int:
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)


def words(error: Exception) -> str:
    """AWS's own words for the error, on one line, ending with a full stop."""
    message = str(error)
    if isinstance(error, exceptions.ClientError):
        message = str(error.response.get("Error", {}).get("Message", ""))
    return f"{code(error)}: {message.strip().rstrip('.')}."
