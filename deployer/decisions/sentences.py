"""How a rollout ended, in five sentences for a person: a mail, a chat.

EventBridge puts them into quoted templates as they are. So each is one line, without double quotes
and backslashes, of a limited length, and never empty. A command stands at a sentence's end.
"""

import re
from collections.abc import Mapping
from typing import Any

from deployer.decisions.target import Target

#: So many characters of a sentence are told; an event has room for many more.
LONGEST = 1500

Detail = Mapping[str, Any]

_ALONE = re.compile(r"is on version (\S+)\.$")

#: Endings of which the alias knows nothing, unless the rollout had shifted before.
_REFUSALS = ("InvalidRollout", "RolloutTooLong", "AliasBusy")

#: Endings after which the same is to be done, wherever the alias is.
_AS_IT_IS = (*_REFUSALS, "ALREADY_DEPLOYED", "RollbackFailed")

_ENDED = {
    "APPROVED": "the rehearsal of {new} went well",
    "InvalidRollout": "the rollout of {new} was refused",
    "RolloutTooLong": "the rollout of {new} would take too long",
    "AliasBusy": "it is busy, so the rollout of {new} was refused",
    "HealthCheckFailed": "{new} failed its health check",
    "HealthCheckInconclusive": "{new} could not be judged",
    "RolloutInterrupted": "the rollout of {new} was interrupted",
    "AliasChanged": "somebody else changed it, and ended the rollout of {new}",
}

_STOPPED = "the rollout of {new} was stopped by hand"

_SAFE = "Nothing has to be done for users: they are on version {on}. "

_NOW = {
    "APPROVED": (
        "To keep {new}, start the rollout without 'finalize': false. "
        "A deployment of CodeDeploy, whose hook it was, moves the alias itself."
    ),
    "ALREADY_DEPLOYED": "Nothing has to be done.",
    "InvalidRollout": "Mend what the reason names, and start the rollout again.",
    "RolloutTooLong": "Make the rollout shorter, as the reason says, and start it again.",
    "AliasBusy": "Do what the reason says, and start the rollout again.",
    "HealthCheckFailed": (
        "Look into the log of {new}: /aws/lambda/{function}, unless it is set to write to another "
        "group; the streams with [{number}] in their names."
    ),
    "HealthCheckInconclusive": (
        "Start the rollout again when CloudWatch answers and the alias is called."
    ),
    "RolloutInterrupted": (
        "Start the rollout again; where the reason names a command, run that one first."
    ),
    "AliasChanged": "To roll {new} out after all, start the rollout again.",
    "RollbackFailed": "The deployer goes on trying. Do not wait for it, run: {go_back}",
}


def sentences(status: str, detail: Detail) -> dict[str, str]:
    """Of an ending, by its status and its event's detail, which may lack whatever was not known."""
    words = _words(status, detail)
    told = {
        "headline": _headline(status, detail, words),
        "why": _why(status, detail),
        "where": detail["where"],
        "now": _now(status, detail, words),
        "by": _by(detail),
    }
    return {name: line(text) for name, text in told.items()}


def line(text: str) -> str:
    """On one line, and as it may stand in double quotes."""
    text = text.replace('"', "'").replace("\\", "/")
    text = "".join(each if each.isprintable() else " " for each in text)
    text = " ".join(text.split()) or "Nothing is known."
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 2]} …"


def _words(status: str, detail: Detail) -> dict[str, str]:
    """What the sentences above are completed with."""
    function = detail.get("function", "")
    alias = detail.get("alias", "")
    original = detail.get("original-version", "")
    number = detail.get("new-version", "")
    target = Target(function, alias)
    return {
        "status": status,
        "function": function,
        "alias": target.resource,
        "number": number,
        "new": f"version {number}" if number else "a new version",
        "before": original,
        "original": f"version {original}",
        "on": _on(detail),
        "look": f"aws lambda get-alias --function-name {function} --name {alias}",
        "go_back": target.unsplit(original),
    }


def _on(detail: Detail) -> str:
    """The version that the alias is on alone; empty where it is split, or where that is unknown."""
    alone = _ALONE.search(detail["where"])
    if alone is None or "could not be read" in detail["where"]:
        return ""
    return alone[1]


def _shifted(detail: Detail) -> bool:
    return bool(detail.get("step"))


def _headline(status: str, detail: Detail, words: Mapping[str, str]) -> str:
    ended = _ENDED.get(status, "the rollout of {new} ended with {status}")
    if status == "AliasChanged" and words["on"] == words["before"]:
        ended = _STOPPED
    if "function" not in detail:
        form = f"Nothing was moved: {ended}."
    elif status == "SUCCEEDED" and words["on"] == words["number"]:
        form = "{alias} is on {new} (before: {before})."
    elif status == "SUCCEEDED":
        form = "{alias} has got {new} (before: {before})."
    elif status == "ALREADY_DEPLOYED":
        form = "{alias} was on {new} already: there was nothing to do."
    elif status == "RollbackFailed":
        form = "{alias} needs a person now: it could not be rolled back from {new} to {original}."
    else:
        form = f"{{alias}} {_place(status, detail)}: {ended}."
    return form.format_map(words)


def _place(status: str, detail: Detail) -> str:
    """What became of the alias, after its name."""
    on = _on(detail)
    if "original-version" not in detail or (status in _REFUSALS and not _shifted(detail)):
        return "was not touched"
    if "could not be read" in detail["where"]:
        return "could not be read in the end"
    if not on:
        return "is split"
    if on != detail["original-version"]:
        return f"is on version {on}"
    return f"is back on version {on}" if _shifted(detail) else f"stayed on version {on}"


def _why(status: str, detail: Detail) -> str:
    reason = detail.get("reason", "")
    if status == "RollbackFailed":  # its command stands in what is to be done now
        reason = reason.partition(" Run: ")[0]
    if status == "ALREADY_DEPLOYED":
        reason = reason or "The alias was on that version before."
    return " ".join([reason or "No look was made.", *detail.get("warnings", ())])


def _now(status: str, detail: Detail, words: Mapping[str, str]) -> str:
    form = _NOW.get(status, _NOW["RolloutInterrupted"])
    on = words["on"]
    if status == "SUCCEEDED":
        form = "Nothing has to be done. To go back to {original}: {go_back}"
    elif "original-version" in detail and status not in _AS_IT_IS:
        if "could not be read" in detail["where"]:
            form = "See where it is: {look}"
        elif not on and status == "AliasChanged":
            form = "Nobody watches that split. Finish it, or give it back to {original}: {go_back}"
        elif not on and not _shifted(detail):
            pass  # the split is another one's
        elif not on:
            form = "Give it back to {original}: {go_back}"
        elif on == detail["original-version"]:
            form = _SAFE + form
        else:
            form = "Somebody else put it on version {on}. To go back to {original}: {go_back}"
    return form.format_map(words)


def _by(detail: Detail) -> str:
    if "started-by" in detail:
        return f"Started by {detail['started-by']}."
    return "Who started it is not known."
