"""From evidence to a verdict. Does no I/O, reads no clock. A new check is judged here, beside
the others."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from math import exp, log
from typing import Any, NamedTuple

from deployer.decisions import likelihood
from deployer.decisions.checks import HealthCheck
from deployer.decisions.evidence import Evidence
from deployer.decisions.stamp import shortened

#: How much evidence makes a verdict FAILED, as a logarithm.
ENOUGH = log(1 / likelihood.ALPHA)

#: The most characters of a reason.
LONGEST_REASON = 4000

#: Whether a check has failed, and what it saw, in words.
Said = tuple[bool, str]


class Status(StrEnum):
    #: The look could not be made: that is neither healthy nor failed.
    UNSEEN = "UNSEEN"
    #: Nothing wrong so far; the step lasts on.
    PENDING = "PENDING"
    #: Nothing wrong at the end of a step.
    SUCCEEDED = "SUCCEEDED"
    #: The new version misbehaves.
    FAILED = "FAILED"


class Verdict(NamedTuple):
    """`reason` is for people, `numbers` are what is behind it, for the log."""

    status: Status
    reason: str
    numbers: Mapping[str, Any] = {}


def judge(check: HealthCheck, seen: Evidence, original: str, new: str) -> Verdict:
    """FAILED when any of the checks has failed, otherwise PENDING; no data is healthy, as in the
    sample."""
    said = [_errors(check, seen, original, new), *_metrics(check, seen), *_alarms(seen)]
    failed = [reason for wrong, reason in said if wrong]
    status = Status.FAILED if failed else Status.PENDING
    numbers: dict[str, Any] = {who: seen.of(who)._asdict() for who in ("original", "new")}
    if check.errors not in ("any", False):
        numbers |= {"evidence": _plain(evidence(check, seen)), "threshold": _plain(ENOUGH)}
    if check.metrics:
        numbers["metrics"] = {
            str(limit): seen.highest.get(name) for name, limit in check.metrics.items()
        }
    if seen.alarms:
        numbers["alarms"] = seen.alarms
    # What failed comes first.
    told = " ".join([*failed, *(reason for wrong, reason in said if not wrong)])
    return Verdict(status, shortened(told, LONGEST_REASON), numbers)


def evidence(check: HealthCheck, seen: Evidence) -> float:
    """The logarithm of the evidence against the new version, for `baseline` or a rate."""
    if check.errors != "baseline":
        return likelihood.rate(check.errors, *seen.of("tested"))
    # Minutes without the original are judged by what it did before: a guard against gross failure,
    # which takes for granted that the original would have gone on like that. Hence twice its
    # highest possible rate.
    limit, alone = 2 * likelihood.highest_rate(*seen.of("reference")), seen.of("alone")
    guard = likelihood.rate(limit, *alone) if limit < 0.999 and alone.invocations else 0.0
    return max(guard, likelihood.baseline(seen.baseline))


def undecided(check: HealthCheck, seen: Evidence) -> bool:
    """Whether published calls of the new version wait for the rest of their minute to be judged."""
    if check.errors is False:
        return False
    return seen.of("weighed" if check.errors == "baseline" else "tested") != seen.of("new")


def _errors(check: HealthCheck, seen: Evidence, original: str, new: str) -> Said:
    ours, theirs = seen.of("new"), seen.of("original")
    reason = f"Version {new} had {ours}; version {original} had {theirs} in the same time."
    if check.errors is False:
        return False, f"{reason} Errors are not checked."
    if check.errors == "any":
        if ours.errors and theirs.errors:
            remedy = 'with "errors": "baseline" only what fails more often is rolled back.'
            reason += f" Version {original} errs, too: {remedy}"
        return ours.errors > 0, reason
    against = f"fails more often than version {original}"
    if check.errors != "baseline":
        against = f"fails more than {check.errors * 100:g} % of its calls"
    strong = evidence(check, seen)
    number = f"{_plain(strong):,.0f}" if strong > 0 else f"{_plain(strong):.2g}"
    return (
        strong >= ENOUGH,
        f"{reason} Evidence that it {against}: {number} of the {_plain(ENOUGH):.0f} it takes.",
    )


def _metrics(check: HealthCheck, seen: Evidence) -> Iterator[Said]:
    for name, limit in check.metrics.items():
        highest = seen.highest.get(name)
        if highest is None:
            yield False, f"{limit} has no data yet."
        elif highest > limit.above:
            yield True, f"{limit} rose to {highest:g}, above its limit of {limit.above:g}."
        else:
            yield False, f"{limit} rose to {highest:g} at most; its limit is {limit.above:g}."


def _alarms(seen: Evidence) -> Iterator[Said]:
    for name, state in seen.alarms.items():
        if name in seen.muted:
            yield (
                False,
                f"Alarm {name} has been in ALARM since before the start, so it does not count.",
            )
        elif state == "ALARM":
            yield True, f"Alarm {name} went into ALARM."


def _plain(logarithm: float) -> float:
    """The number of a logarithm, to three digits; a million stands for all that is more."""
    return min(1e6, float(f"{exp(min(logarithm, 20)):.3g}"))
