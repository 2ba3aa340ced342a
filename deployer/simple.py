"""SimpleDeployFunction: the whole rollout in one invocation, sleeping between weights.

`Run.roll_out` is the loop. `deploy` sees to it that after the first shift every way out ends in
finalize or in a rollback, and that every error says where the alias is.
"""

import secrets
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from deployer import aws, errors, health, preflight
from deployer.alias import Alias
from deployer.claim import PromotedByHand
from deployer.clock import RESERVE, Clock
from deployer.errors import AliasBusy, AliasChanged, DeployError
from deployer.metrics import Metrics, NotSeen
from deployer.result import result
from deployer.rollout import Rollout
from deployer.snapshot import Snapshot

if TYPE_CHECKING:
    from mypy_boto3_cloudwatch import CloudWatchClient
    from mypy_boto3_lambda import LambdaClient

#: No weight lasts less than this part of its interval, however late it was set.
SHORTEST = 0.9

logger = Logger(service="SimpleDeployFunction", use_rfc3339=True)


@logger.inject_lambda_context(clear_state=True)
def handler(event: Any, context: LambdaContext) -> dict[str, Any]:
    """Takes the payload; returns what `UpdateAlias` answered, and `rollout`; raises `DeployError`s."""
    clock = Clock(context.get_remaining_time_in_millis)
    clients = aws.lambda_client(), aws.cloudwatch_client()
    return deploy(event, context.invoked_function_arn, *clients, clock, secrets.token_hex(6))


def deploy(
    event: Any, here: str, lambda_: "LambdaClient", cloudwatch: "CloudWatchClient", clock: Clock, rollout_id: str
) -> dict[str, Any]:
    """Check, roll out, then finalize or roll back."""
    alias = None
    try:
        rollout = Rollout.from_event(event, here)
        logger.append_keys(rollout=rollout_id, function=rollout.function_name, alias=rollout.alias_name)
        alias = preflight.open_alias(lambda_, clock, rollout, rollout_id)
        names = rollout.function_name, rollout.alias_name, alias.original, rollout.new_version
        run = Run(rollout, rollout_id, alias, Metrics(cloudwatch, *names), clock)
        if alias.original == rollout.new_version:
            run.undo_abandoned()
            return run.result("ALREADY_DEPLOYED", alias.seen)
        preflight.check_version(lambda_, clock, rollout)
        run.check()
        try:
            run.roll_out()
            return run.result("SUCCEEDED", alias.finalize())
        except BaseException as error:
            return run.give_back(error)
    except DeployError as error:
        if alias:
            error.where = alias.where()
        logger.error(type(error).__name__, extra={"reason": error.reason, "where": error.where})
        raise


class Run:
    """One rollout under way: what it works with, and what it has seen."""

    def __init__(self, rollout: Rollout, rollout_id: str, alias: Alias, metrics: Metrics, clock: Clock) -> None:
        self.rollout, self.id, self.alias, self.metrics, self.clock = rollout, rollout_id, alias, metrics, clock
        self.every = health.looks_every(rollout.interval)
        self.started = self.last_shift = clock.now()
        self.looks = self.unseen = 0
        self.judged = False  # calls at the last weight were published, and looked at
        self.seen = health.Look({}, {})
        self.warnings: list[str] = []

    def check(self) -> None:
        """The last checks before the alias is touched."""
        self.rollout.must_fit(self.clock.spare(), RESERVE)
        if self.rollout.health_check:
            preflight.check_metrics(self.metrics, self.clock)
        self.undo_abandoned()

    def roll_out(self) -> None:
        """The loop: update the weight, wait and look, until fully weighted; then settle."""
        self.started, start = self.clock.now(), self.clock.monotonic()
        until = self.started + timedelta(seconds=self.clock.left())
        for step, weight in enumerate(self.rollout.weights, 1):
            self.alias.shift(step, until)
            self.last_shift, shifted = self.clock.now(), self.clock.monotonic()
            logger.info("SHIFTED", extra={"weight": weight, "step": step})
            interval = self.rollout.interval
            self.watch(until=max(start + step * interval, shifted + SHORTEST * interval))
        self.settle()

    def watch(self, until: float) -> None:
        """Wait and look until then, in monotonic seconds; the last look comes at the end."""
        good = 0
        while True:
            self.wait(min(self.every, until - self.clock.monotonic()))
            ended = self.clock.monotonic() >= until
            good += self.look(ended)
            if ended:
                break
        if not good and not self.look_again():
            raise errors.HealthCheckInconclusive(
                "No look of this step could be made, so the new version could not be judged."
            )

    def settle(self) -> None:
        """Look on until calls at the last weight are published, or a quick rollout would end unjudged."""
        check = self.rollout.health_check
        if check is None:
            self.warnings.append("The health check was switched off.")
            return
        give_up, good = self.clock.monotonic() + check.settle, True
        while not self.judged and self.clock.monotonic() < give_up:
            self.wait(min(self.every, give_up - self.clock.monotonic()))
            good = self.look(ended=False)
        if not good and not self.look_again():  # "no calls were published" would be a guess
            raise errors.HealthCheckInconclusive(
                "The last look could not be made, so the new version could not be judged."
            )
        if not self.judged:
            self.warnings.append(
                f"Not judged at full weight: CloudWatch published no calls of version {self.rollout.new_version} "
                f"since {self.last_shift:%H:%M:%S} UTC. Does anything call this alias?"
            )

    def wait(self, seconds: float) -> None:
        self.clock.sleep(min(seconds, self.clock.spare()))
        if self.clock.spare() <= 0:
            raise errors.RolloutInterrupted("Time ran out: only the reserve for a rollback was left.")

    def look(self, ended: bool) -> bool:
        """HealthCheck: False when the look could not be made; raises when it finds something wrong.

        `ended` says that it is the last look of a step.
        """
        try:
            self.alias.confirm()
            if self.rollout.health_check is None:
                return True
            now = self.clock.now()
            self.seen = self.metrics.look(self.started, now)
        except (NotSeen, *aws.CallFailed) as unseen:
            self.unseen += 1
            logger.warning("NOT_SEEN", extra={"reason": str(unseen)})
            return self.rollout.health_check is None
        self.looks += 1
        self.judged = health.covers(self.seen, self.last_shift, now)
        verdict = health.judge(self.seen, self.alias.original, self.rollout.new_version, ended)
        logger.info("LOOKED", extra={"verdict": verdict.status, "reason": verdict.reason})
        if verdict.status is health.Status.FAILED:
            raise errors.HealthCheckFailed(verdict.reason)
        return True

    def look_again(self) -> bool:
        """One more try, where a healthy version would be rolled back for one answer of AWS that got lost."""
        self.clock.pause(2)
        return self.look(ended=True)

    def undo_abandoned(self) -> None:
        if self.alias.seen.routing:
            self.alias.undo_abandoned()
            self.warnings.append("A rollout whose deployer had died had left the alias split: rolled back first.")

    def give_back(self, error: BaseException) -> dict[str, Any]:
        """Rollback, whatever the error was; the result, if the alias turns out to be on the new version."""
        if isinstance(error, AliasBusy | AliasChanged):
            raise error
        try:
            if isinstance(error, PromotedByHand):
                raise error
            if self.alias.roll_back():
                logger.warning("ROLLED_BACK", extra={"reason": str(getattr(error, "reason", error))})
        except PromotedByHand:
            if isinstance(error, errors.HealthCheckFailed | errors.HealthCheckInconclusive):
                raise error from None  # somebody wants it all the same: respected, and not called a success
            self.warnings.append("Promoted by hand, or by a request of ours whose answer was lost.")
            return self.result("SUCCEEDED", self.alias.seen)
        except DeployError as worse:
            worse.reason = f"{getattr(error, 'reason', error)} {worse.reason}"
            raise worse from error
        if isinstance(error, DeployError):
            raise error
        raise errors.RolloutInterrupted(f"Something unexpected happened: {type(error).__name__}: {error}.") from error

    def result(self, status: str, alias: Snapshot) -> dict[str, Any]:
        logger.info(status, extra={"warnings": self.warnings})
        checks = {"looks": self.looks, "unseen": self.unseen, "judged": self.judged}
        times, original = (self.started, self.clock.now()), self.alias.original
        return result(status, self.id, self.rollout, original, alias, self.seen, checks, times, self.warnings)
