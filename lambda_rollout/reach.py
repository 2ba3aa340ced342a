"""PURE. Whether AWS answers, and how old what is shown has become where it does not."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

#: What is asked of AWS.
ALIAS = "alias"
LOG = "log"
METRICS = "metrics"

#: Seconds after which throttling is said: a single answer that was refused for haste is made up for
#: by the next one.
LASTS = 15.0


class Outage(NamedTuple):
    """Since when there is no answer, why, in AWS's words, and whether it is only throttled."""

    since: float
    why: str
    throttled: bool = False


@dataclass(frozen=True)
class Reach:
    """By what is asked: the outage that lasts, and when the last answer came, in seconds since
    1970."""

    outages: Mapping[str, Outage] = field(default_factory=dict)
    answers: Mapping[str, float] = field(default_factory=dict)
    back: float = 0.0  # when AWS last answered again after an outage

    def answered(self, what: str, now: float) -> "Reach":
        outages = {name: outage for name, outage in self.outages.items() if name != what}
        back = now if what in self.outages else self.back
        return replace(self, outages=outages, answers={**self.answers, what: now}, back=back)

    def missed(self, what: str, why: str, now: float, throttled: bool = False) -> "Reach":
        before = self.outages.get(what)
        since = before.since if before else now
        outage = Outage(since, why, throttled)
        return replace(self, outages={**self.outages, what: outage})

    def lasting(self, what: str, now: float) -> Outage | None:
        """The outage, once it is worth a word."""
        outage = self.outages.get(what)
        if outage is None or (outage.throttled and now - outage.since < LASTS):
            return None
        return outage

    @property
    def can_hear(self) -> bool:
        """Whether a deployer that speaks would be heard."""
        return not {ALIAS, LOG} & self.outages.keys()
