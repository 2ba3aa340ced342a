"""`errors`: how often the new version may fail. The one check that is made unless it is refused."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import exp, log
from typing import Any

from deployer.decisions import likelihood
from deployer.decisions.checks.check import Check, Said, Subject, Versions
from deployer.decisions.errors import InvalidRollout
from deployer.decisions.evidence import Evidence
from deployer.decisions.payload import is_number

#: How much evidence makes a verdict FAILED, as a logarithm.
ENOUGH = log(1 / likelihood.ALPHA)


def _rule(value: Any) -> Any:
    if isinstance(value, str):
        known = value in ("any", "baseline")
    else:
        known = value is False or (is_number(value) and 1e-6 <= value <= 0.999)
    return value if known else None


@dataclass(frozen=True)
class Errors(Check):
    """What all its kinds share: the counts of both versions, in words."""

    KEYS = {
        "errors": (
            '"any", "baseline", false, or a rate from 0.000001 to 0.999, such as 0.01',
            _rule,
            '"any"',
        )
    }
    SCHEMA = """{"errors": {
        "default": "any",
        "description": "How often the new version may fail",
        "anyOf": [
            {"const": "any", "description": "It has no error"},
            {
                "const": "baseline",
                "description": "It fails no more often than the original one at the same time"
            },
            {"const": false, "description": "Its errors do not matter"},
            {
                "type": "number",
                "minimum": 1e-06,
                "maximum": 0.999,
                "description": "At most that share of its calls fails"
            }
        ]
    }}"""

    @classmethod
    def read(cls, given: Mapping[str, Any], subject: Subject) -> "Errors":
        match given.get("errors", "any"):
            case False:
                return Unchecked()
            case "any":
                return AnyError()
            case "baseline":
                if len(subject.weights) == 1:
                    raise InvalidRollout(
                        "'health-check.errors' cannot be \"baseline\" here: "
                        "with one weight there is nothing to compare with: "
                        "use more weights, or a rate."
                    )
                return Baseline()
            case limit:
                return Rate(limit)

    def judge(self, seen: Evidence, versions: Versions) -> Iterator[Said]:
        new = f"Version {versions.new} had {seen.of('new')}"
        original = f"version {versions.original} had {seen.of('original')}"
        failed, told = self.said(seen, versions)
        yield failed, f"{new}; {original} in the same time.{told}"

    def said(self, seen: Evidence, versions: Versions) -> Said:
        """Whether that is too much, and what is to be said besides."""
        raise NotImplementedError


@dataclass(frozen=True)
class Unchecked(Errors):
    """`false`: errors are told, and do not matter."""

    def said(self, seen: Evidence, versions: Versions) -> Said:
        return False, " Errors are not checked."


@dataclass(frozen=True)
class AnyError(Errors):
    """`"any"`: the sample's rule."""

    def said(self, seen: Evidence, versions: Versions) -> Said:
        told = ""
        if seen.of("new").errors and seen.of("original").errors:
            told = (
                f" Version {versions.original} errs, too: "
                'with "errors": "baseline" only what fails more often is rolled back.'
            )
        return seen.of("new").errors > 0, told

    def undecided(self, seen: Evidence) -> bool:
        return seen.of("tested") != seen.of("new")

    def fails_on(self, versions: Versions) -> Iterator[str]:
        yield f"any error of version {versions.new}"


@dataclass(frozen=True)
class Rate(Errors):
    """A number: at most this share of its calls may fail, by an anytime-valid test."""

    limit: float

    def strength(self, seen: Evidence) -> float:
        """The logarithm of the evidence against the new version."""
        return likelihood.rate(self.limit, *seen.of("tested"))

    def more(self, versions: Versions) -> str:
        return f"more than {self.limit * 100:g} % of its calls"

    def said(self, seen: Evidence, versions: Versions) -> Said:
        strength = self.strength(seen)
        number = f"{_plain(strength):,.0f}" if strength > 0 else f"{_plain(strength):.2g}"
        against = f"Evidence that it fails {self.more(versions)}"
        return strength >= ENOUGH, f" {against}: {number} of the {_plain(ENOUGH):.0f} it takes."

    def numbers(self, seen: Evidence) -> dict[str, Any]:
        return {"evidence": _plain(self.strength(seen)), "threshold": _plain(ENOUGH)}

    def undecided(self, seen: Evidence) -> bool:
        return seen.of("tested") != seen.of("new")

    def fails_on(self, versions: Versions) -> Iterator[str]:
        yield f"version {versions.new} failing {self.more(versions)}"


@dataclass(frozen=True)
class Baseline(Rate):
    """`"baseline"`: no more often than the original version at the same time on the same alias."""

    limit: float = 0.0

    def strength(self, seen: Evidence) -> float:
        # Minutes without the original are judged by what it did before: a guard against gross
        # failure, which takes for granted that the original would have gone on like that. Hence
        # twice its highest possible rate.
        limit = 2 * likelihood.highest_rate(*seen.of("reference"))
        alone = seen.of("alone")
        guard = 0.0
        if limit < 0.999 and alone.invocations:
            guard = likelihood.rate(limit, *alone)
        return max(guard, likelihood.baseline(seen.baseline))

    def more(self, versions: Versions) -> str:
        return f"more often than version {versions.original}"

    def undecided(self, seen: Evidence) -> bool:
        return seen.of("weighed") != seen.of("new")

    def unjudged(self, seen: Evidence) -> Iterator[str]:
        if not seen.compared:
            yield "Not compared: CloudWatch published no minute in which both versions had calls."


def _plain(logarithm: float) -> float:
    """The number of a logarithm, to three digits; a million stands for all that is more."""
    return min(1e6, float(f"{exp(min(logarithm, 20)):.3g}"))
