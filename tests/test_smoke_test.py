"""The smoke test: the new version is invoked once, before any user is moved to it."""

import io
import json
from logging import StreamHandler
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectTimeoutError, ReadTimeoutError

from deployer.decisions.errors import (
    DeployError,
    HealthCheckFailed,
    InvalidRollout,
    RolloutInterrupted,
)
from deployer.tell import logger
from tests.test_hand_over import SAMPLE
from world.machine import STATE_MACHINE, FakeStepFunctions
from world.world import FakeClients, World

PING = {"path": "/ping", "deep": [1, 2.5, None, True, {"ü🚀": "\ud800"}], "": ""}
ON_7 = "Alias 'live' of 'checkout' is on version 7."


def refusing(status: int, code: str, message: str = "Something is wrong.") -> World:
    """A world whose Lambda refuses to invoke version 8."""
    answer: Any = {
        "Error": {"Code": code, "Message": message},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    return answering(ClientError(answer, "Invoke"))


def answering(answer: bytes | Exception) -> World:
    world = World()
    world.smoke = lambda payload: answer
    return world


def test_the_payload_arrives_as_given_before_any_user_is_moved() -> None:
    world = World()
    deployed(world)
    assert world.history == [0.5, 1.0, "8"]
    assert [json.loads(payload) for payload in world.smoked] == [PING]
    assert world.calls[5:8] == ["InvokeFunction", "CreateSchedule", "UpdateAlias"]


@pytest.mark.parametrize("answer", [b"null", b"", b'{"statusCode": 500}', b"\xff"])
def test_whatever_the_function_answers_is_well_as_long_as_it_does_not_fail(answer: bytes) -> None:
    world = answering(answer)
    assert deployed(world)["status"] == "SUCCEEDED"
    assert world.history == [0.5, 1.0, "8"] and len(world.smoked) == 1


def test_an_empty_object_is_a_payload() -> None:
    world = World()
    deployed(world, {})
    assert world.smoked == [b"{}"]


def test_a_function_that_fails_is_told_in_its_own_words() -> None:
    world = answering(
        b'{"errorMessage": "No module named pg", "errorType": "Runtime.ImportModuleError"}'
    )
    message = failed(world)
    assert message == (
        "The smoke test failed: Version 8 of 'checkout' answered with "
        f"Runtime.ImportModuleError: No module named pg. {ON_7}"
    )


@pytest.mark.parametrize(
    "answer",
    [
        b'{"errorMessage": 7}',
        b'["errorMessage"]',
        b'"errorMessage"',
        b"errorMessage <html>",
        b"errorMessage \xff",
    ],
)
def test_a_function_error_of_any_shape_is_a_failed_smoke_test(answer: bytes) -> None:
    assert "The smoke test failed" in failed(answering(answer))


def test_the_words_of_a_function_are_shortened() -> None:
    world = answering(json.dumps({"errorMessage": "x" * 100_000, "errorType": "Error"}).encode())
    assert len(failed(world)) < 800


def test_a_function_that_does_not_answer_in_time_has_failed() -> None:
    message = failed(answering(ReadTimeoutError(endpoint_url="https://lambda.test")))
    assert "Version 8 of 'checkout' gave no answer within 30 s." in message


@pytest.mark.parametrize(
    ("status", "code"),
    [
        *(
            (502, "KMSAccessDeniedException"),
            (502, "InvalidRuntimeException"),
            (502, "ENILimitReachedException"),
        ),
        *((400, "SnapStartException"), (502, "InvalidZipFileException")),
        # API reference of Invoke: these are the function's own, too, whatever their status.
        *(
            (403, "EFSMountFailureException"),
            (408, "EFSMountTimeoutException"),
            (408, "SnapStartTimeoutException"),
        ),
    ],
)
def test_a_function_that_cannot_be_started_has_failed(status: int, code: str) -> None:
    message = failed(refusing(status, code))
    assert f"could not be started. AWS says {code}: Something is wrong." in message


def test_without_the_permission_it_names_the_parameter_that_gives_it() -> None:
    message = failed(refusing(403, "AccessDeniedException"), InvalidRollout)
    assert (
        "the template's parameter SmokeTestFunctions" in message
        and "AccessDeniedException" in message
    )


@pytest.mark.parametrize(
    "error",
    [
        refusing(429, "TooManyRequestsException").smoke,
        refusing(500, "ServiceException").smoke,
        answering(ConnectTimeoutError(endpoint_url="https://lambda.test")).smoke,
    ],
)
def test_what_says_nothing_about_the_version_interrupts(error: Any) -> None:
    world = World()
    world.smoke = error
    assert "could not be invoked for the smoke test" in failed(world, RolloutInterrupted)


def test_what_is_deployed_already_is_not_invoked() -> None:
    world = World()
    world.alias.version = "8"
    assert deployed(world)["status"] == "ALREADY_DEPLOYED"
    assert world.smoked == []


def test_what_is_refused_for_another_reason_is_not_invoked() -> None:
    world = World()
    world.update_alias(RoutingConfig={"AdditionalVersionWeights": {"9": 0.5}})
    with pytest.raises(DeployError):
        deployed(world)
    assert world.smoked == []


def test_what_is_handed_over_is_invoked_by_the_state_machine_only(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEPLOY_STATE_MACHINE_ARN", STATE_MACHINE)
    world = World()
    clients = FakeClients(world)
    clients.stepfunctions = FakeStepFunctions(world)
    told = world.invoke({**SAMPLE, "health-check": {"smoke-test": PING}}, clients=clients)
    assert told["rollout"]["status"] == "HANDED_OVER" and world.smoked == []


def test_the_log_never_holds_the_payload() -> None:
    written = io.StringIO()
    handler = StreamHandler(written)
    handler.setFormatter(logger.registered_formatter)
    logger.addHandler(handler)
    try:
        deployed(World(), {"password": "correct horse"})
        failed(answering(b'{"errorMessage": "no"}'), payload={"password": "correct horse"})
    finally:
        logger._logger.removeHandler(handler)
    assert "SMOKE_TESTED" in written.getvalue() and "HealthCheckFailed" in written.getvalue()
    assert "correct horse" not in written.getvalue()


def test_its_time_must_fit_as_well() -> None:
    fits: dict[str, Any] = {
        "steps": 6,
        "interval": 114,
    }  # 684 s, and 120 s to settle: 36 s of 840 are left
    World(rate=1).deploy(**fits, health_check={"smoke-test": {}})
    with pytest.raises(InvalidRollout, match="and up to 30 s for the smoke test are 840 s"):
        World().deploy(steps=6, interval=115, health_check={"smoke-test": {}})


# -- what the stories need ------------------------------------------------------------------------


def deployed(world: World, payload: Any = PING, **more: Any) -> dict[str, Any]:
    told: dict[str, Any] = world.deploy(
        steps=2, interval=60, health_check={"smoke-test": payload, **more}
    )["rollout"]
    return told


def failed(world: World, error: type[DeployError] = HealthCheckFailed, payload: Any = PING) -> str:
    """The message; the alias was not touched, and the new version invoked once at most."""
    with pytest.raises(error) as told:
        deployed(world, payload)
    assert world.moves == [] and world.writes == 0 and world.calls.count("InvokeFunction") == 1
    assert str(told.value).endswith(ON_7) and "rolled back" not in str(told.value)
    return str(told.value)
