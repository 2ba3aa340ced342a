"""CloudWatch's alarms, metric and composite. Their state is what `set_alarm_state` has put: nothing
is evaluated.

`DescribeAlarms` must never show a composite alarm to a caller who did not ask for that type.
"""

import re
from typing import Any

from moto.cloudwatch.exceptions import ValidationError
from moto.cloudwatch.models import Alarm, CloudWatchBackend
from moto.cloudwatch.responses import CloudWatchResponse
from moto.core.responses import ActionResult, EmptyResult

_moto_put = CloudWatchBackend.put_metric_alarm


def apply() -> None:
    CloudWatchBackend.put_metric_alarm = put_metric_alarm
    CloudWatchResponse.put_composite_alarm = _put_composite_alarm
    CloudWatchResponse.describe_alarms = _describe_alarms


def put_metric_alarm(self: Any, name: str, **about: Any) -> Any:
    """A new alarm has no data yet; one that is only changed keeps its state."""
    before = self.alarms.get(name)
    alarm = _moto_put(self, name=name, **about)
    alarm.state_value = before.state_value if before else "INSUFFICIENT_DATA"
    return alarm


def put_composite_alarm(backend: Any, name: str, rule: str, **about: Any) -> Any:
    """The rule's alarms must be there; what it says is not evaluated."""
    named = re.findall(r"""(?:ALARM|OK|INSUFFICIENT_DATA)\(\s*["']?([^"')]+)["']?\s*\)""", rule)
    missing = [each for each in named if each.rpartition(":alarm:")[2] not in backend.alarms]
    if missing or not (named or re.search("TRUE|FALSE", rule)):
        raise ValidationError(
            f"Could not save the composite alarm as alarms {missing} in the alarm rule do not exist"
        )
    metric = (
        "namespace",
        "metric_name",
        "comparison_operator",
        "evaluation_periods",
        "period",
        "threshold",
    )
    none = dict.fromkeys((*metric, "statistic", "description"))
    return put_metric_alarm(
        backend, name, rule=rule, **{**none, "dimensions": [], "alarm_actions": [], **about}
    )


def _put_composite_alarm(self: Any) -> EmptyResult:
    lists = {"alarm_actions": "AlarmActions", "ok_actions": "OKActions", "tags": "Tags"}
    about = {key: self._get_param(name, []) for key, name in lists.items()}
    about["description"] = self._get_param("AlarmDescription")
    put_composite_alarm(
        self.cloudwatch_backend, self._get_param("AlarmName"), self._get_param("AlarmRule"), **about
    )
    return EmptyResult()


def _describe_alarms(self: Any) -> ActionResult:
    """Names that are unknown are left out; without `AlarmTypes` only metric alarms; all conditions
    must hold."""
    names, prefix = self._get_param("AlarmNames", []), self._get_param("AlarmNamePrefix")
    if names and prefix:
        raise ValidationError("AlarmNamePrefix and AlarmNames cannot be used together.")
    types = self._get_param("AlarmTypes", []) or ["MetricAlarm"]
    state, actions = self._get_param("StateValue"), self._get_param("ActionPrefix")
    found = [
        alarm
        for name, alarm in sorted(self.cloudwatch_backend.alarms.items())
        if (not names or name in names)
        and name.startswith(prefix or "")
        and state in (None, alarm.state_value)
        and (not actions or any(action.startswith(actions) for action in alarm.alarm_actions))
        and ("CompositeAlarm" if alarm.rule else "MetricAlarm") in types
    ]
    start, most = (
        int(self._get_param("NextToken") or 0),
        int(self._get_param("MaxRecords") or 100 if not names else 100),
    )
    page, rest = found[start : start + most], found[start + most :]
    answer = {
        "MetricAlarms": [alarm for alarm in page if not alarm.rule],
        "CompositeAlarms": [_composite(alarm) for alarm in page if alarm.rule],
    }
    return ActionResult({**answer, **({"NextToken": str(start + most)} if rest else {})})


def _composite(alarm: Alarm) -> dict[str, Any]:
    return {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.alarm_arn,
        "AlarmDescription": alarm.description,
        "AlarmRule": alarm.rule,
        "ActionsEnabled": alarm.actions_enabled,
        "AlarmActions": alarm.alarm_actions,
        "OKActions": alarm.ok_actions,
        "InsufficientDataActions": alarm.insufficient_data_actions,
        "StateValue": alarm.state_value,
        "StateReason": alarm.state_reason,
        "StateReasonData": alarm.state_reason_data,
        "StateUpdatedTimestamp": alarm.state_updated_timestamp,
        "AlarmConfigurationUpdatedTimestamp": alarm.configuration_updated_timestamp,
    }
