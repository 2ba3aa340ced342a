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
    """`rule` is "any", the sample's; a share of its calls that may fail; "baseline": no more than
    the original version at the same time on the same alias; or False: errors are told, and do not
    matter. A rate and the baseline are judged by anytime-valid tests."""

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

    rule: Any = "any"

    @classmethod
    def read(cls, given: Mapping[str, Any], subject: Subject) -> "Errors":
        rule = given.get("errors", "any")
        if rule == "baseline" and len(subject.weights) == 1:
            raise InvalidRollout(
                "'health-check.errors' cannot be \"baseline\" here: "
                "with one weight there is nothing to compare with: use more weights, or a rate."
            )
        return cls(rule)

    @property
    def listens(self) -> bool:
        return self.rule is not False

    @property
    def compares(self) -> bool:
        return bool(self.rule == "baseline")

    @property
    def tested(self) -> bool:
        """Whether it takes evidence, and not just one error."""
        return self.rule not in ("any", False)

    def strength(self, seen: Evidence) -> float:
        """The logarithm of the evidence against the new version, for a rate or the baseline."""
        if self.rule != "baseline":
            return likelihood.rate(self.rule, *seen.of("tested"))
        # Minutes without the original are judged by what it did before: a guard against gross
        # failure, which takes for granted that the original would have gone on like that. Hence
        # twice its highest possible rate.
        limit = 2 * likelihood.highest_rate(*seen.of("reference"))
        alone = seen.of("alone")
        guard = 0.0
        if limit < 0.999 and alone.invocations:
            guard = likelihood.rate(limit, *alone)
        return max(guard, likelihood.baseline(seen.baseline))

    def judge(self, seen: Evidence, versions: Versions) -> Iterator[Said]:
        new = seen.of("new")
        original = seen.of("original")
        counts = f"Version {versions.new} had {new}; version {versions.original} had {original}"
        if self.tested:
            strength = self.strength(seen)
            failed = strength >= ENOUGH
            number = f"{_plain(strength):,.0f}" if strength > 0 else f"{_plain(strength):.2g}"
            against = f"Evidence that it fails {self._more(versions)}"
            told = f" {against}: {number}; {_plain(ENOUGH):.0f} is enough."
        elif self.rule is False:
            failed = False
            told = " Errors are not checked."
        else:
            failed = new.errors > 0
            told = ""
            if new.errors and original.errors:
                told = (
                    f" Version {versions.original} errs, too: "
                    'with "errors": "baseline" only what fails more often is rolled back.'
                )
        yield failed, f"{counts} in the same time.{told}"

    def _more(self, versions: Versions) -> str:
        if self.rule == "baseline":
            return f"more often than version {versions.original}"
        return f"more than {self.rule * 100:g} % of its calls"

    def numbers(self, seen: Evidence) -> dict[str, Any]:
        if not self.tested:
            return {}
        return {"evidence": _plain(self.strength(seen)), "threshold": _plain(ENOUGH)}

    def undecided(self, seen: Evidence) -> bool:
        if self.rule is False:
            return False
        decided = "weighed" if self.rule == "baseline" else "tested"
        return seen.of(decided) != seen.of("new")

    def fails_on(self, versions: Versions) -> Iterator[str]:
        if self.tested:
            yield f"version {versions.new} failing {self._more(versions)}"
        elif self.rule is not False:
            yield f"any error of version {versions.new}"

    def unjudged(self, seen: Evidence) -> Iterator[str]:
        if self.rule == "baseline" and not seen.compared:
            yield "Not compared: CloudWatch published no minute in which both versions had calls."


def _plain(logarithm: float) -> float:
    """The number of a logarithm, to three digits; a million stands for all that is more."""
    return min(1e6, float(f"{exp(min(logarithm, 20)):.3g}"))
