"""The only writer of the alias. Every write carries the `RevisionId` last seen, the routing and the stamp.

A write whose answer is lost, or that somebody else's write came before (412), is settled by reading
the alias back: it holds what we meant; or it is still ours, and we write again; or somebody else moved
it, and then we take out what is ours and leave the rest. It never takes the alias from anybody.
"""

import shlex
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from itertools import count
from typing import Any, NoReturn

from deployer import aws, stamp
from deployer.claim import Claim, PromotedByHand, Want
from deployer.errors import AliasBusy, AliasChanged, InvalidRollout, RollbackFailed, RolloutInterrupted
from deployer.rollout import Rollout
from deployer.snapshot import Snapshot
from deployer.stamp import Stamp

#: Seconds for which a shift or a finalize is tried again before the rollout turns back.
PATIENCE = 30.0


class Alias:
    """One rollout's hold on the alias, from its original version to the new one, or back."""

    def __init__(self, means: aws.Means, rollout: Rollout, rollout_id: str, seen: Snapshot | None = None) -> None:
        """Reads the alias, unless it was `seen`; raises the API's own error."""
        self._client, self._clock = means.lambda_, means.clock
        self._name = {"FunctionName": rollout.function_name, "Name": rollout.alias_name}
        self.seen = seen or self._read()
        self.words = self.seen.words
        self._claim = Claim(rollout_id, self.seen.version, rollout.new_version)
        self._weights = rollout.weights
        self._stamp: Stamp | None = None  # of the last shift
        self._superseded: set[str] = set()  # revisions that were replaced: an answer that shows one is stale
        self._sent = False  # a shift was sent and may have taken effect
        self._unsure = False  # the fate of the last write is not known

    def resume(self, original: str, words: str, step: int, maybe_sent: bool) -> None:
        """Go on after `step` shifts of an earlier invocation; with `maybe_sent` the next one may have taken effect."""
        weights = self._weights[max(0, step - 1) : step + maybe_sent]
        self._claim = replace(self._claim, original=original, weights=weights, held=step > 0)
        self.words, self._stamp = words, self.seen.stamp
        self._sent, self._unsure = step > 0 or maybe_sent, True

    def shift(self, step: int, until: datetime) -> None:
        """UpdateWeight, to the weight of that step, from 1. Raises `InvalidRollout` when AWS refuses the first one."""
        weight = self._weights[step - 1]
        self._claim = claim = replace(self._claim, weights=(*self._claim.weights, weight))
        self._stamp = Stamp(claim.rollout_id, claim.new_version, weight, step, len(self._weights), until)
        self._bring(Want({claim.new_version: weight}, stamp=self._stamp), f"shifted to {weight:g}")
        self._claim = replace(claim, held=True, weights=(weight,))

    def finalize(self) -> None:
        """Put the alias on the new version alone, with the user's own description."""
        self._bring(Want(version=self._claim.new_version), "put on the new version")

    def undo_abandoned(self) -> None:
        """Roll back the split that preflight found abandoned."""
        self._bring(Want(), "taken back from an abandoned rollout")

    def _bring(self, want: Want, what: str) -> None:
        try:
            self._write(want, min(PATIENCE, self._clock.spare()))
        except aws.CallFailed as error:
            if want.stamp and not self._sent:
                raise InvalidRollout(f"AWS refuses to split the alias: {aws.words(error)}") from error
            raise RolloutInterrupted(f"The alias could not be {what}: {aws.words(error)}") from error

    def roll_back(self) -> bool:
        """Give the alias back to the original version; False when it was never taken from it.

        After a shift whose fate is unknown it writes in any case: the new `RevisionId` keeps a request
        that is still on its way from splitting the alias later.
        """
        if not self._sent:
            return False
        try:
            self._write(Want(rolling_back=True), self._clock.left() - aws.CALL_SECONDS)
        except aws.CallFailed as error:
            target = f"--function-name {self._name['FunctionName']} --name {self._name['Name']}"
            original = f"--routing-config AdditionalVersionWeights={{}} --description {shlex.quote(self.words)}"
            command = f"aws lambda update-alias {target} {original}"
            raise RollbackFailed(f"The alias could not be rolled back: {aws.words(error)} Run: {command}") from error
        return True

    def confirm(self) -> None:
        """See that the alias is still ours. Raises `PromotedByHand`, `AliasChanged`, or the API's own error."""
        want = Want(self.seen.routing, stamp=self._stamp)
        self._check(want)
        if self._stamp and self.seen.stamp is None:  # somebody replaced the whole description
            self._update(want)

    def where(self) -> str:
        """One sentence: where the alias is now, or that it could not be read."""
        who = f"Alias '{self._name['Name']}' of '{self._name['FunctionName']}'"
        if self._unsure:
            try:
                self._take(self._read())
            except aws.CallFailed as error:
                return f"{who} could not be read ({aws.code(error)}); when last seen it {self.seen.state}."
        return f"{who} {self.seen.state}."

    def _write(self, want: Want, patience: float) -> None:
        """Write until the alias holds what we want; raises the API's error after `patience` seconds.

        A refusal is final, except that a rollback tries on: permissions may come back, a split would stay.
        """
        give_up = self._clock.time() + patience
        for attempt in count():
            revision = self.seen.revision
            try:
                self._update(want)
                return
            except aws.CallFailed as error:
                failure = error
            with suppress(*aws.CallFailed):  # not read: write again
                self._check(want)
                if self.seen.revision != revision and self._claim.holds(self.seen, want):
                    return
            if (aws.refused(failure) and not want.rolling_back) or self._clock.time() >= give_up:
                raise failure
            self._clock.pause(attempt)

    def _update(self, want: Want) -> None:
        request: dict[str, Any] = {**self._name, "RevisionId": self.seen.revision}
        request["RoutingConfig"] = {"AdditionalVersionWeights": want.routing}
        request["Description"] = stamp.write(self.words, want.stamp)
        if want.version:
            request["FunctionVersion"] = want.version
        self._unsure = True
        try:
            answer = self._client.update_alias(**request)
        except aws.CallFailed as error:
            self._sent |= want.stamp is not None and not aws.refused(error)
            raise
        self._sent |= want.stamp is not None
        self._take(Snapshot(answer))

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
            if aws.code(error) == "ResourceNotFoundException":
                self._unsure = True
                raise AliasChanged("Somebody deleted the alias.") from error
            raise
        if found.revision in self._superseded:
            return
        self._take(found)
        if not self._claim.holds(found, want) and not self._claim.is_ours(found, want):
            self._yield()

    def _yield(self) -> NoReturn:
        """Somebody else moved the alias: take out our weight and our stamp, and leave the rest to them."""
        claim = self._claim
        if self.seen.routing and not claim.held and not claim.has_our_stamp(self.seen):
            raise AliasBusy(self.seen.busy())
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
        if claim.promoted(self.seen):
            raise PromotedByHand
        raise AliasChanged("Somebody else moved the alias during the rollout, so it was left to them.")
