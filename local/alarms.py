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

from local.patches import replaces

_moto_put = CloudWatchBackend.put_metric_alarm

#: What a composite alarm's rule may ask of another alarm.
_ASKED = re.compile(r"""(?:ALARM|OK|INSUFFICIENT_DATA)\(\s*["']?([^"')]+)["']?\s*\)""")

#: What a metric alarm has, and a composite one has not.
_OF_A_METRIC: dict[str, Any] = {
    "namespace": None,
    "metric_name": None,
    "comparison_operator": None,
    "evaluation_periods": None,
    "period": None,
    "threshold": None,
    "statistic": None,
    "dimensions": [],
}


@replaces(CloudWatchBackend, "put_metric_alarm")
def _put_metric_alarm(self: Any, name: str, **about: Any) -> Any:
    """AWS: a new alarm has no data yet; one that is only changed keeps its state.
    moto: every alarm that is put is OK.
    Upstream: the two lines on `state_value`.
    """
    before = self.alarms.get(name)
    alarm = _moto_put(self, name=name, **about)
    alarm.state_value = before.state_value if before else "INSUFFICIENT_DATA"
    return alarm


@replaces(CloudWatchResponse, "put_composite_alarm")
def _put_composite_alarm(self: Any) -> EmptyResult:
    """AWS: takes a rule about alarms that are there.
    moto: does not know the call, though its alarms may have a rule.
    Upstream: this call; its rules need not be evaluated for us.
    """
    rule = self._get_param("AlarmRule")
    named = _ASKED.findall(rule)
    there = self.cloudwatch_backend.alarms
    missing = [each for each in named if each.rpartition(":alarm:")[2] not in there]
    says_something = named or re.search("TRUE|FALSE", rule)
    if missing or not says_something:
        what = f"alarms {missing} in the alarm rule do not exist"
        raise ValidationError(f"Could not save the composite alarm as {what}")
    self.cloudwatch_backend.put_metric_alarm(
        name=self._get_param("AlarmName"),
        rule=rule,
        description=self._get_param("AlarmDescription"),
        alarm_actions=self._get_param("AlarmActions", []),
        ok_actions=self._get_param("OKActions", []),
        tags=self._get_param("Tags", []),
        **_OF_A_METRIC,
    )
    return EmptyResult()


@replaces(CloudWatchResponse, "describe_alarms")
def _describe_alarms(self: Any) -> ActionResult:
    """AWS: tells only metric alarms unless `AlarmTypes` asks for others; all conditions must hold.
    moto: tells both kinds to everybody, and looks at one condition only.
    Upstream: `AlarmTypes`, and the conditions together.
    """
    names = self._get_param("AlarmNames", [])
    prefix = self._get_param("AlarmNamePrefix")
    if names and prefix:
        raise ValidationError("AlarmNamePrefix and AlarmNames cannot be used together.")
    types = self._get_param("AlarmTypes", []) or ["MetricAlarm"]
    state = self._get_param("StateValue")

    def wanted(alarm: Alarm) -> bool:
        kind = "CompositeAlarm" if alarm.rule else "MetricAlarm"
        named = not names or alarm.name in names
        begins = alarm.name.startswith(prefix or "")
        return kind in types and named and begins and state in (None, alarm.state_value)

    alarms = self.cloudwatch_backend.alarms
    found = [alarm for _, alarm in sorted(alarms.items()) if wanted(alarm)]
    answer = {
        "MetricAlarms": [alarm for alarm in found if not alarm.rule],
        "CompositeAlarms": [_composite(alarm) for alarm in found if alarm.rule],
    }
    return ActionResult(answer)


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
