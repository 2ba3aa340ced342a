"""What may become of an API call instead of its answer, and the end of a sandbox."""

from typing import Any

from botocore.exceptions import ClientError

#: What a deployer's lease takes. These calls have no number, so that a story's other calls keep
#: theirs.
OF_THE_LEASE = ("CreateSchedule", "UpdateSchedule", "DeleteSchedule", "GetSchedule", "SendMessage")

#: Faults that are an answer: its status, code and message. Nothing has been done.
#:
#: The others: "lost" (done, and no answer), "late" (no answer, and done some seconds after it),
#: "unsent" (no connection), "slow" (an answer, seconds later), and "killed" and "killed after": the
#: sandbox dies before the call, or when it is done.
ANSWERS = {
    "throttled": (429, "TooManyRequestsException", "Rate Exceeded."),
    "broken": (
        500,
        "ServiceException",
        "An error occurred and the request cannot be processed.",
    ),
    "denied": (403, "AccessDeniedException", "User is not authorized to perform this action"),
}

#: Those of which the call itself is done at once.
DONE = ("", "lost", "slow", "killed after")


class Killed(BaseException):
    """Raised in a sandbox that is killed, and again at whatever its deployer still tries: nothing
    has any effect."""


def client_error(operation: str, status: int, code: str, message: str) -> ClientError:
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return ClientError(answer, operation)
