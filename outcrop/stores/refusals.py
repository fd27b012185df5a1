"""Why AWS did not do what a command asked, in words that say what would help."""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions
from botocore.exceptions import BotoCoreError, ClientError

_LONGEST = 300
"""Of what AWS says that is repeated: a proxy on the way may say it in a page of HTML."""
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
_UNKNOWN = {
    "AuthFailure",
    "IncompleteSignature",
    "InvalidAccessKeyId",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
}
_DENIED = {
    "403",
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "NotAuthorized",
    "UnauthorizedOperation",
}
_BY_KIND: tuple[tuple[tuple[type[BotoCoreError], ...], str], ...] = (
    (
        (exceptions.NoCredentialsError, exceptions.PartialCredentialsError, exceptions.NoAuthTokenError),
        "There are no AWS credentials. Sign in (`aws sso login`, `aws login` or `aws configure`), and name "
        "the profile with --profile unless it is the default one.",
    ),
    (
        (
            exceptions.UnauthorizedSSOTokenError,
            exceptions.SSOTokenLoadError,
            exceptions.TokenRetrievalError,
            exceptions.LoginError,
        ),
        "The AWS sign-in has expired. Sign in again, as with `aws sso login` or `aws login`.",
    ),
    (
        (exceptions.NoRegionError,),
        "No Region is named. Name the one Outcrop is deployed in: --region us-west-2.",
    ),
)


class DeploymentError(Exception):
    """A command cannot do its work on the deployment; the message says why and what would help."""


@contextmanager
def in_words() -> Iterator[None]:
    """Raises: DeploymentError for whatever AWS refuses within."""
    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise DeploymentError(told(error)) from error


def told(error: BotoCoreError | ClientError) -> str:
    if isinstance(error, ClientError):
        return _refused(error)
    for kinds, words in _BY_KIND:
        if isinstance(error, kinds):
            return words
    if isinstance(error, exceptions.ProfileNotFound):
        return f"{error}. `aws configure list-profiles` lists those there are."
    if isinstance(error, exceptions.EndpointConnectionError | exceptions.InvalidRegionError):
        return f"{error} Is the Region spelled as 'us-west-2' is, and is this machine online?"
    return str(error)


def is_denied(error: BaseException) -> bool:
    return isinstance(error, ClientError) and _code(error) in _DENIED


def _refused(error: ClientError) -> str:
    code, said = _code(error), error.response.get("Error", {}).get("Message", "")
    if code in _EXPIRED:
        return "The AWS credentials have expired. Sign in again, as with `aws sso login` or `aws login`."
    if code in _UNKNOWN:
        return f"AWS does not know these credentials ({code}). Sign in again, or name another --profile."
    if code in _DENIED:
        return f"These credentials may not call {error.operation_name}. AWS says: {said}"
    return f"AWS answered {error.operation_name} with {code}: {' '.join(said.split())[:_LONGEST]}"


def _code(error: ClientError) -> str:
    return error.response.get("Error", {}).get("Code", "")
