"""The only writer of the alias. Every write carries the `RevisionId` last seen, the routing, and
the description: with the stamp while it is split or suspended, without it at the end.

It reads, writes and retries; whose the alias is it asks `ownership.judge`, before it writes. A
write whose answer is lost, or that somebody else's write came before (412), is settled by reading
the alias back. It never takes the alias from anybody: what is somebody else's is left, and only
what is ours is taken out.
"""

import shlex
from contextlib import suppress
from dataclasses import replace
from itertools import count

from deployer import aws
from deployer.decisions import errors, ownership, stamp
from deployer.decisions.ending import PromotedByHand
from deployer.decisions.ownership import Finding, Hold, Snapshot, Want, Whose
from deployer.decisions.rollout import Rollout
from deployer.decisions.stamp import Stamp

#: Seconds for which a shift or a finalize is tried again before the rollout turns back.
PATIENCE = 30.0

#: Seconds after which an answer is too old to say where the alias is now.
FRESH = 5.0

_CHANGED = "Somebody else moved the alias during the rollout, so it was left to them."
_DELETED = "Somebody deleted the alias."


class Alias:
    """One rollout's hold on the alias, from its original version to the new one, or back."""

    def __init__(
        self, means: aws.Means, rollout: Rollout, rollout_id: str, seen: Snapshot | None = None
    ) -> None:
        """Reads the alias, unless it was `seen`; raises the API's own error."""
        self._client = means.lambda_
        self._clock = means.clock
        self._target = rollout.target
        self._stamp: Stamp | None = None  # of the last shift
        self.seen = seen or self._read()
        self._seen_at = self._clock.time()
        self._unsure = False  # the fate of the last write is not known
        self._answered = True  # AWS answered the last write, and did as it was asked
        self._shift_may_have_landed = False
        self.took_out = False  # what was ours, of an alias that somebody else had moved
        self._may_have_landed = False  # a write, whose answer was lost
        self.words = self.seen.words
        self.hold = Hold(
            rollout_id, self.seen.version, rollout.new_version, revision=self.seen.revision
        )

    # Where it stands.

    @property
    def has_sent_a_shift(self) -> bool:
        """Whether a shift was sent: it may take effect later, even if AWS has not answered."""
        return bool(self.hold.weights)

    @property
    def may_have_shifted(self) -> bool:
        """Whether a shift of ours has taken effect, or its answer was lost."""
        return self.hold.shifted or self._shift_may_have_landed

    @property
    def stamped(self) -> bool:
        """Whether our stamp stood on the alias when it was last seen."""
        return self.judged(Want({})).our_stamp

    @property
    def may_be_by_us(self) -> bool:
        """Whether it may be a write of ours that put the alias where it is: the last one was
        answered, or one's answer was lost."""
        return self._answered or self._may_have_landed

    @property
    def told(self) -> str:
        """One sentence: where the alias is, as it was last told."""
        return f"{self._target} {self.seen.state}."

    def where(self) -> str:
        """The same, read again unless it has just been told; or that it could not be read."""
        if self._unsure or self._clock.time() - self._seen_at > FRESH:
            try:
                self.read_again()
            except aws.CallFailed as error:
                return (
                    f"{self._target} could not be read ({aws.code(error)}); "
                    f"when last seen it {self.seen.state}."
                )
        return self.told

    def judged(self, want: Want) -> Finding:
        """Whose the alias is, as it was last seen."""
        return ownership.judge(self.hold, want, self.seen, self._clock.now())

    def read_again(self) -> None:
        """Raises the API's own error."""
        found = self._read()
        if found.revision not in self.hold.superseded:
            self._take(found)

    def catch_up(self, found: Snapshot) -> None:
        """Somebody who worked beside us has seen the alias like that."""
        self._take(found)

    # The verbs.

    def resume(self, hold: Hold, words: str) -> None:
        """Go on where an earlier invocation was, or where a deployer died; `words` are the
        user's own."""
        self.hold = replace(hold, revision=self.seen.revision)
        self.words = words
        self._stamp = self.seen.stamp
        self._take(self.seen)
        self._unsure = True

    def shift(self, mark: Stamp, spare: float) -> None:
        """UpdateWeight, to the weight that the stamp tells, within `spare` seconds.

        Raises `InvalidRollout` when AWS refuses the first one.
        """
        before = self.hold
        self._stamp = mark
        self.hold = before.sending(mark.weight)
        want = Want({before.new_version: mark.weight}, stamp=mark)
        try:
            self._bring(want, min(PATIENCE, spare))
        except _Refused as refused:
            self._shift_may_have_landed = self._may_have_landed
            self._may_have_landed = False
            if refused.unsent:
                self.hold = replace(self.hold, weights=before.weights)
            if not self.has_sent_a_shift:
                raise errors.InvalidRollout(
                    f"AWS refuses to split the alias: {refused.why}"
                ) from refused
            raise errors.RolloutInterrupted(
                f"The alias could not be shifted to {mark.weight:g}: {refused.why}"
            ) from refused
        self._may_have_landed = False
        self.hold = self.hold.took_effect(self.seen.routing[before.new_version])

    def suspend(self, mark: Stamp, spare: float) -> bool:
        """Every call to the original version, under a stamp that says `suspended`, within `spare`
        seconds; the next shift ends it. False where AWS did not take it, and nothing has changed.
        """
        before = self._stamp
        self._stamp = mark
        try:
            self._bring(Want({}, stamp=mark), min(PATIENCE, spare))
        except _Refused as refused:
            if not self._may_have_landed:
                self._stamp = before
                return False
            raise errors.RolloutInterrupted(
                f"Whether the rollout is suspended is not known: {refused.why}"
            ) from refused
        self.hold = replace(self.hold, suspended=self.seen.revision)
        return True

    def finalize(self, spare: float) -> None:
        """Put the alias on the new version alone, with the user's own description, within
        `spare` seconds."""
        try:
            self._bring(Want({}, version=self.hold.new_version), min(PATIENCE, spare))
        except _Refused as refused:
            raise errors.RolloutInterrupted(
                f"The alias could not be put on the new version: {refused.why}"
            ) from refused

    def give_back(self, spare: float) -> None:
        """Put the alias on the original version alone, with the user's own description, within
        `spare` seconds: the end of a rehearsal."""
        words = self.words
        try:
            self._bring(Want({}), min(PATIENCE, spare))
        except _Refused as refused:
            raise errors.RolloutInterrupted(
                f"The alias could not be given back to the original version: {refused.why}"
            ) from refused
        # It may stand there by a task that died. Somebody who takes it back leaves our stamp, or
        # writes words of one's own.
        if not self.may_be_by_us and self.seen.words != words:
            raise errors.AliasChanged(_CHANGED)

    def roll_back(self, patience: float | None = None) -> bool:
        """Rollback: give the alias back to the original version; False when it was never taken from
        it.

        After a shift whose fate is unknown it writes in any case: the new `RevisionId` keeps a
        request that is still on its way from splitting the alias later. It keeps trying for so many
        seconds of `patience`, or for as long as the invocation lasts.
        """
        if not self.has_sent_a_shift:
            return False
        if patience is None:
            patience = self._clock.left() - aws.LAST_WORDS
        try:
            self._bring(Want({}, rolling_back=True), patience)
        except _Refused as refused:
            raise errors.RollbackFailed(
                f"The alias could not be rolled back: {refused.why} Run: {self._command()}"
            ) from refused
        return True

    def confirm(self, older_than: float = 0.0) -> None:
        """See that the alias is still ours, if it was last seen so many seconds ago. Raises
        `PromotedByHand`, `AliasChanged`, or the API's own error."""
        if self._clock.time() - self._seen_at < older_than:
            return
        want = Want(self.seen.routing, stamp=self._stamp)
        # A suspension is known by its revision, which a probe would change.
        self._check(want, probe=not self.hold.suspended)
        if self._stamp and self.seen.stamp is None:  # somebody replaced the whole description
            self._update(want)

    def _takes_our_write(self, want: Want) -> bool:
        """Write what we take for what stands there, under the revision that we know: whether AWS
        takes it.

        Reads may lag behind by more than we can know of; a write under an old revision is refused.
        """
        try:
            self._update(want)
        except aws.CallFailed:
            return False
        return True

    def take_out(self, stamped_only: bool = False) -> None:
        """Take our weight and our stamp out of what the alias is now, if AWS lets us.

        With `stamped_only` a weight without our stamp is left: we have yielded before.
        """
        for attempt in range(4):
            finding = self.judged(Want({}))
            our_weight = finding.our_weight and (finding.our_stamp or not stamped_only)
            if not (finding.our_stamp or our_weight):
                return
            stamped_only = stamped_only or not our_weight
            try:
                self._update(Want({} if our_weight else self.seen.routing))
                self.took_out = True
                return
            except aws.CallFailed as error:
                self.took_out = self.took_out or aws.may_have_been_done(error)
                self._clock.pause(attempt)
                with suppress(*aws.CallFailed):
                    self.read_again()

    # Reading, writing, retrying.

    def _bring(self, want: Want, patience: float) -> None:
        """Write until the alias holds what we want, or patience ends. Raises `_Refused`, or as
        `_check` does.

        A refusal is final, except that a rollback tries on: permissions may come back, a split
        would stay.
        """
        give_up = self._clock.time() + patience
        unsent = True
        self._leave_unless_ours(want, self._judge(want, self.seen))
        for attempt in count():
            before = self.seen.revision
            began = self._clock.time()
            try:
                self._update(want)
                return
            except aws.CallFailed as error:
                refused = aws.refused(error)
                unsent = unsent and refused
                self._may_have_landed = self._may_have_landed or aws.may_have_been_done(error)
                with suppress(*aws.CallFailed):  # not read: write again
                    finding = self._check(want)
                    if finding.whose is Whose.AS_WANTED and self.seen.revision != before:
                        return
                # What is left must do for one more try as slow as this one, and for telling where
                # the alias is.
                took = self._clock.time() - began
                slow = self._clock.left() < 2 * took + aws.LAST_WORDS
                final = refused and not want.rolling_back
                if slow or final or self._clock.time() >= give_up:
                    raise _Refused(aws.words(error), unsent) from error
            self._clock.pause(attempt)

    def _check(self, want: Want, probe: bool = False) -> Finding:
        """Read the alias: it is as we want it, or still ours, or the answer is STALE and says
        nothing. Otherwise leave it to whoever moved it, and raise.

        With `probe` it is first tried whether AWS takes a write of ours all the same: then the
        answer was an old one.
        """
        try:
            found = self._read()
        except aws.CallFailed as error:
            if aws.code(error) != "ResourceNotFoundException":
                raise
            self._unsure = True
            found = None
        finding = self._judge(want, found)
        if finding.whose is Whose.STALE:
            return finding
        if found is None:
            raise errors.AliasChanged(_DELETED)
        ours = finding.whose in (Whose.AS_WANTED, Whose.OURS)
        if not ours and probe and self._takes_our_write(want):
            return Finding(Whose.STALE)
        self._take(found)
        self._leave_unless_ours(want, finding)
        return finding

    def _leave_unless_ours(self, want: Want, finding: Finding) -> None:
        """Where somebody else has the alias: take out what is ours, and raise."""
        match finding.whose:
            case Whose.AS_WANTED | Whose.OURS:
                return
            case Whose.BUSY | Whose.ABANDONED:
                raise errors.AliasBusy(self.seen.busy)
        self.take_out()
        if Whose.PROMOTED in (finding.whose, self.judged(want).whose):
            raise PromotedByHand
        raise errors.AliasChanged(_CHANGED)

    def _judge(self, want: Want, found: Snapshot | None) -> Finding:
        provisioned = False
        if found is not None and ownership.may_be_provisioned(self.hold, found):
            provisioned = self._provisioned()
        return ownership.judge(self.hold, want, found, self._clock.now(), provisioned)

    def _provisioned(self) -> bool:
        """Whether the alias has provisioned concurrency: it moves with it, and takes its time."""
        try:
            self._client.get_provisioned_concurrency_config(
                FunctionName=self._target.function, Qualifier=self._target.alias
            )
        except aws.CallFailed as error:
            if aws.code(error) == "ProvisionedConcurrencyConfigNotFoundException":
                return False
            raise
        return True

    def _update(self, want: Want) -> None:
        request = {
            "FunctionName": self._target.function,
            "Name": self._target.alias,
            "RevisionId": self.seen.revision,
            "Description": stamp.write(self.words, want.stamp),
            "RoutingConfig": {"AdditionalVersionWeights": want.routing},
        }
        if want.version:
            request["FunctionVersion"] = want.version
        self._unsure = True
        self._answered = False
        answer = self._client.update_alias(**request)
        self._answered = True
        self._may_have_landed = False
        self._take(Snapshot(answer))

    def _read(self) -> Snapshot:
        return Snapshot(
            self._client.get_alias(FunctionName=self._target.function, Name=self._target.alias)
        )

    def _take(self, found: Snapshot) -> None:
        """Take what was answered for what is."""
        self.seen = found
        self._seen_at = self._clock.time()
        self._unsure = False
        self.hold = self.hold.saw(found.revision)
        if found.words != stamp.read(stamp.write(self.words, found.stamp))[0]:
            self.words = found.words  # somebody edited them while the stamp stood: keep theirs

    def _command(self) -> str:
        """What a human runs to do what we could not."""
        return f"{self._target.unsplit()} --description {shlex.quote(self.words)}"


class _Refused(Exception):
    """When a write did not come about: why; `unsent` says that it surely has no effect, now or
    later."""

    def __init__(self, why: str, unsent: bool) -> None:
        super().__init__(why)
        self.why = why
        self.unsent = unsent
