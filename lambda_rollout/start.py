"""Starts a rollout, or asks for its plan: the one Invoke, which is all that is ever written to AWS
here. What cannot go well is not sent."""

import json
from collections.abc import Mapping
from contextlib import suppress
from threading import Thread
from typing import Any

from deployer import aws
from deployer.clock import utc
from deployer.decisions import errors
from deployer.decisions.ownership import abandoned
from deployer.decisions.rollout import LONGEST_STARTER, Rollout
from lambda_rollout import called, remedies
from lambda_rollout.eyes import Eyes
from lambda_rollout.remedies import CannotSee, NotSent, Refused
from lambda_rollout.state import LONGEST_START, Plan, State
from lambda_rollout.suspension import is_suspended

#: How far back rollouts are looked for that are not the one to be started, in seconds.
_BEFORE = 600.0
#: For how long it is asked who starts it, in seconds; then it is left out.
_WHO_SECONDS = 2.0


def start(clients: Any, eyes: Eyes, rollout: Rollout, now: float, expected: str = "") -> State:
    """Send it, where one is expected only while the alias is on that version. Raises `NotSent`,
    `AliasBusy`, `Refused`, or `CannotSee` when it may have been sent."""
    function, alias = rollout.target
    found = eyes.must_see()
    taken = found.routing or is_suspended(found)
    if taken and not abandoned(found, utc(now)):
        raise errors.AliasBusy(found.busy, "Nothing was sent.")
    if expected and found.version != expected:
        raise Refused(
            f"{rollout.target} {found.state}, and no longer on version {expected}: "
            "somebody else has moved it meanwhile. Nothing was sent."
        )
    eyes.logbook.must_be_there()
    before = {found.stamp.rollout_id} if found.stamp else set()
    with suppress(*aws.CallFailed):  # whether the log can be read is told later
        before |= {line.rollout for line in eyes.lines(now - _BEFORE)}
    event: dict[str, Any] = {**rollout.event}
    caller = "" if rollout.started_by else _caller(clients)
    if caller:
        event["started-by"] = caller
    request = _invoke(clients, event)
    settle = rollout.health_check.settle
    plan = Plan(
        rollout.new_version,
        rollout.interval,
        settle,
        request,
        frozenset(before),
        original=found.version,
        started_by=event.get("started-by", ""),
    )
    return State(function, alias, since=now, give_up=now + LONGEST_START, plan=plan)


def ask(clients: Any, eyes: Eyes, rollout: Rollout) -> Mapping[str, Any]:
    """What a dry run answers. Raises `DeployError` or `Refused` where the rollout would be refused,
    `NotSent`, or `CannotSee`."""
    eyes.logbook.must_be_there()
    try:
        answer = clients.patient.invoke(
            FunctionName="SimpleDeployFunction",
            InvocationType="RequestResponse",
            Payload=json.dumps(dict(rollout.event)).encode(),
        )
        told = json.loads(answer["Payload"].read())
    except aws.CallFailed as error:
        why = remedies.sentence(error, remedies.invoking(clients.region))
        if aws.refused(error) or remedies.hopeless(error):
            raise NotSent(why) from error
        raise CannotSee(f"{why} No plan came; nothing was moved.") from error
    if "FunctionError" not in answer:
        return dict(told)
    message = str(told.get("errorMessage", ""))
    kind = errors.named(str(told.get("errorType", "")))
    if kind:
        raise kind(message)
    raise Refused(f"SimpleDeployFunction has failed, and made no plan: {message}")


def _caller(clients: Any) -> str:
    """Whose credentials these are, as an ARN; empty where that is not known in time."""
    found: list[str] = []

    def ask_sts() -> None:
        with suppress(Exception):  # to know it is no reason to keep a rollout from beginning
            found.append(str(clients.sts.get_caller_identity()["Arn"]))

    asking = Thread(target=ask_sts, daemon=True)  # looking up a name has no time-out of its own
    asking.start()
    asking.join(_WHO_SECONDS)
    return found[0][:LONGEST_STARTER] if found else ""


def _invoke(clients: Any, event: Mapping[str, Any]) -> str:
    """The invocation's id, which stands in every line that it logs."""
    payload = json.dumps(event).encode()
    try:
        answer = clients.once.invoke(
            FunctionName="SimpleDeployFunction", InvocationType="Event", Payload=payload
        )
    except aws.CallFailed as error:
        told = remedies.sentence(error, remedies.invoking(clients.region))
        if aws.refused(error) or remedies.hopeless(error):
            raise NotSent(told) from error
        watch = called.command("watch")
        unknown = f"Whether the rollout has begun is not known: '{watch}' tells."
        raise CannotSee(f"{told} {unknown}") from error
    return str(answer["ResponseMetadata"].get("RequestId", ""))
