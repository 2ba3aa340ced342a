"""Reads the deployer's log: the stack's log groups, and the lines in them that a pattern lets
through. Writes nothing."""

from contextlib import suppress
from typing import Any

from deployer import aws
from lambda_rollout import called, remedies
from lambda_rollout.remedies import NotSent

#: The stack's outputs that name log groups.
LOG_GROUPS = (
    "LogGroupName",
    "WorkflowLogGroupName",
    "WatchdogLogGroupName",
    "HookLogGroupName",
)


class Logbook:
    """Of the deployer whose stack this is."""

    def __init__(self, clients: Any, stack: str) -> None:
        self._clients = clients
        self._stack = stack
        self._groups: list[str] | None = None
        self.cut_short = False  # whether there was more than was read

    def must_be_there(self) -> None:
        """Raises `NotSent` where there is no stack; whatever else fails is told when it is read."""
        try:
            self._log_groups()
        except aws.CallFailed as error:
            if remedies.absent_stack(error):
                told = remedies.no_stack(self._stack, self._clients.region)
                raise NotSent(told) from error

    def events(
        self, pattern: str, since: float, until: float | None = None, pages: int = 50
    ) -> list[Any]:
        """What CloudWatch has between two times, in seconds since 1970. Raises the API's own
        error."""
        found: list[Any] = []
        for group in self._log_groups():
            asked: dict[str, Any] = {
                "logGroupName": group,
                "startTime": int(since * 1000),
                "filterPattern": pattern,
            }
            if until is not None:
                asked["endTime"] = int(until * 1000)
            found += self._of_group(asked, pages)
        return found

    def why_not(self, error: Exception) -> str:
        """Why it cannot be read, and the remedy."""
        if aws.denied(error):
            action = "logs:FilterLogEvents" if self._groups else "cloudformation:DescribeStacks"
            return f"access to it is denied: allow {action}."
        if remedies.absent_stack(error):
            return f"there is no stack '{self._stack}' here: name the deployer's with {called.stack()}."
        if remedies.hopeless(error):
            return f"it could not be read. {remedies.sentence(error)}"
        return f"it could not be read: AWS says {aws.words(error)}"

    def _of_group(self, asked: dict[str, Any], pages: int) -> list[Any]:
        found: list[Any] = []
        absent = self._clients.logs.exceptions.ResourceNotFoundException
        with suppress(absent):  # what never logged may have no log
            for _ in range(pages):
                page = self._clients.logs.filter_log_events(**asked)
                found += page["events"]
                if not page.get("nextToken"):
                    return found
                asked["nextToken"] = page["nextToken"]
            self.cut_short = True
        return found

    def _log_groups(self) -> list[str]:
        """From the stack's outputs; a stack without the hook, or of before the watchdog, has fewer."""
        if self._groups is None:
            found = self._clients.cloudformation.describe_stacks(StackName=self._stack)
            (stack,) = found["Stacks"]
            pairs = stack.get("Outputs", ())
            outputs = {output["OutputKey"]: output["OutputValue"] for output in pairs}
            self._groups = [outputs[name] for name in LOG_GROUPS if name in outputs]
        return self._groups
