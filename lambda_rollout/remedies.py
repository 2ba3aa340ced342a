"""PURE. What AWS refused, in one sentence with a remedy. Nobody shall read a traceback at 3 a.m."""

from typing import NamedTuple

from botocore import exceptions

from deployer import aws

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


class CannotSee(Exception):
    """When AWS could not be asked, and asking again is in vain; the message is for people."""


class NotSent(CannotSee):
    """The same, before anything was sent."""

    def __str__(self) -> str:
        return f"{super().__str__()} Nothing was sent."


class Doing(NamedTuple):
    """What was asked of AWS: the IAM action and its resource, and what it means where AWS does not
    find it."""

    action: str
    resource: str
    not_found: str


def reading_alias(function: str, alias: str, region: str) -> Doing:
    absent = f"There is no alias '{alias}' of a function '{function}' in {region}: check their names and the Region."
    return Doing("lambda:GetAlias", f"the function '{function}'", absent)


def invoking(region: str) -> Doing:
    absent = f"SimpleDeployFunction is not installed in {region} of this account: run ./install.sh, or set the Region."
    return Doing("lambda:InvokeFunction", "SimpleDeployFunction", absent)


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
