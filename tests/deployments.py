"""Deployments as CloudFormation makes them for a SAM template's `DeploymentPreference`: the test
plays CloudFormation."""

import hashlib
import json
from typing import Any

from local.cloud import ALIAS, FUNCTION, Cloud
from tests.parts import until

#: What AWSCodeDeployRoleForLambda allows, as far as it matters here.
SAM_S_ROLE = [
    {
        "Effect": "Allow",
        "Action": ["lambda:UpdateAlias", "lambda:GetAlias"],
        "Resource": "*",
    },
    {
        "Effect": "Allow",
        "Action": "lambda:InvokeFunction",
        "Resource": "arn:aws:lambda:*:*:function:CodeDeployHook_*",
    },
]
ENDED = ("Succeeded", "Failed", "Stopped")


class Deployments:
    """An application with a deployment group and SAM's service role."""

    def __init__(
        self, cloud: Cloud, application: str = "shop", statements: Any = SAM_S_ROLE
    ) -> None:
        self._application = application
        self.cloud = cloud
        self.codedeploy = cloud.client("codedeploy")
        iam = cloud.client("iam")
        name = f"{application}-CodeDeployServiceRole"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument="{}")["Role"]["Arn"]
        policy = {"Version": "2012-10-17", "Statement": statements}
        iam.put_role_policy(RoleName=name, PolicyName="SAM", PolicyDocument=json.dumps(policy))
        self.codedeploy.create_application(applicationName=application, computePlatform="Lambda")
        self.codedeploy.create_deployment_group(
            applicationName=application,
            deploymentGroupName="group",
            serviceRoleArn=role,
            deploymentConfigName="CodeDeployDefault.LambdaAllAtOnce",
        )

    def start(
        self,
        hook: str = "",
        *,
        current: str = "1",
        target: str = "2",
        function: str = FUNCTION,
        alias: str = ALIAS,
        **changes: Any,
    ) -> str:
        """The deployment's id; `changes` are of the AppSpec."""
        properties = {
            "Name": function,
            "Alias": alias,
            "CurrentVersion": current,
            "TargetVersion": target,
        }
        resource = {"Type": "AWS::Lambda::Function", "Properties": properties}
        content = {"version": 0.0, "Resources": [{function: resource}]}
        if hook:
            content["Hooks"] = [{"BeforeAllowTraffic": hook}]
        return self.create(json.dumps(content | changes))

    def create(self, content: str, **changes: Any) -> str:
        sha256 = hashlib.sha256(content.encode()).hexdigest()
        request = {
            "applicationName": self._application,
            "deploymentGroupName": "group",
            "revision": {
                "revisionType": "AppSpecContent",
                "appSpecContent": {"content": content, "sha256": sha256},
            },
        }
        return str(self.codedeploy.create_deployment(**request | changes)["deploymentId"])

    def about(self, deployment: str) -> dict[str, Any]:
        return dict(self.codedeploy.get_deployment(deploymentId=deployment)["deploymentInfo"])

    def status(self, deployment: str) -> str:
        return str(self.about(deployment)["status"])

    def ended(self, deployment: str) -> tuple[str, str]:
        """Its status at its end, and the code of its error."""
        about = until(lambda: self.about(deployment), lambda about: about["status"] in ENDED)
        return about["status"], about.get("errorInformation", {}).get("code", "")

    def answer(self, deployment: str, execution: str, status: str) -> None:
        self.codedeploy.put_lifecycle_event_hook_execution_status(
            deploymentId=deployment, lifecycleEventHookExecutionId=execution, status=status
        )
