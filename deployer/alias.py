"""The only writer of the alias. Every write carries the `RevisionId` last seen, the routing and the stamp.

A write whose answer is lost, or that somebody else's write came before (412), is settled by reading
the alias back: it holds what we meant; or it is still ours, and we write again; or somebody else moved
it, and then we take out what is ours and leave the rest. It never takes the alias from anybody.
"""

import shlex
from contextlib import suppress
from datetime import datetime
from itertools import count
from typing import NoReturn

from decisions import errors, stamp
from decisions.claim import Claim, PromotedByHand, Snapshot, Want
from decisions.rollout import Rollout
from deployer import aws

#: Seconds for which a shift or a finalize is tried again before the rollout turns back.
PATIENCE = 30.0


class Alias:
    """One rollout's hold on the alias, from its original version to the new one, or back."""

    def __init__(self, means: aws.Means, rollout: Rollout, rollout_id: str, seen: Snapshot | None = None) -> None:
        """Reads the alias, unless it was `seen`; raises the API's own error."""
        self._client, self._clock = means.lambda_, means.clock
        self._name = {"FunctionName": rollout.function_name, "Name": rollout.alias_name}
        self._who = f"Alias '{rollout.alias_name}' of '{rollout.function_name}'"
        self.seen = seen or self._read()
        self.words = self.seen.words
        self._claim = Claim(rollout_id, self.seen.version, rollout.new_version)
        self._weights = rollout.weights
        self._stamp: stamp.Stamp | None = None  # of the last shift
        self._superseded: set[str] = set()  # revisions that were replaced: an answer that shows one is stale
        self._sent = False  # a shift was sent and may have taken effect
        self._unsure = False  # the fate of the last write is not known
        self.marked = False  # what is ours could not be taken out of what is somebody else's now

    def resume(self, original: str, words: str, step: int, maybe_sent: bool) -> None:
        """Go on after `step` shifts of an earlier invocation; with `maybe_sent` the next one may have taken effect."""
        self._claim.original, self._claim.held = original, step > 0
        self._claim.weights = self._weights[max(0, step - 1) : step + maybe_sent]
        self.words, self._stamp = words, self.seen.stamp
        self._sent, self._unsure = step > 0 or maybe_sent, True

    def shift(self, step: int, until: datetime) -> None:
        """UpdateWeight, to the weight of that step, from 1. Raises `InvalidRollout` when AWS refuses the first one."""
        claim, weight = self._claim, self._weights[step - 1]
        claim.weights += (weight,)
        self._stamp = stamp.Stamp(claim.rollout_id, claim.new_version, weight, step, len(self._weights), until)
        self._bring(Want({claim.new_version: weight}, stamp=self._stamp), f"shifted to {weight:g}")
        claim.weights, claim.held, self._sent = (weight,), True, True

    def finalize(self) -> None:
        """Put the alias on the new version alone, with the user's own description."""
        self._bring(Want({}, version=self._claim.new_version), "put on the new version")

    def undo_abandoned(self) -> None:
        """Roll back the split that preflight found abandoned."""
        self._bring(Want({}), "taken back from an abandoned rollout")

    def roll_back(self) -> bool:
        """Give the alias back to the original version; False when it was never taken from it.

        After a shift whose fate is unknown it writes in any case: the new `RevisionId` keeps a request
        that is still on its way from splitting the alias later.
        """
        if self._sent:
            self._bring(Want({}, rolling_back=True), "rolled back")
        return self._sent

    def confirm(self) -> None:
        """See that the alias is still ours. Raises `PromotedByHand`, `AliasChanged`, or the API's own error."""
        want = Want(self.seen.routing, stamp=self._stamp)
        self._check(want)
        if self._stamp and self.seen.stamp is None:  # somebody replaced the whole description
            self._update(want)

    def where(self) -> str:
        """One sentence: where the alias is now, or that it could not be read."""
        if self._unsure:
            try:
                self._take(self._read())
            except aws.CallFailed as error:
                return f"{self._who} could not be read ({aws.code(error)}); when last seen it {self.seen.state}."
        return self.told

    @property
    def told(self) -> str:
        """The same as it was last told."""
        return f"{self._who} {self.seen.state}."

    def rescue(self, original: str, words: str) -> int:
        """Take hold of what a dead deployer of this rollout left; the step it had reached, 0 when nothing is there."""
        mark = self.seen.stamp
        if mark is None or not self._claim.has_our_stamp(self.seen):
            return 0
        self.resume(original, words, mark.step, maybe_sent=False)
        self._take(self.seen)
        if self.seen.version != original or (self.seen.routing and not self._claim.has_our_weight(self.seen)):
            self._yield()
        return mark.step

    def _bring(self, want: Want, what: str) -> None:
        """Write until the alias holds what we want, or patience ends; a rollback's lasts as long as the invocation.

        A refusal is final, except that a rollback tries on: permissions may come back, a split would stay.
        """
        patience = self._clock.left() - aws.CALL_SECONDS if want.rolling_back else min(PATIENCE, self._clock.spare())
        give_up = self._clock.time() + patience
        for attempt in count():
            revision, began = self.seen.revision, self._clock.time()
            try:
                self._update(want)
                return
            except aws.CallFailed as error:
                self._sent |= want.stamp is not None and not aws.refused(error)
                with suppress(*aws.CallFailed):  # not read: write again
                    self._check(want)
                    if self.seen.revision != revision and self._claim.holds(self.seen, want):
                        return
                # What is left must do for one more try as slow as this one, and for telling where the alias is.
                slow = self._clock.left() < 2 * (self._clock.time() - began) + aws.CALL_SECONDS
                if slow or (aws.refused(error) and not want.rolling_back) or self._clock.time() >= give_up:
                    raise self._failure(want, what, aws.words(error)) from error
            self._clock.pause(attempt)

    def _failure(self, want: Want, what: str, why: str) -> errors.DeployError:
        """What to raise when the alias could not be written."""
        failed = f"The alias could not be {what}: {why}"
        if want.rolling_back:
            target = f"--function-name {self._name['FunctionName']} --name {self._name['Name']}"
            original = f"--routing-config AdditionalVersionWeights={{}} --description {shlex.quote(self.words)}"
            return errors.RollbackFailed(f"{failed} Run: aws lambda update-alias {target} {original}")
        if want.stamp and not self._sent:
            return errors.InvalidRollout(f"AWS refuses to split the alias: {why}")
        return errors.RolloutInterrupted(failed)

    def _update(self, want: Want) -> None:
        request = {**self._name, "RevisionId": self.seen.revision, "Description": stamp.write(self.words, want.stamp)}
        if want.version:
            request["FunctionVersion"] = want.version
        routing = {"AdditionalVersionWeights": want.routing}
        self._unsure = True
        self._take(Snapshot(self._client.update_alias(**request, RoutingConfig=routing)))

    def _read(self) -> Snapshot:
        return Snapshot(self._client.get_alias(**self._name))

    def _take(self, found: Snapshot) -> None:
        """Take what was answered for what is."""
        if found.revision != self.seen.revision:
            self._superseded.add(self.seen.revision)
        self.seen, self._unsure = found, False
        if found.words != stamp.read(stamp.write(self.words, found.stamp))[0]:
            self.words = found.words  # somebody edited them while the stamp stood: keep theirs

    def _check(self, want: Want) -> None:
        """Read the alias: it is what we want, or still ours; otherwise yield to whoever moved it."""
        try:
            found = self._read()
        except aws.CallFailed as error:
            if aws.code(error) != "ResourceNotFoundException":
                raise
            self._unsure = True
            raise errors.AliasChanged("Somebody deleted the alias.") from error
        if found.revision in self._superseded:
            return
        touched = found.revision != self.seen.revision
        self._take(found)
        if touched and not self._claim.holds(found, want) and not self._claim.is_ours(found, want):
            self._yield()

    def _yield(self) -> NoReturn:
        """Somebody else moved the alias: take out our weight and our stamp, and leave the rest to them."""
        claim = self._claim
        if self.seen.routing and not claim.held and not claim.has_our_stamp(self.seen):
            raise errors.AliasBusy(self.seen.busy())
        for attempt in range(4):
            our_weight = claim.has_our_weight(self.seen)
            if not our_weight and not claim.has_our_stamp(self.seen):
                break
            try:
                self._update(Want({} if our_weight else self.seen.routing))
            except aws.CallFailed:
                self._clock.pause(attempt)
                with suppress(*aws.CallFailed):
                    self._take(self._read())
        self.marked = claim.has_our_weight(self.seen) or claim.has_our_stamp(self.seen)
        if self.seen.version == claim.new_version and not self.seen.routing:
            raise PromotedByHand
        raise errors.AliasChanged("Somebody else moved the alias during the rollout, so it was left to them.")
