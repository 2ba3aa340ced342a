"""What AWS's alias operations answer, as recorded from AWS, asked of the tests' fake and of the
local AWS alike."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.cloud import Cloud
from local.rules import STALE_REVISION
from world.lambda_ import FakeLambda
from world.world import World


def test_an_alias_that_was_never_split_has_no_routing(aws: Service) -> None:
    answer = aws.get()
    assert "RoutingConfig" not in answer
    assert (answer["FunctionVersion"], answer["Description"]) == ("1", "words")
    assert answer["Name"] == "contract"


def test_a_split_shows_its_weight_and_an_emptied_map_is_left_out(aws: Service) -> None:
    assert aws.update({"2": 0.1})["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.1}}
    assert aws.get()["RoutingConfig"] == {"AdditionalVersionWeights": {"2": 0.1}}
    assert "RoutingConfig" not in aws.update({})
    assert "RoutingConfig" not in aws.get()


def test_what_is_left_out_of_an_update_stays(aws: Service) -> None:
    answer = aws.update({"2": 1.0})
    assert (answer["FunctionVersion"], answer["Description"]) == ("1", "words")


def test_the_version_and_the_map_are_changed_in_one_update(aws: Service) -> None:
    aws.update({"2": 0.9})
    answer = aws.update({}, FunctionVersion="2", Description="")
    assert (answer["FunctionVersion"], answer["Description"]) == ("2", "")
    assert "RoutingConfig" not in answer


def test_every_update_is_a_new_revision_even_one_that_changes_nothing(aws: Service) -> None:
    revisions = [aws.get()["RevisionId"], *(aws.update({})["RevisionId"] for _ in range(3))]
    assert len(set(revisions)) == 4
    assert aws.get()["RevisionId"] == revisions[-1]


PARAMETER = "InvalidParameterValueException"
VALIDATION = "ValidationException"
NOT_FOUND = "ResourceNotFoundException"
STALE = "PreconditionFailedException"
STATUS = {PARAMETER: 400, VALIDATION: 400, NOT_FOUND: 404, STALE: 412}

INCLUDED = "Function version 1 is already included in routing configuration."
LATEST = "$LATEST is not supported for an alias pointing to more than 1 version"
TOO_MANY = "Number of items in AdditionalVersionWeights cannot be greater than 1"

#: The error, a part of its message, and the request: its weights, and what else it asks for.
REFUSED: dict[str, tuple[str, str, dict[str, float], dict[str, str]]] = {
    "an old revision": (STALE, STALE_REVISION, {"2": 0.1}, {"RevisionId": "old"}),
    "two further versions": (PARAMETER, TOO_MANY, {"2": 0.1, "3": 0.1}, {}),
    "a weight above 1": (VALIDATION, "less than or equal to 1.0", {"2": 2.0}, {}),
    "the version itself": (PARAMETER, f"Invalid function version 1. {INCLUDED}", {"1": 0.5}, {}),
    "the new version while it is routed to": (
        PARAMETER,
        "Invalid function version 2",
        {"2": 0.5},
        {"FunctionVersion": "2"},
    ),
    "$LATEST with a split": (PARAMETER, LATEST, {"2": 0.5}, {"FunctionVersion": "$LATEST"}),
    "a split to $LATEST": (VALIDATION, "[0-9]+", {"$LATEST": 0.5}, {}),
    "a split to a version that is not there": (NOT_FOUND, "Function not found", {"77": 0.5}, {}),
    "a version that is not there": (
        NOT_FOUND,
        "Function not found",
        {},
        {"FunctionVersion": "77"},
    ),
    "a description that is too long": (VALIDATION, "256", {}, {"Description": "x" * 257}),
    "an alias that is not there": (NOT_FOUND, "Alias not found", {}, {"Name": "absent"}),
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_refuses(aws: Service, case: str) -> None:
    code, message, routing, request = REFUSED[case]
    before = aws.get()
    with pytest.raises(ClientError) as refused:
        aws.update(routing, **request)
    answer = refused.value.response
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == STATUS[code]
    assert answer["Error"]["Code"] == code
    assert message in answer["Error"]["Message"]
    assert aws.get() == before


def test_an_alias_that_is_not_there_cannot_be_read(aws: Service) -> None:
    with pytest.raises(ClientError) as refused:
        aws.get("absent")
    assert refused.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert "Cannot find alias arn" in refused.value.response["Error"]["Message"]


@pytest.fixture(params=["the fake", "the local AWS"])
def aws(request: pytest.FixtureRequest) -> Iterator[Service]:
    if request.param == "the fake":
        world = World()
        world.states = {"1": ["Active"], "2": ["Active"], "3": ["Active"], "4": ["Active"]}
        world.roles = dict.fromkeys(world.states, "role")
        world.alias.name = "contract"
        world.alias.version = "1"
        world.alias.description = "words"
        yield Service(FakeLambda(world), world.alias.revision)
    else:
        cloud: Cloud = request.getfixturevalue("cloud")
        client = cloud.client("lambda")
        made = client.create_alias(
            FunctionName="checkout", Name="contract", FunctionVersion="1", Description="words"
        )
        yield Service(client, made["RevisionId"])
        client.delete_alias(FunctionName="checkout", Name="contract")


class Service:
    """`UpdateAlias` and `GetAlias` of the alias 'contract', which stands on version 1."""

    def __init__(self, client: Any, revision: str) -> None:
        self.client = client
        self.revision = revision

    def get(self, name: str = "contract") -> dict[str, Any]:
        return _body(self.client.get_alias(FunctionName="checkout", Name=name))

    def update(self, routing: dict[str, float], **request: Any) -> dict[str, Any]:
        request = {"RevisionId": self.revision, "Name": "contract", **request}
        request["RoutingConfig"] = {"AdditionalVersionWeights": routing}
        answer = _body(self.client.update_alias(FunctionName="checkout", **request))
        self.revision = answer["RevisionId"]
        return answer


def _body(answer: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}
