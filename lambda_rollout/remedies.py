"""PURE. What AWS refused, in one sentence with a remedy. Nobody shall read a traceback at 3 a.m."""

import re
from collections.abc import Mapping
from typing import NamedTuple

from botocore import exceptions

from deployer import aws
from lambda_rollout import called

_NEW_LOGIN = "renew them, such as with 'aws sso login', and run the command again"
_NO_CREDENTIALS = (
    "run 'aws configure', or export AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
)
_NO_REGION = "No AWS Region is set: export AWS_DEFAULT_REGION, such as eu-west-1, or choose a profile that has one."

# What botocore and AWS call it when credentials have expired, when there are none, and when AWS does
# not know them.
_EXPIRED = {
    "ExpiredTokenException",
    "ExpiredToken",
    "RequestExpired",
    "UnauthorizedSSOTokenError",
    "SSOTokenLoadError",
    "TokenRetrievalError",
    "LoginRefreshRequired",
}
_ABSENT = {"NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"}
_UNKNOWN = {
    "UnrecognizedClientException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "InvalidAccessKeyId",
    "IncompleteSignature",
}
_UNSET = {"NoRegionError", "ProfileNotFound"}


#: Where the addresses come from of what is asked here, other than AWS's own.
_ADDRESSES = (
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_LAMBDA",
    "AWS_ENDPOINT_URL_CLOUDWATCH",
    "AWS_ENDPOINT_URL_CLOUDWATCH_LOGS",
    "AWS_ENDPOINT_URL_CLOUDFORMATION",
    "AWS_ENDPOINT_URL_STS",
)


class CannotSee(Exception):
    """When AWS could not be asked, and asking again is in vain; the message is for people."""


class NotSent(CannotSee):
    """The same, before anything was sent."""

    def __str__(self) -> str:
        return f"{super().__str__()} Nothing was sent."


class Refused(CannotSee):
    """When nothing can be begun as it was asked for."""


class NothingRuns(CannotSee):
    """When there is no rollout to do that with."""


class Doing(NamedTuple):
    """What was asked of AWS: the IAM action and its resource, and what it means where AWS does not
    find it."""

    action: str
    resource: str
    not_found: str


def reading_alias(function: str, alias: str, region: str) -> Doing:
    absent = f"There is no alias '{alias}' of a function '{function}' in {region}: check their names and the Region."
    return Doing("lambda:GetAlias", f"the function '{function}'", absent)


def updating_alias(function: str, alias: str, region: str) -> Doing:
    return reading_alias(function, alias, region)._replace(action="lambda:UpdateAlias")


def invoking(region: str) -> Doing:
    install = called.install()
    absent = f"SimpleDeployFunction is not installed in {region} of this account: run {install}, or set the Region."
    return Doing("lambda:InvokeFunction", "SimpleDeployFunction", absent)


def no_address(variables: Mapping[str, str]) -> str:
    """What is wrong with the first address that is none; empty where all of them are."""
    if variables.get("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "").lower() == "true":
        return ""
    for name in _ADDRESSES:
        address = variables.get(name, "")
        if not address or re.fullmatch(r"(?i)https?://[^\s/]\S*", address):
            continue
        such_as = "http://127.0.0.1:5000"
        if re.fullmatch(r"[\w.-]+(:\d+)?(/\S*)?", address):
            such_as = f"http://{address}"
        rule = "it must begin with http:// or https://, and name a host"
        return f"{name} is '{address}', which is no address: {rule}: export {name}={such_as}."
    return ""


def no_stack(stack: str, region: str) -> str:
    rest = f"name it with {called.stack()}, or set the Region"
    install = f"install the deployer with {called.install()}"
    return f"There is no stack '{stack}' in {region}: {install}, {rest}."


def absent_stack(error: Exception) -> bool:
    """Whether DescribeStacks has said that there is no such stack."""
    return isinstance(error, exceptions.ClientError) and aws.code(error) == "ValidationError"


def hopeless(error: Exception) -> bool:
    """Whether asking again is in vain."""
    return aws.refused(error) or aws.code(error) in _EXPIRED | _ABSENT | _UNSET


def sentence(error: Exception, doing: Doing | None = None) -> str:
    """What is wrong, and what to do about it."""
    code = aws.code(error)
    if isinstance(error, exceptions.NoRegionError):
        return _NO_REGION
    if code in _EXPIRED:
        return f"The AWS credentials have expired: {_NEW_LOGIN}."
    if code in _ABSENT:
        return f"There are no AWS credentials: {_NO_CREDENTIALS}."
    if code in _UNKNOWN:
        return f"AWS does not know these credentials ({code}): {_NO_CREDENTIALS}."
    if isinstance(error, exceptions.ProfileNotFound):
        return f"{str(error).rstrip('.')}: check AWS_PROFILE, or run 'aws configure list-profiles'."
    if doing and aws.denied(error):
        return f"Access is denied: allow {doing.action} on {doing.resource}. AWS says {aws.words(error)}"
    if doing and code == "ResourceNotFoundException":
        return doing.not_found
    if isinstance(error, exceptions.ClientError):
        return f"AWS refuses. AWS says {aws.words(error)}"
    return f"AWS could not be reached: check the network, the Region and AWS_ENDPOINT_URL. {aws.words(error)}"
