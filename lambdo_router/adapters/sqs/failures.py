"""
The errors of a call translated: what is transient, and what a person must fix.

The service's own refusals go by their code, for the status says too little: SQS throttles with
403. Where there is no answer, time may help. What botocore raises, while it looks for credentials
or an endpoint, goes by the class; a test compares that table with botocore's list, so that a new
class cannot slip through unread.
"""

import errno
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import Enum

from botocore.exceptions import BotoCoreError, ClientError
from botocore.parsers import ResponseParserError

from lambdo_router.adapters.http import NoAnswer
from lambdo_router.adapters.retry_after import seconds_of
from lambdo_router.adapters.sqs.address import without_password
from lambdo_router.core.errors import QueueError, QueueRefused, QueueUnavailable

_LONGEST_TEXT = 300
_LEGACY = "AWS.SimpleQueueService."


class UnreadableAnswer(Exception):
    """An answer without an error that is packed, or no JSON object."""


@dataclass(slots=True)
class ServiceError(Exception):
    """SQS, or STS in the middle of a call, answers with an error."""

    operation: str
    status: int
    code: str
    message: str
    headers: Mapping[str, str]
    """In any case of letters, or in lower case."""


class Remedy(Enum):
    """What helps against a failure, as it ends the sentence that reports it."""

    TIME = "it may pass by itself"
    KEYS = (
        "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or on Fly the role "
        "in AWS_ROLE_ARN"
    )
    RIGHTS = (
        "allow sqs:GetQueueUrl, GetQueueAttributes, ReceiveMessage, DeleteMessage, "
        "ChangeMessageVisibility and SendMessage on this queue"
    )
    ROLE = "let the role's trust policy allow sts:AssumeRole to the router, and its own policy too"
    CLOCK = "this machine's clock is not AWS's; set it, as with NTP"
    QUEUE = "check the queue's name, account and region, and AWS_ENDPOINT_URL if it is set"
    KMS = "check the queue's KMS key, and allow kms:Decrypt and kms:GenerateDataKey on it"
    CONFIGURATION = "check the AWS_ variables and AWS's configuration files"
    REPORT = "this is a defect of lambdo-router, or the endpoint is not SQS"


_CODES: Mapping[str, Remedy] = {
    **dict.fromkeys(
        (
            "InternalError",
            "InternalFailure",
            "KMS.ThrottlingException",
            "KmsThrottled",
            "OverLimit",
            "PriorRequestNotComplete",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceUnavailable",
            "SlowDown",
            "Throttling",
            "ThrottledException",
            "ThrottlingException",
            "TooManyRequestsException",
        ),
        Remedy.TIME,
    ),
    **dict.fromkeys(
        (
            "AuthFailure",
            "ExpiredToken",
            "ExpiredTokenException",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSecurity",
            "InvalidSignatureException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "RequestExpired",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ),
        Remedy.KEYS,
    ),
    **dict.fromkeys(("AccessDenied", "AccessDeniedException", "OptInRequired"), Remedy.RIGHTS),
    **dict.fromkeys(("InvalidAddress", "NonExistentQueue", "QueueDoesNotExist"), Remedy.QUEUE),
}
FOREIGN: tuple[type[Exception], ...] = (
    BotoCoreError,
    ClientError,
    ResponseParserError,
    ServiceError,
    UnreadableAnswer,
    NoAnswer,
    OSError,
)
"""
What a call raises that is about the service, and not a mistake in the calling code.

OSError: botocore lets pass what goes wrong with a file, as the token of a role in mid-call.
"""
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})
_ASSUME_ROLE = "AssumeRole"
"""What botocore asks of STS, in the middle of a call to SQS, when a role's credentials run out."""
_CLOCKS = re.compile("Signature (?:expired|not yet current)", re.IGNORECASE)
"""How AWS refuses a request by its date, under a code that stands for wrong keys too."""
_PASSING_STATUSES = frozenset({408, 429})
"""Statuses that pass whatever the code; 500 and above do too."""

_CLASSES: Mapping[str, Remedy] = {
    **dict.fromkeys(
        (
            "CapacityNotAvailableError",
            "ChecksumError",
            "ConnectTimeoutError",
            "ConnectionClosedError",
            "ConnectionError",
            "EndpointConnectionError",
            "FlexibleChecksumError",
            "HTTPClientError",
            "IncompleteReadError",
            "NoAnswer",
            "OSError",
            "ProxyConnectionError",
            "ReadTimeoutError",
            "ResponseParserError",
            "ResponseStreamingError",
            "SSLError",
            "UnreadableAnswer",
        ),
        Remedy.TIME,
    ),
    **dict.fromkeys(
        (
            "CredentialRetrievalError",
            "FileNotFoundError",
            "LoginAuthorizationCodeError",
            "LoginError",
            "LoginInsufficientPermissions",
            "LoginRefreshRequired",
            "LoginTokenLoadError",
            "MetadataRetrievalError",
            "NoAuthTokenError",
            "NoCredentialsError",
            "PartialCredentialsError",
            "PermissionError",
            "RefreshWithMFAUnsupportedError",
            "SSOError",
            "SSOTokenLoadError",
            "TokenRetrievalError",
            "UnauthorizedSSOTokenError",
            "UnknownCredentialError",
            "UnknownTokenProviderError",
        ),
        Remedy.KEYS,
    ),
    **dict.fromkeys(
        (
            "BaseEndpointResolverError",
            "ConfigNotFound",
            "ConfigParseError",
            "EndpointProviderError",
            "EndpointResolutionError",
            "EndpointVariantError",
            "InfiniteLoopConfigError",
            "InvalidChecksumConfigError",
            "InvalidConfigError",
            "InvalidDNSNameError",
            "InvalidDefaultsMode",
            "InvalidEndpointConfigurationError",
            "InvalidEndpointDiscoveryConfigurationError",
            "InvalidHostLabelError",
            "InvalidIMDSEndpointError",
            "InvalidIMDSEndpointModeError",
            "InvalidMaxRetryAttemptsError",
            "InvalidProxiesConfigError",
            "InvalidRegionError",
            "InvalidRetryConfigurationError",
            "InvalidRetryModeError",
            "InvalidS3AddressingStyleError",
            "InvalidS3UsEast1RegionalEndpointConfigError",
            "InvalidSTSRegionalEndpointsConfigError",
            "MissingDependencyException",
            "NoRegionError",
            "ProfileNotFound",
            "ServiceNotInRegionError",
            "UnknownEndpointError",
            "UnknownEndpointResolutionBuiltInName",
            "UnknownFIPSEndpointError",
            "UnknownRegionError",
            "UnknownSignatureVersionError",
            "UnsupportedServiceProtocolsError",
            "UnsupportedSignatureVersionError",
            "ValueError",
        ),
        Remedy.CONFIGURATION,
    ),
}
"""By name, as not every version of botocore has them all."""


@contextmanager
def translated(doing: str, *also: type[Exception]) -> Iterator[None]:
    """
    Raise the errors of a call, and those of the classes `also`, as ours.

    `doing` says what failed, and on which queue.
    """
    try:
        yield
    except (*FOREIGN, *also) as error:
        failure, remedy = _failure(error, doing)
        if remedy in (Remedy.KEYS, Remedy.CLOCK):
            # SQS quotes the whole signed request, session token included: not for a traceback.
            raise failure from None
        raise failure from error


def passes(error: Exception) -> bool:
    """Return whether the same call may succeed a moment later."""
    return _remedy_of(error) is Remedy.TIME


def may_have_happened(error: QueueError) -> bool:
    """Return whether a failed call may have had its effect: no answer, 408, or a 5xx."""
    if isinstance(error, QueueRefused):
        return False
    cause = error.__cause__
    if isinstance(cause, NoAnswer):
        return cause.sent
    status = cause.status if isinstance(cause, ServiceError) else 0
    return not 400 <= status < 500 or status == 408  # noqa: PLR2004 # HTTP's


def is_denied(error: ServiceError) -> bool:
    """Return whether the keys are right and only this one action on the queue is not allowed."""
    return _code_of(error) in _DENIED and error.operation != _ASSUME_ROLE


def says_clock(error: ServiceError) -> bool:
    """Return whether AWS refuses the request by its date."""
    return _CLOCKS.search(error.message) is not None


def retry_after(error: Exception) -> float | None:
    """Return for how many seconds the service asks to wait, if it does."""
    if not isinstance(error, ServiceError):
        return None
    return seconds_of(error.headers.get("retry-after", ""), time.time())


def _failure(error: Exception, doing: str) -> tuple[QueueError, Remedy]:
    if isinstance(error, ClientError):
        error = _of_boto(error)
    code, reason = "", f"{_first_line(error)}{_out_of_files(error)}"
    if isinstance(error, ServiceError):
        code = error.code
        reason = f"{code}: {_first_line(error.message)}"
    remedy = _remedy_of(error)
    if remedy is Remedy.TIME:
        text = without_password(f"{doing}: {reason}")
        return QueueUnavailable(text, code=code, retry_after=retry_after(error)), remedy
    text = without_password(f"{doing}: {reason.rstrip('.')}; {remedy.value}")
    return QueueRefused(text, code=code), remedy


def _of_boto(error: ClientError) -> ServiceError:
    said = error.response.get("Error", {})
    about = error.response.get("ResponseMetadata", {})
    return ServiceError(
        error.operation_name,
        about.get("HTTPStatusCode", 0),
        said.get("Code", ""),
        said.get("Message", ""),
        about.get("HTTPHeaders", {}),
    )


def _out_of_files(error: BaseException) -> str:
    """Of all failures to connect, for which there is one text, this is not the network's."""
    inner = error.__cause__ or error.__context__
    while inner is not None:
        if isinstance(inner, OSError) and inner.errno in (errno.EMFILE, errno.ENFILE):
            return f" ({inner.strerror})"
        inner = inner.__cause__ or inner.__context__
    return ""


def _remedy_of(error: Exception) -> Remedy:
    if isinstance(error, ClientError):
        error = _of_boto(error)
    if not isinstance(error, ServiceError):
        names = (base.__name__ for base in type(error).__mro__)
        return next((_CLASSES[name] for name in names if name in _CLASSES), Remedy.REPORT)
    code = _code_of(error)
    if says_clock(error):
        return Remedy.CLOCK
    if error.status in _PASSING_STATUSES or error.status >= 500:  # noqa: PLR2004 # the service's own fault
        return Remedy.TIME
    if code in _CODES:
        remedy = _CODES[code]
        of_role = remedy is Remedy.RIGHTS and error.operation == _ASSUME_ROLE
        return Remedy.ROLE if of_role else remedy
    return Remedy.KMS if code.lower().startswith("kms") else Remedy.REPORT


def _code_of(error: ServiceError) -> str:
    return error.code.removeprefix(_LEGACY)


def _first_line(text: object) -> str:
    line = next(iter(str(text).strip().splitlines()), type(text).__name__)
    return line[:_LONGEST_TEXT]
