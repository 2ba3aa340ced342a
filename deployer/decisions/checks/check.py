"""What a check of the new version says of itself; each of the files beside this is one."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple, Self

from deployer.decisions.evidence import Evidence
from deployer.decisions.payload import Keys
from deployer.decisions.target import Target

#: Whether it has failed, and what it saw, in words.
Said = tuple[bool, str]


class Versions(NamedTuple):
    """The alias's own version before the rollout, and the one that it is moved to."""

    original: str
    new: str


class Subject(NamedTuple):
    """What a payload's checks are about."""

    target: Target
    new_version: str
    weights: tuple[float, ...]


class Query(NamedTuple):
    """A metric that CloudWatch is asked for in every look."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    stat: str


class Check:
    """One way in which the new version is judged. KEYS, SCHEMA and `read` are every check's own;
    the rest only of those that need it."""

    #: Its keys in the payload's `health-check`, the one that asks for it first; and their JSON
    #: Schema, in JSON.
    KEYS: Keys
    SCHEMA: str

    #: The alarms that must be read for it; their states go into `Evidence.alarms`.
    alarms: tuple[str, ...] = ()

    #: How long it may take before the first shift, in seconds; and for how long it may hold a step
    #: beyond its interval, None where it holds none.
    before: float = 0.0
    hold: float | None = None

    @property
    def queries(self) -> Mapping[str, Query]:
        """What must be read for it: the highest value goes into `Evidence.highest`, by the same
        name. Names are ids of CloudWatch, and none is another check's."""
        return {}

    @property
    def listens(self) -> bool:
        """Whether failed calls that only the log shows may have the rollout suspended."""
        return False

    @property
    def compares(self) -> bool:
        """Whether those of the original version speak against that."""
        return False

    @classmethod
    def read(cls, given: Mapping[str, Any], subject: Subject) -> Self | None:
        """From what KEYS read; None where the payload does not ask for it. Raises
        `InvalidRollout`."""
        raise NotImplementedError

    def judge(self, seen: Evidence, versions: Versions) -> Iterable[Said]:
        return ()

    def numbers(self, seen: Evidence) -> dict[str, Any]:
        """What is behind that, for the log's line alone."""
        return {}

    def undecided(self, seen: Evidence) -> bool:
        """Whether published calls wait for the rest of their minute to be judged."""
        return False

    def lacks(self, seen: Evidence) -> str:
        """Why a step must be held, in words without an end; empty where it need not."""
        return ""

    def fails_on(self, versions: Versions) -> Iterable[str]:
        """For the plan: what would roll the rollout back."""
        return ()

    def warns(self, seen: Evidence) -> Iterable[str]:
        """After the first look, which comes before the first shift."""
        return ()

    def unjudged(self, seen: Evidence) -> Iterable[str]:
        """At the end: what could not be judged."""
        return ()
