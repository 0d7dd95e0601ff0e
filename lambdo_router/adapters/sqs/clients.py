"""
boto3's clients: one pair for each way to SQS, which is a region, a role and an endpoint.

They are made in a thread and under a lock: making one takes long, may ask for the router's own
credentials, and is not thread-safe in boto3 (using one is). Whatever else is asked is asked outside
the lock, and nobody on the event loop waits for it.

A queue's `role_arn` is assumed with the router's own credentials. What STS gives lasts an hour;
botocore renews it from a quarter of an hour before its end, while it is still good, so nobody ever
works with credentials that have run out.
"""

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from os import devnull
from typing import TYPE_CHECKING, Any, NamedTuple

import boto3
import botocore.session
from botocore.config import Config
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
    create_assume_role_refresher,
)
from botocore.exceptions import NoCredentialsError

from lambdo_router import __version__
from lambdo_router.adapters.sqs.failures import FOREIGN, UnreadableAnswer
from lambdo_router.adapters.sqs.policy import Caller

if TYPE_CHECKING:  # the stubs are no dependency of the package
    from mypy_boto3_sqs import SQSClient

_LONGEST_WAIT = 20
_POLL_MARGIN = 10
"""Seconds that a poll's answer may take beyond its wait."""
_CALL_TIMEOUT = 10
_CONNECT_TIMEOUT = 5
_ASK_TIMEOUT = 2
"""Of a question that is worth less than the time it takes where STS is not to be reached."""
_MOST_CONNECTIONS = 256
"""That a client keeps open; they are opened as its queues need them."""
_NOTHING_ELSE = Config(proxies={}, use_fips_endpoint=False, use_dualstack_endpoint=False)
_WITHOUT_REGION = "us-east-1"
"""Where STS is asked if nobody says where: it gives the same credentials everywhere."""
_NO_ANSWER: tuple[type[Exception], ...] = (*FOREIGN, KeyError, ValueError)
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Keys:
    """
    A key pair for a local server. With one, nothing else of this machine's AWS configuration
    counts: no profile, no file, no proxy, so that a request cannot end up elsewhere.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class SqsSettings:
    """How to reach SQS. What is None is left to boto3, and so to its variables and files."""

    endpoint_url: str | None = None
    """Of queues that name no `endpoint`; None: AWS_ENDPOINT_URL_SQS or AWS_ENDPOINT_URL, else AWS
    itself."""
    region: str | None = None
    """Of queues whose address does not tell; None: AWS_REGION or AWS_DEFAULT_REGION."""
    wait_seconds: int = _LONGEST_WAIT
    """How long a poll waits for a message, 0 to 20 seconds."""
    keys: Keys | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.wait_seconds <= _LONGEST_WAIT:
            raise ValueError(f"wait_seconds is {self.wait_seconds}; SQS allows 0 to 20")


class Way(NamedTuple):
    """What distinguishes clients."""

    region: str | None
    role_arn: str | None
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class Clients:
    """Of one way: one for polls, and one for all the other calls."""

    poll: "SQSClient"
    calls: "SQSClient"


class ClientMaker:
    """Makes the clients of each way once."""

    def __init__(self, settings: SqsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._sessions: dict[str | None, boto3.Session] = {}
        """By the role whose credentials they have; None: the router's own."""
        self._sts: list[Any] = []
        """Clients of STS."""
        self._callers: dict[str | None, Caller | None] = {}
        self._asking: dict[str | None, threading.Lock] = {}
        """Held while STS is asked for the caller of a role."""
        self._clients: dict[Way, Clients] = {}

    def of(self, way: Way) -> Clients:
        """Return the clients for this way. Raises botocore's errors; ValueError: bad endpoint."""
        with self._lock:
            if way not in self._clients:
                wait = self._settings.wait_seconds
                self._clients[way] = Clients(
                    # A repeated poll could hide ten more messages with each try.
                    poll=self._client(way, wait + _POLL_MARGIN, attempts=1),
                    calls=self._client(way, _CALL_TIMEOUT, attempts=3),
                )
            return self._clients[way]

    def caller(self, role_arn: str | None) -> Caller | None:
        """
        Whose credentials those of a role, or the router's own (None), are; None if STS is not to
        be had. Asked once; for a role of which `of` has made clients.
        """
        with self._lock:
            asking = self._asking.setdefault(role_arn, threading.Lock())
        with asking:
            if role_arn not in self._callers:
                self._callers[role_arn] = self._ask_who(role_arn)
            return self._callers[role_arn]

    def close(self) -> None:
        """
        Close idle connections, and forget the clients.

        Does nothing while a client is being made: a program that is to give the credentials may
        hang, and a stop must not wait for it.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            for clients in self._clients.values():
                clients.poll.close()
                clients.calls.close()
            for sts in self._sts:
                sts.close()
            self._clients.clear()
            self._sts.clear()
            self._sessions.clear()
        finally:
            self._lock.release()

    def _client(self, way: Way, timeout: int, *, attempts: int) -> "SQSClient":
        client = self._session(way).client(
            "sqs",
            region_name=way.region,
            endpoint_url=way.endpoint or self._settings.endpoint_url,
            config=self._config(timeout, attempts=attempts),
        )
        client.meta.events.register("before-parse.sqs", _refuse_what_is_no_text)
        client.meta.events.register("response-received.sqs", _refuse_torn_answers)
        return client

    def _session(self, way: Way) -> boto3.Session:
        if None not in self._sessions:
            self._sessions[None] = _own_session(self._settings.keys)
        if way.role_arn is not None and way.role_arn not in self._sessions:
            self._sessions[way.role_arn] = self._session_of_role(way.role_arn, way.region)
        return self._sessions[way.role_arn]

    def _session_of_role(self, role_arn: str, region: str | None) -> boto3.Session:
        own = self._sessions[None]
        if own.get_credentials() is None:
            raise NoCredentialsError
        role = own.client(
            "sts",
            region_name=region or own.region_name or _WITHOUT_REGION,
            config=self._config(_CALL_TIMEOUT, attempts=3),
        )
        self._sts.append(role)
        asked = {"RoleArn": role_arn, "RoleSessionName": "lambdo-router"}
        session = botocore.session.Session()
        session.register_component(
            "credential_provider", CredentialResolver([_RoleProvider(role, asked)])
        )
        return boto3.Session(botocore_session=session)

    def _ask_who(self, role_arn: str | None) -> Caller | None:
        if self._settings.keys is not None:
            return None  # a local server's keys are nobody's
        try:
            with self._lock:
                session = self._sessions[role_arn]
                sts = session.client(
                    "sts",
                    region_name=session.region_name or _WITHOUT_REGION,
                    config=self._config(_ASK_TIMEOUT, attempts=1),
                )
                self._sts.append(sts)
            answer = sts.get_caller_identity()
            return Caller(answer["Account"], answer["Arn"])
        except _NO_ANSWER as error:
            _log.debug("sts.unknown_caller error=%(error)s", {"error": type(error).__name__})
            return None

    def _config(self, timeout: int, *, attempts: int) -> Config:
        config = Config(
            connect_timeout=min(timeout, _CONNECT_TIMEOUT),
            read_timeout=timeout,
            retries={"total_max_attempts": attempts, "mode": "standard"},
            max_pool_connections=_MOST_CONNECTIONS,
            tcp_keepalive=True,
            # What is asked is always of one shape; to look it over costs a twentieth of a call.
            parameter_validation=False,
            user_agent_extra=f"lambdo-router/{__version__}",
        )
        return config if self._settings.keys is None else config.merge(_NOTHING_ELSE)


class _RoleProvider(CredentialProvider):
    """The only source of credentials of a role's session."""

    METHOD = "assume-role"

    def __init__(self, sts: Any, asked: Mapping[str, str]) -> None:  # noqa: ANN401 - its stubs are another package
        super().__init__()
        self._sts = sts
        self._asked = asked

    def load(self) -> DeferredRefreshableCredentials:
        refresh = create_assume_role_refresher(self._sts, self._asked)
        return DeferredRefreshableCredentials(refresh, self.METHOD)


def _own_session(keys: Keys | None) -> boto3.Session:
    if keys is None:
        return boto3.Session()
    nothing = (None, None, devnull, None)
    unconfigured = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": nothing,
            "credentials_file": nothing,
        }
    )
    return boto3.Session(keys.access_key_id, keys.secret_access_key, botocore_session=unconfigured)


def _refuse_what_is_no_text(response_dict: Mapping[str, Any], **_: object) -> None:
    """boto3 takes every answer for text, and stumbles over one that is packed. Not here."""
    try:
        response_dict["body"].decode()
    except UnicodeDecodeError:
        raise UnreadableAnswer("the answer is no text; is the endpoint SQS?") from None


def _refuse_torn_answers(response_dict: Mapping[str, Any] | None, **_: object) -> None:
    """boto3 takes a body that broke off for an empty answer, and so for success. Not here."""
    if response_dict is None or response_dict["status_code"] >= 300:  # noqa: PLR2004
        return
    body: bytes = response_dict["body"]
    headers = response_dict["headers"]
    length = headers.get("content-length", "")
    if length.isdecimal() and "content-encoding" not in headers and len(body) < int(length):
        raise UnreadableAnswer(f"the answer broke off after {len(body)} of {length} bytes")
    if body.strip() and not (body.strip().startswith(b"{") and body.strip().endswith(b"}")):
        raise UnreadableAnswer("the answer is no JSON object; is the endpoint SQS?")
