"""CodeDeploy for Lambda: a deployment asks its hook, and moves the alias when the hook says so.

It must never move an alias that its hook has not approved, nor after the deployment has ended, nor
let a function or a role do what it may not. Of a deployment's traffic it knows AllAtOnce, of its
hooks BeforeAllowTraffic.
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
"""

import json
import random
import string
import threading
import time
import uuid
from typing import Any, NamedTuple

from moto.awslambda.models import lambda_backends
from moto.codedeploy.models import CodeDeployBackend
from moto.codedeploy.responses import CodeDeployResponse
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.core.utils import utcnow

from local import aliases, delivery, roles
from local.patches import replaces
from local.rules import Refused
from local.sandbox import ACCOUNT, REGION
from local.service import invoke_event

#: Seconds that a hook has for its answer: "within one hour".
HOUR = 3600.0

_ALL_AT_ONCE = "CodeDeployDefault.LambdaAllAtOnce"
_ENDED = ("Succeeded", "Failed", "Stopped")
_PROPERTIES = {"Name", "Alias", "CurrentVersion", "TargetVersion"}
_ID_SIGNS = string.ascii_uppercase + string.digits

_moto_create = CodeDeployBackend.create_deployment
_moto_get = CodeDeployResponse.get_deployment
_lock = threading.RLock()


class Settings(NamedTuple):
    """What a test may set."""

    timeout: float = HOUR


settings = Settings()


class Shift(NamedTuple):
    """What a revision asks for."""

    function: str
    alias: str
    current: str
    target: str
    hook: str


class _Error(JsonRESTError):  # type: ignore[misc]
    code = 400

    def __init__(self, name: str, message: str) -> None:
        super().__init__(name, message)


class Impossible(Exception):
    """Why a deployment fails by itself: AWS's code for it, and words."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


# The API.


@replaces(CodeDeployBackend, "create_deployment")
def _create(self: Any, *args: Any, **kwargs: Any) -> str:
    """AWS: checks the revision, asks the hook, and moves the alias.
    moto: keeps the deployment, under an id of another form, and does nothing.
    Upstream: an id such as d-ABCDEF123, and what `Run` does.
    """
    shift = read(kwargs["revision"])
    own_id = _moto_create(self, *args, **kwargs)
    deployment = self.deployments.pop(own_id)
    if deployment.application.compute_platform != "Lambda":
        raise _Error("InvalidComputePlatformException", "Only Lambda is known here.")
    if str(deployment.deployment_config_name) != _ALL_AT_ONCE:
        raise _Error("InvalidDeploymentConfigNameException", f"Only {_ALL_AT_ONCE} is known here.")
    deployment.deployment_id = f"d-{''.join(random.choices(_ID_SIGNS, k=9))}"
    deployment.creator = "user"
    deployment.run = Run(deployment, shift)
    self.deployments[deployment.deployment_id] = deployment
    threading.Thread(target=deployment.run.run, daemon=True).start()
    return str(deployment.deployment_id)


@replaces(CodeDeployResponse, "get_deployment")
def _get(self: Any) -> ActionResult:
    """AWS: tells why a deployment failed, to whoever may ask.
    moto: tells everybody all but that.
    Upstream: `errorInformation`; roles are moto's own check of policies.
    """
    deployment = _asked_of(self, "codedeploy:GetDeployment")
    told: ActionResult = _moto_get(self)
    if deployment.run.error:
        told.result["deploymentInfo"]["errorInformation"] = deployment.run.error
    return told


@replaces(CodeDeployResponse, "stop_deployment")
def _stop(self: Any) -> ActionResult:
    """AWS: ends a deployment where it stands; the alias stays as it is.
    moto: does not know the call.
    Upstream: the call.
    """
    deployment = _asked_of(self, "codedeploy:StopDeployment")
    if not deployment.run.end("Stopped", "MANUAL_STOP", "The deployment was stopped."):
        raise _Error(
            "DeploymentAlreadyCompletedException",
            f"The deployment {deployment.deployment_id} has completed.",
        )
    return ActionResult({"status": "Succeeded", "statusMessage": "No more to be done."})


@replaces(CodeDeployResponse, "put_lifecycle_event_hook_execution_status")
def _put_status(self: Any) -> ActionResult:
    """AWS: takes a hook's answer, Succeeded or Failed, once, while the deployment waits for it.
    moto: does not know the call.
    Upstream: the call.
    """
    deployment = _asked_of(self, "codedeploy:PutLifecycleEventHookExecutionStatus")
    execution = self._get_param("lifecycleEventHookExecutionId")
    deployment.run.answered(execution, self._get_param("status"))
    return ActionResult({"lifecycleEventHookExecutionId": execution})


def _asked_of(response: Any, action: str) -> Any:
    """The deployment that a request is about, if its caller may ask that."""
    name = response._get_param("deploymentId")
    if not name:
        raise _Error("DeploymentIdRequiredException", "At least one deployment ID is required.")
    if not name.startswith("d-"):
        raise _Error("InvalidDeploymentIdException", f"{name} is not a deployment id.")
    deployment = response.codedeploy_backend.get_deployment(name)
    group = f"{deployment.application_name}/{deployment.deployment_group_name}"
    arn = f"arn:aws:codedeploy:{REGION}:{ACCOUNT}:deploymentgroup:{group}"
    caller = roles.caller(response.headers)
    if not roles.may(caller, action, arn):
        told = f"User: {caller} is not authorized to perform: {action} on resource: {arn}"
        raise _Error("AccessDeniedException", told)
    return deployment


# The revision.


def read(revision: Any) -> Shift:
    """What the AppSpec asks for, given as JSON; raises as AWS does."""
    if not revision:
        raise _Error("RevisionRequiredException", "The revision is required.")
    kinds = {"AppSpecContent": "appSpecContent", "String": "string"}
    kind = kinds.get(revision.get("revisionType", ""))
    if kind is None:
        raise _invalid("its type is neither AppSpecContent nor String")
    try:
        content = json.loads(revision[kind]["content"])
        (resource,) = content["Resources"]
        (about,) = resource.values()
        hooks = content.get("Hooks", [])
        names = {name: function for each in hooks for name, function in each.items()}
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _invalid(f"it cannot be read: {error!r}") from None
    if str(content.get("version")) != "0.0":
        raise _invalid("its version is not 0.0")
    if about.get("Type") != "AWS::Lambda::Function" or about["Properties"].keys() != _PROPERTIES:
        raise _invalid(f"its resource is no function with {', '.join(sorted(_PROPERTIES))}")
    if names.keys() - {"BeforeAllowTraffic"}:
        raise _invalid("it has hooks other than BeforeAllowTraffic, which are not known here")
    properties = {name: str(value) for name, value in about["Properties"].items()}
    return Shift(
        properties["Name"],
        properties["Alias"],
        properties["CurrentVersion"],
        properties["TargetVersion"],
        names.get("BeforeAllowTraffic", ""),
    )


def _invalid(why: str) -> _Error:
    return _Error("InvalidRevisionException", f"The revision is invalid: {why}.")


# What becomes of it.


class Run:
    """A deployment under way."""

    def __init__(self, deployment: Any, shift: Shift) -> None:
        self._deployment = deployment
        self._shift = shift
        self._execution = str(uuid.uuid4())
        self._answer = ""
        self._changed = threading.Event()
        self.error: dict[str, str] = {}

    def run(self) -> None:
        """To its end; it blocks."""
        self._deployment.start_time = utcnow()
        self._deployment.status = "InProgress"
        try:
            self._check_alias()
            if self._shift.hook:
                self._ask_hook()
            with _lock:
                if self._deployment.status not in _ENDED:
                    self._move_alias()
                    self.end("Succeeded")
        except Impossible as why:
            self.end("Failed", why.code, str(why))
        except Exception as error:
            delivery.complain(f"{self._deployment.deployment_id} broke off: {error!r}")
            self.end("Failed", "INTERNAL_ERROR", repr(error))

    def end(self, status: str, code: str = "", message: str = "") -> bool:
        """Whether it had not ended before."""
        with _lock:
            if self._deployment.status in _ENDED:
                return False
            self._deployment.status = status
            self._deployment.complete_time = utcnow()
            if code:
                self.error = {"code": code, "message": message}
        self._changed.set()
        return True

    def answered(self, execution: str, status: str) -> None:
        """By its hook; raises as AWS does."""
        name = self._deployment.deployment_id
        if execution != self._execution:
            raise _Error(
                "InvalidLifecycleEventHookExecutionIdException",
                f"{execution} is no hook execution of the deployment {name}.",
            )
        if status not in ("Succeeded", "Failed"):
            raise _Error(
                "InvalidLifecycleEventHookExecutionStatusException",
                f"{status} is neither Succeeded nor Failed.",
            )
        with _lock:
            if self._answer or self._deployment.status in _ENDED:
                raise _Error(
                    "LifecycleEventAlreadyCompletedException",
                    f"The lifecycle event of the deployment {name} has completed.",
                )
            self._answer = status
        self._changed.set()

    def _ask_hook(self) -> None:
        """Invokes it, as an event, and waits for its answer: the call's own result says nothing."""
        hook = self._shift.hook
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{hook}"
        self._must_be_allowed("lambda:InvokeFunction", arn)
        if hook not in lambda_backends[ACCOUNT][REGION]._lambdas._functions:
            raise Impossible("HOOK_EXECUTION_FAILURE", f"There is no function {hook}.")
        event = {
            "DeploymentId": self._deployment.deployment_id,
            "LifecycleEventHookExecutionId": self._execution,
        }
        invoke_event(hook, json.dumps(event).encode())
        give_up = time.monotonic() + settings.timeout
        while not self._changed.wait(0.05):
            if time.monotonic() >= give_up:
                raise Impossible("TIMEOUT", "The hook BeforeAllowTraffic did not answer in time.")
        if self._answer == "Failed":
            raise Impossible("HOOK_EXECUTION_FAILURE", "The hook BeforeAllowTraffic failed.")

    def _check_alias(self) -> None:
        """It must be on the current version alone: "CodeDeploy refuses to deploy to an alias that
        references two versions"."""
        shift = self._shift
        try:
            alias = aliases.found(shift.function, shift.alias)
        except Refused as refused:
            raise Impossible("INVALID_LAMBDA_CONFIGURATION", refused.message) from None
        if alias.routing or alias.version != shift.current:
            raise Impossible(
                "INVALID_LAMBDA_CONFIGURATION",
                f"The alias {shift.alias} is not on version {shift.current} alone.",
            )

    def _move_alias(self) -> None:
        shift = self._shift
        self._check_alias()
        arn = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{shift.function}"
        self._must_be_allowed("lambda:UpdateAlias", arn)
        request = {
            "FunctionVersion": shift.target,
            "RoutingConfig": {"AdditionalVersionWeights": {}},
        }
        try:
            aliases.update(shift.function, shift.alias, request)
        except Refused as refused:
            raise Impossible("INVALID_LAMBDA_FUNCTION", refused.message) from None

    def _must_be_allowed(self, action: str, arn: str) -> None:
        role = self._deployment.deployment_group.service_role_arn
        if not roles.may(role, action, arn):
            told = f"{role} is not authorized to perform {action} on {arn}."
            raise Impossible("IAM_ROLE_PERMISSIONS", told)
