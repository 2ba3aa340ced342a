"""Tells what becomes of a rollout: one log line, one event and its metrics per change of state.
Never stops a rollout.

The event's JSON Schema is events/event.schema.json. Metrics are log lines, too, in CloudWatch's
embedded format: what was told stays told, whenever the deployer dies.
"""

import json
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.metrics import MetricUnit, single_metric

from deployer import aws
from deployer.decisions.sentences import sentences

#: By these an EventBridge rule finds our events.
SOURCE = "aws-lambda-deploy"
DETAIL_TYPE = "Rollout State Change"

#: These are no endings of a rollout, or none of one that has begun.
NO_ENDINGS = (
    *("STARTED", "SHIFTED", "SUSPENDED", "RESUMED"),
    *("ROLLED_BACK", "HANDED_OVER", "PLANNED"),
)

#: The most characters of a reason in an event: EventBridge takes 256 KB.
LONGEST_REASON = 10_000

logger = Logger(service=SOURCE, use_rfc3339=True)


def tell(means: aws.Means, status: str, /, **detail: Any) -> None:
    """`status` is one of `NO_ENDINGS`, a result's status or an error's name; `detail`: who, what,
    why."""
    ended_badly = status == "ROLLED_BACK" or not status.isupper()
    (logger.error if ended_badly else logger.info)(status, extra=detail)
    if "function" in detail and "alias" in detail:
        measure(status, detail)
    told = {"status": status, **detail}
    if "reason" in told:
        told["reason"] = told["reason"][:LONGEST_REASON]
    if status not in NO_ENDINGS:
        told["sentences"] = sentences(status, detail)
    entry = {"Source": SOURCE, "DetailType": DETAIL_TYPE, "Detail": json.dumps(told)}
    for _ in range(1 if status in NO_ENDINGS else 2):  # an ending is worth a second try
        why = _send(means, entry)
        if not why:
            return
    logger.warning("NOT_TOLD", extra={"reason": f"The event {status} could not be sent: {why}"})


def _send(means: aws.Means, entry: dict[str, str]) -> str:
    """Why it could not be sent; empty when it was."""
    try:
        answer = means.events.put_events(Entries=[entry])
    except aws.CallFailed as error:
        return aws.words(error)
    if not answer["FailedEntryCount"]:
        return ""
    return str(answer["Entries"][0].get("ErrorMessage", "EventBridge did not say why."))


def measure(status: str, detail: dict[str, Any]) -> None:
    """`Weight`: the new version's share; `Suspended`: 1 each time; `Ended`: 1 by `outcome`;
    `TimeToRollback`: since the first shift."""
    who = {"function": detail["function"], "alias": detail["alias"]}
    weight = detail.get("weight", 0)
    shares = {"SHIFTED": weight, "SUSPENDED": 0, "RESUMED": weight, "ROLLED_BACK": 0}
    share = {**shares, "APPROVED": 0, "SUCCEEDED": 1}.get(status)
    if status == "SUSPENDED":
        emit("Suspended", MetricUnit.Count, 1, who)
    if share is not None:
        emit("Weight", MetricUnit.Percent, 100 * share, who)
    if status not in NO_ENDINGS:
        emit("Ended", MetricUnit.Count, 1, {**who, "outcome": status})
    if "seconds" in detail:
        emit("TimeToRollback", MetricUnit.Seconds, detail["seconds"], who)


def emit(name: str, unit: MetricUnit, value: float, dimensions: dict[str, str]) -> None:
    with single_metric(
        name=name, unit=unit, value=value, namespace=SOURCE, default_dimensions=dimensions
    ):
        """Leaving the block writes the line."""
