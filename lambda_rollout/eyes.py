"""Reads AWS: the alias, the deployer's log, and the metrics. Writes nothing; ends a watch only
where all is in vain."""

import re
from dataclasses import replace
from typing import Any

from botocore.config import Config
from botocore.exceptions import ClientError

from deployer import aws
from deployer.decisions.checks.check import Versions
from deployer.decisions.health import OFF
from deployer.decisions.ownership import Snapshot
from deployer.decisions.target import Target
from deployer.metrics import Metrics, NotSeen
from lambda_rollout import lines, remedies, state
from lambda_rollout.lines import Line
from lambda_rollout.logbook import Logbook
from lambda_rollout.reach import ALIAS, LOG, METRICS
from lambda_rollout.remedies import CannotSee, NotSent
from lambda_rollout.state import State

#: How often the metrics are read, in seconds: CloudWatch publishes by the minute, and wants money
#: for each.
METRICS_EVERY = 15.0
#: How far back the log is read at first.
LOG_BACK = 6 * 3600.0
#: How late a line may come to be published.
LOG_LATE = 60.0
#: How far back calls are counted for a rollout whose beginning is not known.
UNKNOWN_START = 900.0
#: For how long the line is waited for that tells it, from the first sight of the rollout: the log
#: may be late.
START_PATIENCE = 60.0

#: In AWS's words; it was right before.
_ADDRESS = re.compile(r': "https?://[^"]*"')
#: A look comes again soon: better to say that AWS does not answer than to wait for it.
_RETRIES: Any = {"mode": "standard", "total_max_attempts": 2}
_CONFIG = Config(connect_timeout=3, read_timeout=10, retries=_RETRIES)
_ONCE = Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 1})
#: A dry run waits for a version that is not active yet, as long as an invocation may last.
_PATIENT = Config(
    connect_timeout=5, read_timeout=905, retries={"total_max_attempts": 2}, tcp_keepalive=True
)
_QUICK = Config(connect_timeout=1, read_timeout=1, retries={"total_max_attempts": 1})


class Clients:
    """AWS's clients; tests pass fakes of the same names."""

    def __init__(self, make: Any) -> None:
        """`make` is boto3's `client`. Raises `NoRegionError`, `ProfileNotFound`."""
        self.lambda_ = make("lambda", config=_CONFIG)
        self.cloudwatch = make("cloudwatch", config=_CONFIG)
        self.logs = make("logs", config=_CONFIG)
        self.cloudformation = make("cloudformation", config=_CONFIG)
        self.once = make("lambda", config=_ONCE)  # an Invoke that is sent twice starts two rollouts
        self.patient = make("lambda", config=_PATIENT)  # for what may be sent twice
        self.sts = make("sts", config=_QUICK)
        self.region = str(self.lambda_.meta.region_name)


class Eyes:
    """On one alias; `stack` is the deployer's."""

    def __init__(self, clients: Any, function: str, alias: str, stack: str) -> None:
        self._clients = clients
        self._function = function
        self._alias = alias
        self.logbook = Logbook(clients, stack)
        self._heard_until = 0.0
        self._heard: set[str] = set()  # ids of events: a line that was late makes others come twice
        self._ever_heard: set[str] = set()
        self._oldest: float | None = None  # when the oldest of those was written that came last
        self._counted = 0.0
        self._sighted = 0.0  # when a rollout was first seen
        self._began = 0.0  # when AWS was first asked
        self._cut_off = False  # whether AWS gave no answer at all: then nothing more is asked for

    def alias(self) -> Snapshot:
        """Raises the API's own error."""
        answer = self._clients.lambda_.get_alias(FunctionName=self._function, Name=self._alias)
        return Snapshot(answer)

    def must_see(self) -> Snapshot:
        """Before anything is sent: raises `NotSent` where the alias cannot be read."""
        try:
            return self.alias()
        except aws.CallFailed as error:
            raise NotSent(self.why_unread(error)) from error

    def why_unread(self, error: Exception) -> str:
        """Why the alias cannot be read, and the remedy."""
        doing = remedies.reading_alias(self._function, self._alias, self._clients.region)
        return remedies.sentence(error, doing)

    def look(self, known: State, now: float) -> State:
        """Everything once more. Raises `CannotSee`."""
        before = known
        self._began = self._began or now
        known = self._see(known, now)
        if known.rollout != before.rollout:
            self._hear_again()
        if not self._cut_off:
            known = self._hear(known, now)
        known = state.conclude(known, now)
        if known.end:  # what is shown shall be where the alias has ended
            known = self._see_end(known, now)
        # The table shall not lag behind the words, nor its numbers behind its heading.
        moved = known.since != before.since
        news = known.end or known.verdict != before.verdict or moved
        due = news or now - self._counted >= METRICS_EVERY
        if due and self._countable(known, now) and not self._cut_off:
            known = self._count(known, now)
        return known

    def _countable(self, known: State, now: float) -> bool:
        """Whether it is known since when calls are its own; or will not be."""
        if not known.new:
            return False
        self._sighted = self._sighted or now
        waited = now - self._sighted >= START_PATIENCE
        return known.began or known.plan is not None or bool(known.deaf) or waited

    def lines(self, since: float, rollout: str = "", request: str = "") -> list[Line]:
        """What the log says of the alias from then on, and was not told before. Raises the API's
        own error."""
        wanted = lines.pattern(self._function, self._alias, rollout, request)
        found = self.logbook.events(wanted, since)
        new = [event for event in found if event["eventId"] not in self._heard]
        self._heard |= {event["eventId"] for event in new}
        first = [event for event in new if event["eventId"] not in self._ever_heard]
        self._ever_heard |= self._heard
        self._oldest = min((event["timestamp"] / 1000 for event in first), default=None)
        return lines.read(new)

    def _see(self, known: State, now: float) -> State:
        try:
            found = self.alias()
        except aws.CallFailed as error:
            if aws.code(error) == "ResourceNotFoundException" and known.where:
                return state.see(known, None, now)
            # Not to know whether a rollout runs is not to know that none does.
            unknown = not known.where and not known.plan and now >= known.give_up
            answered = known.reach.answers.get(ALIAS, self._began)
            if unknown or remedies.hopeless(error) or now - answered > state.UNREACHABLE:
                raise CannotSee(self.why_unread(error)) from error
            self._cut_off = not isinstance(error, ClientError)
            return _missed(known, ALIAS, error, now)
        self._cut_off = False
        known = replace(known, reach=known.reach.answered(ALIAS, now))
        return state.see(known, found, now)

    def _see_end(self, known: State, now: float) -> State:
        """The alias was read before the log, and may have been moved between."""
        try:
            return state.see(known, self.alias(), now)
        except aws.CallFailed:  # then the ending's own word counts
            return replace(known, version=None)

    def _hear(self, known: State, now: float) -> State:
        if known.plan:
            since = known.since - LOG_LATE
            request = known.plan.request
        else:
            since = known.since - LOG_BACK
            request = ""
        since = max(since, self._heard_until - LOG_LATE)
        try:
            told = self.lines(since, known.rollout, request)
        except aws.CallFailed as error:
            if remedies.hopeless(error):
                return replace(known, deaf=self.logbook.why_not(error))
            return _missed(known, LOG, error, now)
        self._heard_until = now
        pulse = known.pulse.listen(known.reach.answers.get(LOG), self._oldest)
        known = replace(known, deaf="", reach=known.reach.answered(LOG, now), pulse=pulse)
        heard = state.hear(known, told)
        if heard.rollout != known.rollout:  # lines that name only the rollout were not asked for
            self._hear_again()
        return heard

    def _hear_again(self) -> None:
        self._heard.clear()
        self._heard_until = 0.0

    def _count(self, known: State, now: float) -> State:
        self._counted = now
        metrics = Metrics(
            self._clients.cloudwatch,
            Target(self._function, self._alias),
            Versions(known.original, known.new),
            OFF,
        )
        try:
            look = metrics.look(known.since, now)
        except NotSeen as unseen:
            return replace(known, blind=str(unseen))
        except aws.CallFailed as error:
            if not remedies.hopeless(error):
                return _missed(known, METRICS, error, now)
            allow = "allow cloudwatch:GetMetricData. " if aws.denied(error) else ""
            return replace(known, blind=f"{allow}AWS says {aws.words(error)}")
        known = replace(known, reach=known.reach.answered(METRICS, now))
        return state.count(known, look)


def _missed(known: State, what: str, error: Exception, now: float) -> State:
    """AWS gave no answer this time, and may give one next time."""
    why = _ADDRESS.sub("", aws.words(error)).rstrip(".")
    throttled = any(code in why for code in ("Throttl", "TooManyRequests", "RequestLimit"))
    return replace(known, reach=known.reach.missed(what, why, now, throttled))
