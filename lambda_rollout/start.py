"""Starts a rollout: the one Invoke, which is all that is ever written to AWS here. What cannot go
well is not sent."""

import json
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from deployer import aws
from deployer.decisions import errors
from deployer.decisions.ownership import abandoned
from deployer.decisions.rollout import Rollout
from lambda_rollout import remedies
from lambda_rollout.eyes import Eyes
from lambda_rollout.remedies import CannotSee, NotSent
from lambda_rollout.state import LONGEST_START, Plan, State
from lambda_rollout.suspension import is_suspended

#: How far back rollouts are looked for that are not the one to be started, in seconds.
_BEFORE = 600.0


def start(clients: Any, eyes: Eyes, rollout: Rollout, now: float) -> State:
    """Send it. Raises `NotSent`, `AliasBusy`, or `CannotSee` when it may have been sent."""
    function, alias = rollout.target
    try:
        found = eyes.alias()
    except aws.CallFailed as error:
        doing = remedies.reading_alias(function, alias, clients.region)
        raise NotSent(remedies.sentence(error, doing)) from error
    taken = found.routing or is_suspended(found)
    if taken and not abandoned(found, datetime.fromtimestamp(now, UTC)):
        raise errors.AliasBusy(found.busy, "Nothing was sent.")
    before = {found.stamp.rollout_id} if found.stamp else set()
    with suppress(*aws.CallFailed):  # whether the log can be read is told later
        before |= {line.rollout for line in eyes.lines(now - _BEFORE)}
    request = _invoke(clients, rollout)
    settle = rollout.health_check.settle
    plan = Plan(rollout.new_version, rollout.interval, settle, request, frozenset(before))
    return State(function, alias, since=now, give_up=now + LONGEST_START, plan=plan)


def _invoke(clients: Any, rollout: Rollout) -> str:
    """The invocation's id, which stands in every line that it logs."""
    payload = json.dumps(dict(rollout.event)).encode()
    try:
        answer = clients.once.invoke(
            FunctionName="SimpleDeployFunction", InvocationType="Event", Payload=payload
        )
    except aws.CallFailed as error:
        told = remedies.sentence(error, remedies.invoking(clients.region))
        if aws.refused(error) or remedies.hopeless(error):
            raise NotSent(told) from error
        unknown = "Whether the rollout has begun is not known: 'make watch' tells."
        raise CannotSee(f"{told} {unknown}") from error
    return str(answer["ResponseMetadata"].get("RequestId", ""))
