"""PURE. A dry run's plan in words: what would happen when, what would stop it, and what to know
before."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from deployer.decisions.rollout import Rollout
from lambda_rollout import words

#: The headings of the table of steps, but for the last one, which names the version.
HEADINGS = ("step", "weight", "from", "until")

WARNING = "warning"


class Planned(NamedTuple):
    """What is shown: a row a step, and below them what is told once: a name and what it is, the
    name empty where it goes on from the line before."""

    title: str
    headings: tuple[str, ...]
    steps: list[tuple[str, ...]]
    facts: list[tuple[str, str]]


def read(rollout: Rollout, answer: Mapping[str, Any]) -> Planned:
    """From what SimpleDeployFunction has answered to a dry run."""
    told = answer["rollout"]
    plan = told["plan"]
    new = told["new-version"]
    name = f"{rollout.target.function}:{rollout.target.alias}"
    return Planned(
        title=f"dry run of {name}  version {told['original-version']} → {new}",
        headings=(*HEADINGS, f"calls of version {new}"),
        steps=[_step(number, step) for number, step in enumerate(plan["steps"], 1)],
        facts=[
            *_listed("takes", [_time(rollout, plan["seconds"])]),
            *_listed("done by", [plan["driver"]]),
            *_listed("calls now", [_calls(plan.get("calls-a-minute"))]),
            *_listed("fails-on", plan["fails-on"] or ["nothing: the health check is off"]),
            *_listed("suspends-on", plan["suspends-on"] or ["nothing"]),
            *((WARNING, warning) for warning in told["warnings"]),
            ("", "Nothing was moved."),
        ],
    )


def not_planned(rollout: Rollout, answer: Mapping[str, Any]) -> str:
    """A dry run's answer that has no plan, in a sentence; empty where it has one."""
    told = answer["rollout"]
    if told["status"] == "PLANNED":
        return ""
    return f"{told['status']}: {rollout.target} is on version {answer['FunctionVersion']}: there is nothing to plan."


def text(planned: Planned) -> str:
    """Aligned, for where the output is no terminal."""
    table = [planned.headings, *planned.steps]
    widths = [max(len(row[column]) for row in table) for column in range(len(planned.headings))]
    lines = [planned.title, ""]
    for row in table:
        cells = zip(row, widths, strict=True)
        lines.append("  ".join(cell.rjust(width) for cell, width in cells))
    lines.append("")
    widest = max(len(name) for name, _ in planned.facts)
    lines += [f"{name.ljust(widest)}  {what}" for name, what in planned.facts]
    return "\n".join(lines)


def _step(number: int, step: Mapping[str, Any]) -> tuple[str, ...]:
    calls = step.get("calls")
    return (
        str(number),
        words.share(step["weight"]),
        words.for_long(step["from"]),
        words.for_long(step["until"]),
        "not known" if calls is None else f"about {calls:,}",
    )


def _time(rollout: Rollout, seconds: float) -> str:
    steps = words.for_long(len(rollout.weights) * rollout.interval)
    takes = f"{steps} of steps, up to {words.for_long(seconds)} in all"
    if rollout.longest > rollout.seconds:
        return (
            f"{takes}; up to {words.for_long(rollout.longest)} where every step is held for calls"
        )
    return takes


def _calls(a_minute: float | None) -> str:
    if a_minute is None:
        return "not known: CloudWatch could not be asked"
    few = a_minute < 100
    number = f"{a_minute:.3g}" if few else f"{a_minute:,.0f}"
    return f"{number} a minute of the alias, in the last hour"


def _listed(name: str, lines: list[str]) -> list[tuple[str, str]]:
    """The name stands before the first line only."""
    return [(name if number == 0 else "", line) for number, line in enumerate(lines)]
