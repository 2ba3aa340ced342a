"""The checks of the new version: one file each. A new one is a file beside these, and a line in the
list; CONTRIBUTING.md tells the way."""

from deployer.decisions.checks.alarms import Alarms
from deployer.decisions.checks.check import Check
from deployer.decisions.checks.errors import Errors
from deployer.decisions.checks.metrics import Limits
from deployer.decisions.checks.min_invocations import MinInvocations
from deployer.decisions.checks.smoke_test import SmokeTest

#: In the order in which their verdicts are told.
CHECKS: tuple[type[Check], ...] = (Errors, Limits, Alarms, SmokeTest, MinInvocations)
