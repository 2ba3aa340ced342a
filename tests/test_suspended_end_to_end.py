"""The early warning on the local AWS, with functions that really fail: their logs may have a
rollout suspended, CloudWatch's metrics judge it, and nothing that a function writes goes any
further."""

import re
from typing import Any

import pytest

from tests.warned import GROUPS, ORIGINAL, PARTS, SECRET, STORIES, Warned

#: A line can be read after a third of a second, and is read every five; in the state machine with
#: the looks, which come every ten.
SOON = {"": 15.0, "-in-the-machine": 25.0}

DRIVERS = pytest.mark.parametrize("driver", SOON)


@DRIVERS
def test_a_failing_version_is_suspended_by_its_log_and_convicted_by_metrics(
    warned: Warned, driver: str, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = warned.ended(f"raises{driver}")
    assert ended.messages == [
        *("STARTED", "SHIFTED", "SUSPENDED"),
        *("ROLLED_BACK", "HealthCheckFailed"),
    ]
    assert "In its log: " in ended.said("SUSPENDED") and "× KeyError" in ended.said("SUSPENDED")
    assert ended.answer["errorType"] == "HealthCheckFailed"
    assert re.search(
        r" had (\d+) errors? in \1 invocations? \(100\.00%\).* In its log: \d+ × KeyError; such as ",
        ended.answer["errorMessage"],
    )
    warned.stands_on(f"raises{driver}", ORIGINAL)
    with capsys.disabled():
        told = f"suspended {ended.seconds['SUSPENDED']:.1f} s after the first failed call"
        print(f"\n  raises{driver}: {told}", end="")
    assert 0 < ended.seconds["SUSPENDED"] < SOON[driver]


@DRIVERS
def test_a_healthy_version_that_prints_what_looks_like_a_failure_is_promoted(
    warned: Warned, driver: str
) -> None:
    ended = warned.ended(f"prints{driver}")
    assert ended.messages == [
        *("STARTED", "SHIFTED", "SUSPENDED", "RESUMED"),
        *("SHIFTED", "SUCCEEDED"),
    ]
    assert re.search(r"In its log: \d+ × an error; such as ", ended.said("SUSPENDED"))
    rollout = ended.answer["rollout"]
    assert (rollout["status"], rollout["checks"]["judged"]) == ("SUCCEEDED", True)
    assert rollout["checks"]["suspensions"] == 1
    (warning,) = _warnings(rollout)
    assert "CloudWatch counted 0 errors" in warning and "not listened to any more" in warning
    warned.stands_on(f"prints{driver}", rollout["new-version"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("sleeps", "timed out"),
        ("exits", "Runtime.ExitError"),
        ("does-not-begin", "Runtime.ImportModuleError"),
    ],
)
def test_every_way_to_fail_is_recognised_and_an_operator_takes_the_suspended_alias_back(
    warned: Warned, name: str, kind: str
) -> None:
    ended = warned.ended(name)
    assert ended.messages == ["STARTED", "SHIFTED", "SUSPENDED", "AliasChanged"]
    assert re.search(rf"In its log: \d+ × {kind}; such as ", ended.said("SUSPENDED"))
    assert ended.answer["errorType"] == "AliasChanged"
    warned.stands_on(name, ORIGINAL)


def test_where_the_log_is_switched_off_metrics_alone_judge(warned: Warned) -> None:
    ended = warned.ended("logs-off")
    assert "SUSPENDED" not in ended.messages
    assert ended.answer["errorType"] == "HealthCheckFailed"
    assert "log" not in ended.answer["errorMessage"].replace("logs-off", "")
    warned.stands_on("logs-off", ORIGINAL)


def test_a_log_that_may_not_be_read_is_said_once_and_changes_no_verdict(warned: Warned) -> None:
    rollout = warned.ended("hidden").answer["rollout"]
    assert (rollout["status"], rollout["checks"]["judged"]) == ("SUCCEEDED", True)
    (warning,) = _warnings(rollout)
    assert GROUPS["hidden"] in warning and "TargetLogGroups" in warning
    warned.stands_on("hidden", rollout["new-version"])
    bad = warned.ended("hidden-raises")
    assert "SUSPENDED" not in bad.messages
    assert bad.answer["errorType"] == "HealthCheckFailed"
    assert bad.answer["errorMessage"].count(" could not be read: allow it ") == 1
    warned.stands_on("hidden-raises", ORIGINAL)


def test_nothing_that_a_function_has_written_is_kept_anywhere_but_in_its_log(
    warned: Warned,
) -> None:
    kept = warned.kept()
    for name, story in STORIES.items():
        told = {what for what, text in kept.items() if f'"{name}"' in text}
        assert told >= {f"alias {name}", "queue kept", story.log}, name
        if story.by_machine:
            assert name in kept[f"history {name}"]
        assert kept[f"answer {name}"]
    assert "KeyError" in kept["queue kept"]
    assert '"Type": "Notification"' in kept["queue kept"], "mails are among them"
    holders = [what for what, text in kept.items() if any(part in text for part in PARTS)]
    assert holders == []
    for function, group in GROUPS.items():
        assert SECRET in str(warned.cloud.written(group)), f"{function} did write it"


def _warnings(rollout: dict[str, Any]) -> list[str]:
    """All but that these rollouts are quicker than CloudWatch."""
    warnings: list[str] = rollout["warnings"]
    assert warnings[0].startswith(
        "This rollout reaches 100 % after 10 s; the first figures come after "
    )
    return warnings[1:]
