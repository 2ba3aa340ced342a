"""The worlds of the bench: what users do, how often both versions fail, how late CloudWatch is, and
the rollout."""

from dataclasses import dataclass

from deployer.decisions.weights import linear

#: Seconds after the last step for which users' failed calls are counted where the new version was
#: promoted.
AFTER = 300.0


@dataclass(frozen=True)
class Plan:
    """A rollout: each weight of the new version lasts `interval` seconds."""

    name: str
    weights: tuple[float, ...]
    interval: float

    @property
    def end(self) -> float:
        return len(self.weights) * self.interval

    @property
    def horizon(self) -> float:
        """Until when failed calls are counted, in seconds since the start."""
        return self.end + AFTER


MINUTES = Plan("10 × 60 s", linear(10), 60.0)
QUICK = Plan("5 × 10 s", linear(5), 10.0)
CANARY = Plan("canary 2 × 300 s", (0.1, 1.0), 300.0)


@dataclass(frozen=True)
class Cell:
    """Error rates of both versions, calls a second, and the seconds after a minute's end until it
    is published."""

    original: float
    new: float
    rate: float = 10.0
    delay: float = 60.0
    plan: Plan = MINUTES

    @property
    def healthy(self) -> bool:
        """Whether the new version fails no more often than the original one."""
        return self.new <= self.original

    @property
    def errors(self) -> str:
        return f"{100 * self.original:g} → {100 * self.new:g} %"

    @property
    def name(self) -> str:
        return f"{self.errors}, {self.rate:g}/s, {self.plan.name}, delay {self.delay:g} s"


MAIN = Cell(0, 0.05)
SLIGHT = Cell(0.01, 0.02, rate=100)

HEALTHY = (
    Cell(0, 0),
    Cell(0, 0, rate=0.1),
    Cell(0, 0, plan=QUICK),
    Cell(0.001, 0.001),
    Cell(0.001, 0.001, rate=1000),
    Cell(0.01, 0.01, rate=0.1),
    Cell(0.01, 0.01),
    Cell(0.01, 0.01, delay=180),
    Cell(0.01, 0.01, rate=1000, delay=0),
    Cell(0.01, 0.01, rate=100, plan=QUICK),
    Cell(0.01, 0.01, rate=100, plan=CANARY),
    Cell(0.1, 0.1),
    Cell(0.1, 0.1, rate=100),
    Cell(0.05, 0),
)

BAD = (
    Cell(0, 1),
    Cell(0, 1, rate=0.1),
    Cell(0, 1, plan=QUICK),
    Cell(0, 0.5),
    MAIN,
    Cell(0, 0.05, rate=1),
    Cell(0, 0.05, delay=0),
    Cell(0, 0.05, delay=180),
    Cell(0, 0.05, plan=QUICK),
    Cell(0, 0.05, plan=CANARY),
    Cell(0, 0.01),
    Cell(0, 0.01, rate=1000),
    SLIGHT,
    Cell(0.01, 0.05),
    Cell(0.01, 0.05, rate=100),
    Cell(0.1, 0.2),
    Cell(0.1, 0.2, rate=100, plan=CANARY),
)

CELLS = (*HEALTHY, *BAD)
