"""Runs a definition in virtual time, and writes its history: a small interpreter.

tests/test_asl.py holds its histories to those of moto's interpreter, event by event. It knows
nothing of the deployer and of the world.
"""

import json
import random
import re
from collections.abc import Callable, Generator, Iterator
from typing import Any, ClassVar

from world.definition import Definition

#: An event of an execution's history, as `GetExecutionHistory` tells it.
Event = dict[str, Any]

#: The next state's name, "" where there is none; its input, as a value and as a text.
Entered = tuple[str, Any, str]

#: What AWS takes as an error, as a cause, and as a task's answer.
LONGEST_ERROR = 256
LONGEST_CAUSE = 32_768
MOST_BYTES = 256 * 1024

#: What no Retry and no Catch has any effect on, not even with `States.ALL`.
NEVER_CAUGHT = ("States.Runtime", "States.DataLimitExceeded")


class Failed(Exception):
    """A task has no answer, or the execution ends: an error's name and its cause, as the state
    machine knows them."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(error)
        self.error = error
        self.cause = cause


def function_error(error: Exception) -> Failed:
    """As Lambda tells what a function raised."""
    kind = type(error).__name__
    told = {"errorMessage": str(error), "errorType": kind, "requestId": "", "stackTrace": []}
    return Failed(kind, json.dumps(told))


class History:
    """An execution's events, and what they tell of it."""

    STATUSES: ClassVar = {
        "ExecutionSucceeded": "SUCCEEDED",
        "ExecutionFailed": "FAILED",
        "ExecutionAborted": "ABORTED",
        "ExecutionTimedOut": "TIMED_OUT",
    }

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.status = "RUNNING"

    def note(self, event: Event) -> None:
        self.events.append(event)
        self.status = self.STATUSES.get(event["type"], "RUNNING")

    @property
    def types(self) -> list[str]:
        return [event["type"] for event in self.events]

    @property
    def entered(self) -> list[str]:
        """Every state, in order."""
        return [
            event["stateEnteredEventDetails"]["name"]
            for event in self.events
            if "stateEnteredEventDetails" in event
        ]

    @property
    def output(self) -> Any:
        return json.loads(self._told("executionSucceeded", "output") or "null")

    @property
    def error(self) -> str:
        return self._told("executionFailed", "error")

    @property
    def cause(self) -> str:
        return self._told("executionFailed", "cause")

    def _told(self, what: str, key: str) -> str:
        """By its end; nothing where it did not end so."""
        last = self.events[-1].get(f"{what}EventDetails", {})
        return str(last.get(key, ""))

    @property
    def largest(self) -> int:
        """The largest input or output, in bytes."""
        return max(
            len(details[key].encode())
            for event in self.events
            for details in event.values()
            if isinstance(details, dict)
            for key in ("input", "output")
            if key in details
        )


class Execution:
    """One run through a definition.

    `invoke` is the function: it is given a task's payload, and what it raises is a function error,
    but for `Failed`, and for an assertion, which ends the test. Waits, and the pauses before
    retries, call `sleep`; the pauses are drawn from a seed. `time` tells seconds.
    """

    def __init__(
        self,
        definition: Definition,
        arn: str,
        invoke: Callable[[Any], Any],
        sleep: Callable[[float], None],
        time: Callable[[], float],
    ) -> None:
        self._definition = definition
        self._arn = arn
        self._invoke = invoke
        self._sleep = sleep
        self._time = time
        self._random = random.Random(1)
        self._told = 0

    def run(self, payload: Any) -> Iterator[Event]:
        """The history's events, each as it happens; the last one says how it ended."""
        yield self._event("ExecutionStarted", input=json.dumps(payload))
        name = self._definition.starts_at
        state = payload
        text = _compact(state)
        try:
            while name:
                name, state, text = yield from self._enter(name, state, text)
        except Failed as failed:
            assert len(failed.error) <= LONGEST_ERROR, failed.error
            assert len(failed.cause) <= LONGEST_CAUSE, failed.cause
            yield self._event("ExecutionFailed", error=failed.error, cause=failed.cause)
        else:
            yield self._event("ExecutionSucceeded", output=text)

    def _enter(self, name: str, state: Any, text: str) -> Generator[Event, None, Entered]:
        """Its events; what is entered next. `text` is the state's, which is long and often the
        same."""
        this = self._definition.states[name]
        kind = this["Type"]
        yield self._event(f"{kind}StateEntered", name=name, input=text)
        entered = self._told
        following = ""
        try:
            match kind:
                case "Task":
                    following, state = yield from self._task(this, state)
                    text = _compact(state)
                case "Wait":
                    self._sleep(_seconds(this["SecondsPath"], state))
                    following = this["Next"]
                case "Choice":
                    following = _chosen(this, state)
                case "Fail":
                    raise Failed(_text(this, "ErrorPath", state), _text(this, "CausePath", state))
        except _Runtime as broken:
            where = f"the state '{name}' (entered at the event id #{entered})"
            cause = f"An error occurred while executing {where}. {broken}"
            raise Failed("States.Runtime", cause) from None
        yield self._event(f"{kind}StateExited", name=name, output=text)
        return following, state, text

    def _task(self, this: dict[str, Any], state: Any) -> Generator[Event, None, tuple[str, Any]]:
        """Tried until it has an answer, as its Retry says; then what its Catch says."""
        payload = json.dumps(self._parameters(this["Parameters"], state))
        tries = [0] * len(this.get("Retry", ()))
        while True:
            yield self._event("LambdaFunctionScheduled", input=payload)
            yield self._event("LambdaFunctionStarted")
            try:
                answer = self._answer(this, payload)
            except Failed as failed:
                caught = failed
            else:
                yield self._event("LambdaFunctionSucceeded", output=answer)
                return this.get("Next", ""), json.loads(answer)
            yield self._failed(caught)
            pause = self._pause(this.get("Retry", ()), tries, caught.error)
            if pause is None:
                break
            self._sleep(pause)
        for catcher in this.get("Catch", ()):
            if _matches(catcher, caught.error):
                told = {"Error": caught.error, "Cause": caught.cause}
                place = catcher["ResultPath"].removeprefix("$").removeprefix(".")
                return catcher["Next"], {**state, place: told} if place else told
        raise caught

    def _parameters(self, parameters: dict[str, str], state: Any) -> dict[str, Any]:
        filled: dict[str, Any] = {}
        for key, value in parameters.items():
            if not key.endswith(".$"):
                filled[key] = value
            elif value == "$$.Execution.Id":
                filled[key.removesuffix(".$")] = self._arn
            else:
                filled[key.removesuffix(".$")] = _at(value, state)
        return filled

    def _answer(self, this: dict[str, Any], payload: str) -> str:
        begun = self._time()
        try:
            answer = json.dumps(self._invoke(json.loads(payload)))
        except (Failed, AssertionError):
            raise
        except Exception as error:
            raise function_error(error) from None
        if self._time() - begun > this["TimeoutSeconds"]:
            raise Failed("States.Timeout")
        if len(answer.encode()) > MOST_BYTES:
            raise Failed(
                "States.DataLimitExceeded",
                f"The state/task '{this['Resource']}' returned a result with a size exceeding "
                "the maximum number of bytes service limit.",
            )
        return answer

    def _pause(self, retriers: Any, tries: list[int], error: str) -> float | None:
        """Seconds until the next try; None where there is none. `tries` counts those that each
        retrier had."""
        for number, retrier in enumerate(retriers):
            if not _matches(retrier, error):
                continue
            done = tries[number]
            if done >= retrier["MaxAttempts"]:
                return None
            tries[number] += 1
            longest = retrier["IntervalSeconds"] * retrier["BackoffRate"] ** done
            return self._random.uniform(0, min(longest, retrier.get("MaxDelaySeconds", longest)))
        return None

    def _failed(self, failed: Failed) -> Event:
        if failed.error == "States.Timeout":
            return self._event("LambdaFunctionTimedOut", error=failed.error)
        return self._event("LambdaFunctionFailed", error=failed.error, cause=failed.cause)

    def _event(self, kind: str, **details: str) -> Event:
        self._told += 1
        if not details:
            return {"type": kind}
        of_a_state = "name" in details
        name = "state" + kind.partition("State")[2] if of_a_state else kind[0].lower() + kind[1:]
        return {"type": kind, f"{name}EventDetails": details}


class _Runtime(Exception):
    """A state meets what it cannot work with: `States.Runtime`, which nothing catches."""


#: What a path finds that leads nowhere.
_NOTHING = object()


def _compact(state: Any) -> str:
    return json.dumps(state, separators=(",", ":"))


def _at(path: str, state: Any) -> Any:
    for plain, quoted in re.findall(r"\.(\w+)|\['([^']+)'\]", path):
        step = plain or quoted
        if not (isinstance(state, dict) and step in state):
            return _NOTHING
        state = state[step]
    return state


def _matches(rule: dict[str, Any], error: str) -> bool:
    """Of a retrier or catcher: whether it is for that error."""
    if error in NEVER_CAUGHT:
        return False
    return error in rule["ErrorEquals"] or "States.ALL" in rule["ErrorEquals"]


def _seconds(path: str, state: Any) -> int:
    found = _at(path, state)
    if found is _NOTHING:
        raise _Runtime(f"The SecondsPath parameter does not reference an input value: {path}")
    if not isinstance(found, int) or isinstance(found, bool):
        raise _Runtime(
            f"The SecondsPath parameter cannot be parsed as a long value: {path} == {found}"
        )
    if found < 0:
        raise _Runtime(f"The SecondsPath parameter references a negative value: {path} == {found}")
    return found


def _chosen(this: dict[str, Any], state: Any) -> str:
    for choice in this["Choices"]:
        found = _at(choice["Variable"], state)
        if "IsPresent" in choice:
            holds = (found is not _NOTHING) == choice["IsPresent"]
        elif found is _NOTHING:
            raise _Runtime(
                f"Invalid path '{choice['Variable']}': "
                "The choice state's condition path references an invalid value."
            )
        elif "StringEquals" in choice:
            holds = found == choice["StringEquals"]
        else:
            holds = not isinstance(found, bool) and found == choice["NumericEquals"]
        if holds:
            return str(choice["Next"])
    return str(this["Default"])


def _text(this: dict[str, Any], field: str, state: Any) -> str:
    found = _at(this[field], state)
    if found is _NOTHING:
        raise _Runtime(
            f"The JSONPath '{this[field]}' specified for the field '{field}' "
            f"could not be found in the input '{json.dumps(state)}'"
        )
    assert isinstance(found, str), "AWS takes a text"
    return found
