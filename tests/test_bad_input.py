"""Whatever is wrong with a payload or its target is refused with the key and the remedy, before
anything is written."""

import json
import math
import re
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployer.decisions.errors import DeployError, InvalidRollout, RolloutInterrupted
from deployer.decisions.rollout import KEYS, LONGEST_INTERVAL, Rollout
from world.aws import FUNCTION, HERE, WORDS
from world.world import World

GOOD = {
    "function-name": "checkout",
    "alias-name": "live",
    "new-version": "8",
    "steps": 10,
    "interval": 60,
}
HUGE = 10**400

ON_7 = "Alias 'live' of 'checkout' is on version 7."


def without(*keys: str) -> dict[str, Any]:
    return {key: value for key, value in GOOD.items() if key not in keys}


def with_weights(weights: Any) -> dict[str, Any]:
    return {**without("steps"), "weights": weights}


# The payload itself.
@pytest.mark.parametrize(
    "event", [None, True, 0, 3.5, math.nan, "", "linear", "x" * 5000, [], [GOOD], HUGE]
)
def test_what_is_no_object_is_refused(event: Any) -> None:
    message = refused(event)
    assert "The payload must be a JSON object" in message and "send an object" in message


def test_an_empty_object_is_told_the_first_key_it_needs() -> None:
    assert (
        '\'function-name\' is required: add it, for example "function-name": "my-function".'
        in refused({})
    )


@pytest.mark.parametrize("key", ["function-name", "alias-name", "new-version", "steps", "interval"])
def test_a_missing_key_is_named_with_an_example(key: str) -> None:
    message = refused(without(key))
    assert f"'{key}' is required" in message and f'"{key}": ' in message


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("function_name", "function-name"),
        ("functionName", "function-name"),
        ("FunctionName", "function-name"),
        ("alias", "alias-name"),
        ("alias-nam", "alias-name"),
        ("version", "new-version"),
        ("new_version", "new-version"),
        ("step", "steps"),
        ("intervall", "interval"),
        ("Interval", "interval"),
        ("healthcheck", "health-check"),
        ("health_check", "health-check"),
        ("weight", "weights"),
        ("handover", "hand-over"),
        ("dryrun", "dry-run"),
    ],
)
def test_a_misspelt_key_is_told_the_nearest_known_one(key: str, meant: str) -> None:
    message = refused({**GOOD, key: 1})
    assert (
        f'"{key}" is not a key of the payload' in message and f"did you mean '{meant}'?" in message
    )


@pytest.mark.parametrize("key", ["", "comment", "x" * 10_000, "🚀", "a\nb", "\ud800"])
def test_an_unknown_key_without_a_near_one_is_told_all_keys(key: str) -> None:
    message = refused({**GOOD, key: 1})
    assert all(known in message for known in KEYS)


@pytest.mark.parametrize("key", KEYS)
def test_null_is_no_value_for_any_key(key: str) -> None:
    message = refused({**GOOD, key: None})
    assert f"'{key}' is null" in message and "leave the key out" in message


#: For each key: what it is told to be, and values that it may not have.
WRONG_VALUES: dict[str, tuple[str, list[Any]]] = {
    "function-name": (
        "a function's name or ARN",
        [
            *(
                "",
                7,
                True,
                [],
                {},
                "check out",
                "a" * 65,
                "checkout\n",
                "🚀",
                "\ud800",
                "../checkout",
            ),
            *("arn:aws:s3:::checkout", "arn:aws:lambda:eu-west-1:1234:function:checkout"),
            "arn:aws:lambda:eu-west-1:123456789012:layer:checkout",
        ],
    ),
    "alias-name": (
        "an alias's name",
        [
            "",
            7,
            True,
            [],
            {},
            "li ve",
            "a" * 129,
            "live\n",
            "$LATEST",
            "8",
            "007",
            "live:8",
            "arn:x",
            "\ud800",
        ],
    ),
    "new-version": (
        "the number of a published version",
        [
            *(
                "",
                "$LATEST",
                "live",
                "08",
                "8.0",
                "-8",
                "8\n",
                " 8",
                "٨",
                "1" * 11,
                True,
                False,
                [],
                {},
            ),
            *(0, -8, 8.0, 8.5, HUGE, math.nan, math.inf),
        ],
    ),
    "steps": (
        "a whole number from 1 to 1000",
        [
            0,
            -1,
            1001,
            HUGE,
            -HUGE,
            2.5,
            math.nan,
            math.inf,
            -math.inf,
            True,
            False,
            "10",
            "",
            [],
            [10],
            {},
        ],
    ),
    "interval": (
        "a number of seconds from 0 to 31449600",
        [
            -1,
            -0.001,
            LONGEST_INTERVAL + 1,
            HUGE,
            -HUGE,
            math.nan,
            math.inf,
            -math.inf,
            True,
            "60",
            "",
            [],
            {},
            1e308,
        ],
    ),
    "type": (
        "",
        [
            "",
            "Linear",
            "linear ",
            "linar",
            "blue-green",
            1,
            True,
            [],
            {},
            "Canary10Percent",
            "x" * 5000,
            "\n",
            "\ud800",
        ],
    ),
    "health-check": (
        "true, false, or an object",
        ["true", "", 0, 1, [], [{}], "yes", "baseline", 0.01, math.nan],
    ),
    "hand-over": ("true or false", ["false", "", 0, 1, {}, [], math.nan]),
    "dry-run": ("true or false", ["false", "", 0, 1, {}, [], math.nan]),
    "finalize": ("true or false", ["false", "", 0, 1, {}, [], math.nan]),
    "deadline": (
        "a time with its zone",
        [
            "",
            "soon",
            1767614400,
            True,
            [],
            "2030-01-05",
            "2030-01-05T12:00:00",
            "2030-02-30T12:00:00Z",
            "2030-01-05 12:00:00Z",
            "20300105T120000Z",
            "1999-01-05T12:00:00Z",
        ],
    ),
    "started-by": (
        "text of 1 to 128 characters",
        ["", "x" * 129, "x" * 5000, "\ud800", 7, True, [], ["ada"], {}, {"name": "ada"}, math.nan],
    ),
}


@pytest.mark.parametrize(
    ("key", "value"),
    [(key, value) for key, (_, values) in WRONG_VALUES.items() for value in values],
)
def test_a_wrong_value_names_its_key_and_what_it_must_be(key: str, value: Any) -> None:
    message = refused({**GOOD, key: value})
    assert f"'{key}' must be " in message and WRONG_VALUES[key][0] in message


@pytest.mark.parametrize(
    ("weights", "remedy"),
    [
        ([], "a list of numbers that rise"),
        ({}, "a list of numbers that rise"),
        (1, "a list of numbers that rise"),
        ("0.5, 1", "a list of numbers that rise"),
        ([0, 1], "0 follows 0"),
        ([-0.5, 1], "-0.5 follows 0"),
        ([0.5, 0.5, 1], "0.5 follows 0.5"),
        ([0.5, 0.3, 1], "0.3 follows 0.5"),
        ([0.5, 1, 1], "1 follows 1"),
        ([0.5, 1.5], "1.5 follows 0.5"),
        ([10, 100], "10 follows 0"),
        ([0.5, math.nan, 1], "NaN follows 0.5"),
        ([0.5, math.inf], "Infinity follows 0.5"),
        ([0.5, HUGE], "follows 0.5"),
        ([True], "true follows 0"),
        ([0.5, True], "true follows 0.5"),
        ([0.5, "1"], '"1" follows 0.5'),
        ([0.5, None, 1], "null follows 0.5"),
        ([[0.5], 1], "a list of 1 follows 0"),
        ([0.5, {}], "an object follows 0.5"),
        ([0.5], "add 1 as the last weight"),
        ([0.1, 0.5, 0.999999], "add 1 as the last weight"),
        (
            [k / 1001 for k in range(1, 1002)],
            "at most 1000, such as [0.05, 0.25, 1], but it is a list of 1001",
        ),
    ],
)
def test_weights_that_do_not_rise_to_one_are_told_which(weights: Any, remedy: str) -> None:
    message = refused(with_weights(weights))
    assert "'weights'" in message and remedy in message


@pytest.mark.parametrize(
    ("event", "keys", "remedy"),
    [
        (
            {**with_weights([0.5, 1]), "type": "linear"},
            ("weights", "type"),
            "leave one of them out",
        ),
        ({**with_weights([0.5, 1]), "steps": 3}, ("steps",), "leave 'steps' out"),
        ({**GOOD, "type": "canary"}, ("steps",), "leave 'steps' out"),
        ({**GOOD, "type": "all-at-once", "steps": 2}, ("steps",), "leave 'steps' out"),
        ({**GOOD, "type": "AllAtOnce"}, ("steps",), "leave 'steps' out"),
        ({**GOOD, "type": "Canary10Percent5Minutes", "steps": 3}, ("steps",), "leave 'steps' out"),
        (
            {**without("steps"), "type": "Canary10Percent5Minutes"},
            ("interval", "type"),
            "leave 'interval' out",
        ),
        (
            {**GOOD, "type": "Linear10PercentEvery2Minutes"},
            ("interval", "type"),
            "leave 'interval' out",
        ),
        ({**GOOD, "type": "exponential", "steps": 21}, ("steps",), "from 1 to 20"),
        ({**without("steps"), "type": "exponential"}, ("steps",), "is required"),
        ({**without("steps", "interval"), "type": "canary"}, ("interval",), "is required"),
        ({**without("steps", "interval"), "weights": [1]}, ("interval",), "is required"),
    ],
)
def test_keys_that_contradict_each_other_are_named(
    event: Any, keys: tuple[str, ...], remedy: str
) -> None:
    message = refused(event)
    assert all(f"'{key}'" in message for key in keys) and remedy in message


@pytest.mark.parametrize(
    ("name", "remedy"),
    [
        ("checkout:8", "leave out ':8'"),
        ("checkout:live", "leave out ':live'"),
        ("checkout:$LATEST", "leave out ':$LATEST'"),
        ("checkout:", "leave out ':'"),
        (f"{FUNCTION}:live", "leave out ':live'"),
        ("123456789012:function:checkout:8", "leave out ':8'"),
        (
            "arn:aws:lambda:us-east-1:123456789012:function:checkout",
            "of the region us-east-1, but this deployer works in",
        ),
        (
            "arn:aws:lambda:us-gov-west-1:123456789012:function:checkout",
            "of the region us-gov-west-1",
        ),
        ("arn:aws:lambda:eu-west-1:999999999999:function:checkout", "of the account 999999999999"),
        ("999999999999:function:checkout", "of the account 999999999999"),
        ("arn:aws-cn:lambda:eu-west-1:123456789012:function:checkout", "of the partition aws-cn"),
    ],
)
def test_a_qualified_or_foreign_function_is_refused(name: str, remedy: str) -> None:
    message = refused({**GOOD, "function-name": name})
    assert "'function-name'" in message and remedy in message


@pytest.mark.parametrize(
    "name", ["checkout", FUNCTION, "123456789012:function:checkout", "function:checkout"]
)
@pytest.mark.parametrize("version", ["8", 8])
def test_what_is_right_is_taken_in_any_form(name: str, version: Any) -> None:
    world = World()
    result = world.invoke(
        {**GOOD, "function-name": name, "new-version": version, "steps": 2.0, "interval": 10.0}
    )
    assert result["rollout"]["new-version"] == "8"
    assert world.history == [0.5, 1.0, "8"]


#: What AWS's own SDK knows of the partitions: the pattern of a partition's Regions, and those that
#: there are.
PARTITIONS = json.loads(files("botocore").joinpath("data/partitions.json").read_text())[
    "partitions"
]
REGIONS = [
    (partition["id"], region)
    for partition in PARTITIONS
    for region in partition["regions"]
    if not region.endswith("-global")
]


@pytest.mark.parametrize(("partition", "region"), REGIONS)
def test_a_function_of_every_partition_and_region_of_aws_is_taken(
    partition: str, region: str
) -> None:
    assert of_place(partition, region) == {"checkout"}


@settings(derandomize=True, deadline=None, database=None, max_examples=500)
@given(st.data())
def test_a_region_that_aws_may_yet_open_is_taken(data: st.DataObject) -> None:
    partition = data.draw(st.sampled_from(PARTITIONS))
    pattern = re.compile(partition["regionRegex"].rstrip("$"), re.ASCII)
    region = data.draw(st.from_regex(pattern, fullmatch=True))
    assert of_place(partition["id"], region) == {"checkout"}


def test_the_partitions_are_all_that_there_are() -> None:
    known = {partition["id"] for partition in PARTITIONS}
    assert known >= {"aws", "aws-cn", "aws-eusc", "aws-iso", "aws-iso-f", "aws-us-gov"}
    assert ("aws-eusc", "eusc-de-east-1") in REGIONS


# Any payload at all.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(
        [HUGE, -HUGE, 10.0, 1e308, "linear", "8", "$LATEST", "checkout", "live", FUNCTION]
    ),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from([*KEYS, "x"]) | st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
MUTATIONS = st.dictionaries(st.sampled_from(list(KEYS)), JSON, max_size=3)


@settings(derandomize=True, deadline=None, max_examples=500)
@given(JSON)
def test_any_json_is_a_rollout_or_refused(event: Any) -> None:
    assert_a_rollout_or_refused(event)


@settings(derandomize=True, deadline=None, max_examples=1500)
@given(MUTATIONS, st.sets(st.sampled_from(list(GOOD)), max_size=2))
def test_any_change_of_a_good_payload_is_a_rollout_or_refused(
    changes: dict[str, Any], left_out: set[str]
) -> None:
    assert_a_rollout_or_refused({**without(*left_out), **changes})


@settings(derandomize=True, deadline=None, max_examples=300)
@given(MUTATIONS)
def test_any_change_of_a_good_payload_leaves_the_alias_on_one_version(
    changes: dict[str, Any],
) -> None:
    world = World(rate=1)
    try:
        world.invoke({**GOOD, "interval": 1, **changes})
    except DeployError:
        assert world.moves == []
    assert (world.alias.routing, world.alias.description) == ({}, WORDS)


# The target.
def test_an_alias_on_latest_cannot_be_split() -> None:
    world = World()
    world.alias.version = "$LATEST"
    message = target_refused(world)
    assert "put it on a published version first" in message and message.endswith(
        "is on version $LATEST."
    )
    assert world.writes == 0


@pytest.mark.parametrize("missing", [{"alias_name": "liive"}, {"function_name": "chekout"}])
def test_a_missing_alias_or_function_is_told_in_aws_s_words(missing: dict[str, str]) -> None:
    world = World()
    message = target_refused(world, InvalidRollout, **missing)
    assert "check 'function-name' and 'alias-name'" in message
    assert "AWS says ResourceNotFoundException: Cannot find alias arn" in message
    assert message.endswith(" The alias was neither read nor changed.")
    assert world.calls == ["GetAlias"]


def test_a_missing_version_is_told_in_aws_s_words() -> None:
    world = World()
    message = target_refused(world, new_version="99")
    assert (
        "Version 99 of 'checkout' could not be read: publish it first, or check 'new-version'."
        in message
    )
    assert f"AWS says ResourceNotFoundException: Function not found: {FUNCTION}:99." in message
    assert message.endswith(ON_7) and world.writes == 0


def test_a_permission_that_is_missing_is_told_with_the_parameter_that_gives_it() -> None:
    for number in (0, 1):
        world = World()
        world.faults = {number: "denied"}
        message = target_refused(world)
        assert "the template's parameter TargetFunctions" in message
        assert "AccessDeniedException: User is not authorized to perform this action." in message
        assert world.writes == 0


def test_a_version_that_failed_to_become_active_is_refused() -> None:
    world = World()
    world.states["8"] = ["Failed"]
    message = target_refused(world)
    assert "Version 8 of 'checkout' is Failed (The function is being created)" in message
    assert "publish a version that becomes Active" in message and message.endswith(ON_7)
    assert world.writes == 0


def test_an_inactive_version_is_refused_with_the_command_that_wakes_it() -> None:
    world = World()
    world.states["8"] = ["Inactive"]
    message = target_refused(world)
    assert "aws lambda invoke --function-name checkout:8 out.json" in message and message.endswith(
        ON_7
    )
    assert world.writes == 0


def test_a_version_that_fails_while_it_is_waited_for_is_refused() -> None:
    world = World()
    world.states["8"] = ["Pending", "Pending", "Failed"]
    assert "is Failed" in target_refused(world)


def test_a_pending_version_is_waited_for() -> None:
    world = World()
    world.states["8"] = ["Pending"] * 10 + ["Active"]
    world.deploy(steps=2, interval=10)
    assert world.history == [0.5, 1.0, "8"]
    assert 50 <= world.moves[0][0] <= 52


def test_a_version_that_stays_pending_is_given_up_while_there_is_still_time() -> None:
    world = World()
    world.states["8"] = ["Pending"]
    message = target_refused(world, RolloutInterrupted, steps=10, interval=60)
    assert "is still Pending" in message and message.endswith(ON_7)
    assert world.writes == 0 and 840 - 720 - 10 <= world.time <= 840 - 720


def test_versions_with_different_roles_are_refused_in_aws_s_words() -> None:
    world = World()
    world.roles["8"] = "another role"
    message = target_refused(world)
    assert "AWS refuses to split the alias: InvalidParameterValueException" in message
    assert "Specified versions must be associated with the same execution role." in message
    assert message.endswith(ON_7) and world.writes == 1


def test_what_is_deployed_already_is_a_success_and_not_touched() -> None:
    world = World()
    world.alias.version = "8"
    before = world.alias.answer()
    result = world.deploy(steps=2, interval=10)
    assert result["rollout"]["status"] == "ALREADY_DEPLOYED"
    assert (result["FunctionVersion"], result["rollout"]["original-version"]) == ("8", "8")
    assert world.alias.answer() == before and world.calls == ["GetAlias"]


# -- what the stories need ------------------------------------------------------------------------


def refused(event: Any) -> str:
    """The message, after having seen that AWS was not even asked."""
    world = World()
    with pytest.raises(InvalidRollout) as error:
        world.invoke(event)
    assert world.calls == []
    message = str(error.value)
    assert message.endswith(" The alias was neither read nor changed.")
    assert "\n" not in message and len(message) < 600
    assert message.encode()  # what cannot be encoded cannot be logged
    return message


def of_place(partition: str, region: str) -> set[str]:
    """The names that are read from the forms in which a place may stand before the name."""
    place = f"{region}:123456789012:function:"
    here = f"arn:{partition}:lambda:{place}SimpleDeployFunction"
    forms = (f"arn:{partition}:lambda:{place}checkout", f"{place}checkout")
    events = [{**GOOD, "function-name": form} for form in forms]
    return {Rollout.from_event(event, here).target.function for event in events}


def assert_a_rollout_or_refused(event: Any) -> None:
    try:
        rollout = Rollout.from_event(event, HERE)
    except InvalidRollout as error:
        assert len(error.reason) < 600
        return
    assert all(rollout.target) and int(rollout.new_version) > 0
    assert all(
        0 < before < after <= 1
        for before, after in zip(rollout.weights, rollout.weights[1:], strict=False)
    )
    assert 0 < rollout.weights[0] <= rollout.weights[-1] == 1
    assert 0 <= rollout.interval <= LONGEST_INTERVAL


def target_refused(world: World, error: type[DeployError] = InvalidRollout, **payload: Any) -> str:
    """The message, after having seen that the alias is as it was."""
    before = world.alias.answer()
    with pytest.raises(error) as failed:
        world.deploy(**{"steps": 2, "interval": 10, **payload})
    assert world.alias.answer() == before and world.moves == []
    return str(failed.value)
