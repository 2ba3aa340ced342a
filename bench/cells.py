"""The worlds of the bench: what users do, how often both versions fail, how late CloudWatch and the
function's log are, and the rollout."""

from dataclasses import dataclass

from deployer.decisions.weights import linear

#: Seconds after the last step for which users' failed calls are counted where the new version was
#: promoted.
AFTER = 300.0

#: Seconds that an invocation of Lambda may last: users call at least as long as that.
LONGEST = 900.0


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

    @property
    def seconds(self) -> float:
        """For how long users call."""
        return max(self.horizon, LONGEST)


MINUTES = Plan("10 × 60 s", linear(10), 60.0)
QUICK = Plan("5 × 10 s", linear(5), 10.0)
CANARY = Plan("canary 2 × 300 s", (0.1, 1.0), 300.0)


@dataclass(frozen=True)
class Log:
    """The function's log: how late it shows a failing call, in seconds, from the least to the most.

    `recognised` is the share of failing calls whose lines can be told from others. With `noise` the
    new version prints what looks like a failing call once a minute. `fault` is one of every
    reading (`world/faults.py`).
    """

    name: str = "5 to 15 s"
    delay: tuple[float, float] = (5.0, 15.0)
    recognised: float = 1.0
    noise: bool = False
    fault: str = ""


PROMPT = Log()
SLOW = Log("20 to 40 s", (20.0, 40.0))
HALF = Log("half of the calls", recognised=0.5)
SILENT = Log("silent", recognised=0.0)
DENIED = Log("denied", fault="denied")
THROTTLED = Log("throttled", fault="throttled")
NOISY = Log("noisy", noise=True)


@dataclass(frozen=True)
class Cell:
    """Error rates of both versions, calls a second, and the seconds after a minute's end until it
    is published.

    `outage` is a weight of the plan: soon after the shift to it, both versions fail for a while
    (trial.py). 0 is none.
    """

    original: float
    new: float
    rate: float = 10.0
    delay: float = 60.0
    plan: Plan = MINUTES
    log: Log = PROMPT
    outage: float = 0.0

    @property
    def healthy(self) -> bool:
        """Whether the new version fails no more often than the original one."""
        return self.new <= self.original

    @property
    def errors(self) -> str:
        return f"{100 * self.original:g} → {100 * self.new:g} %"

    @property
    def name(self) -> str:
        name = f"{self.errors}, {self.rate:g}/s, {self.plan.name}, delay {self.delay:g} s"
        if self.log != PROMPT:
            name += f", log {self.log.name}"
        if self.outage:
            name += f", outage at {self.outage:g}"
        return name


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

#: Whose log is of no use.
USELESS = tuple(Cell(0, 0.05, log=log) for log in (SILENT, DENIED, THROTTLED))

#: Bad ones, by what their log is like.
LOGS = (
    MAIN,
    Cell(0, 0.05, log=SLOW),
    Cell(0, 0.05, log=HALF),
    *USELESS,
    Cell(0, 0.05, delay=180, log=SLOW),
    Cell(0, 1, plan=QUICK, log=SLOW),
)

#: Healthy ones that look bad in their log.
NOISES = (
    Cell(0, 0, log=NOISY),
    Cell(0, 0, delay=180, log=NOISY),
    Cell(0, 0, plan=QUICK, log=NOISY),
)

#: What fails on both versions at once.
OUTAGES = (
    Cell(0.01, 0.01, outage=0.1),
    Cell(0.01, 0.01, outage=0.5),
    Cell(0.01, 0.01, rate=100, outage=0.1),
    Cell(0.01, 0.01, rate=100, outage=0.2),
)

#: Both versions fail often, so a trial reads many lines of the log: they get one trial where others
#: get FEWER.
HEAVY = (
    Cell(0.001, 0.001, rate=1000),
    Cell(0.01, 0.01, rate=1000, delay=0),
    Cell(0.01, 0.01, rate=100, plan=CANARY),
    Cell(0.1, 0.1),
    Cell(0.1, 0.1, rate=100),
    Cell(0.1, 0.2),
    Cell(0.1, 0.2, rate=100, plan=CANARY),
    *OUTAGES[2:],
)
FEWER = 6

CELLS = tuple(dict.fromkeys((*HEALTHY, *BAD, *LOGS, *NOISES, *OUTAGES)))
