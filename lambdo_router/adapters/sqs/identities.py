"""
Who asks, and where: identities and endpoints as botocore finds them, for SqsClient's requests.

All of this blocks, may run a program that gives credentials, and is not thread-safe in botocore. So
it is done in a thread and under a lock; what STS is asked is asked outside the lock.

A queue's `role_arn` is assumed with the router's own credentials. What STS gives lasts an hour;
botocore renews it from a quarter of an hour before its end, while it is still good, so nobody ever
works with credentials that have run out.
"""

import logging
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from os import devnull
from typing import Any, NamedTuple

from botocore.config import Config
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    DeferredRefreshableCredentials,
    create_assume_role_refresher,
)
from botocore.exceptions import NoCredentialsError, NoRegionError
from botocore.loaders import Loader
from botocore.session import Session

from lambdo_router.adapters.http import Server, server_at
from lambdo_router.adapters.sqs.credentials import CurrentKeys
from lambdo_router.adapters.sqs.failures import FOREIGN
from lambdo_router.adapters.sqs.policy import Caller

_LONGEST_WAIT = 20
_CALL_TIMEOUT = 10
_CONNECT_TIMEOUT = 5
_ASK_TIMEOUT = 2
"""Of a question that is worth less than the time it takes where STS is not to be reached."""
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
    """How to reach SQS. What is None is left to botocore, and so to its variables and files."""

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
    """What distinguishes ways to SQS."""

    region: str | None
    role_arn: str | None
    endpoint: str | None


@dataclass(frozen=True, slots=True)
class Access:
    """Where the requests of one way go, and whose they are."""

    server: Server
    region: str
    """The one that requests are signed for."""
    keys: CurrentKeys


class Identities:
    """Finds the access of each way, and knows whose the credentials are."""

    def __init__(self, settings: SqsSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._sessions: dict[str | None, Session] = {}
        """By the role whose credentials they have; None: the router's own."""
        self._keys: dict[str | None, CurrentKeys] = {}
        self._sts: list[Any] = []
        """Clients of STS that assume roles."""
        self._callers: dict[str | None, Caller | None] = {}
        self._asking: dict[str | None, threading.Lock] = {}
        """Held while STS is asked for the caller of a role."""

    def access(self, way: Way) -> Access:
        """
        Return where and as whom to ask; blocks.

        Raises botocore's errors, ValueError for an endpoint that is none, and SettingsError for
        a proxy or certificates that are none.
        """
        with self._lock:
            session = self._session(way)
            endpoint, region = self._endpoint(session, way)
            if way.role_arn not in self._keys:
                source = session.get_credentials()
                if source is None:
                    raise NoCredentialsError
                self._keys[way.role_arn] = CurrentKeys(source)
            server = server_at(
                endpoint,
                certificates=session.get_config_variable("ca_bundle"),
                direct=self._settings.keys is not None,
            )
            return Access(server, region, self._keys[way.role_arn])

    def caller(self, role_arn: str | None) -> Caller | None:
        """
        Whose credentials those of a role, or the router's own (None), are; None if STS is not to
        be had. Asked once; for a role whose access was found.
        """
        with self._lock:
            asking = self._asking.setdefault(role_arn, threading.Lock())
        with asking:
            if role_arn not in self._callers:
                self._callers[role_arn] = self._ask_who(role_arn)
            return self._callers[role_arn]

    def close(self) -> None:
        """
        Close idle connections, and forget everything.

        Does nothing while an access is looked for: a program that is to give the credentials may
        hang, and a stop must not wait for it.
        """
        if not self._lock.acquire(blocking=False):
            return
        try:
            for sts in self._sts:
                sts.close()
            self._sts.clear()
            self._sessions.clear()
        finally:
            self._lock.release()

    def _endpoint(self, session: Session, way: Way) -> tuple[str, str]:
        """Return the URL and the region that botocore's own client would use."""
        client: Any = session.create_client(
            "sqs",
            region_name=way.region,
            endpoint_url=way.endpoint or self._settings.endpoint_url,
            # Nothing is sent; without keys it would look for some.
            aws_access_key_id="-",
            aws_secret_access_key="-",  # noqa: S106
            config=self._config(_CALL_TIMEOUT, attempts=1),
        )
        with closing(client):
            region = client.meta.region_name
            if region is None:
                raise NoRegionError
            url, *_ = client.generate_presigned_url("list_queues").partition("?")
            return url.rstrip("/"), region

    def _session(self, way: Way) -> Session:
        if None not in self._sessions:
            self._sessions[None] = _own_session(self._settings.keys)
        if way.role_arn is not None and way.role_arn not in self._sessions:
            self._sessions[way.role_arn] = self._session_of_role(way.role_arn, way.region)
        return self._sessions[way.role_arn]

    def _session_of_role(self, role_arn: str, region: str | None) -> Session:
        own = self._sessions[None]
        if own.get_credentials() is None:
            raise NoCredentialsError
        role = own.create_client(
            "sts",
            region_name=region or own.get_config_variable("region") or _WITHOUT_REGION,
            config=self._config(_CALL_TIMEOUT, attempts=3),
        )
        self._sts.append(role)
        asked = {"RoleArn": role_arn, "RoleSessionName": "lambdo-router"}
        session = _light(Session())
        session.register_component(
            "credential_provider", CredentialResolver([_RoleProvider(role, asked)])
        )
        return session

    def _ask_who(self, role_arn: str | None) -> Caller | None:
        if self._settings.keys is not None:
            return None  # a local server's keys are nobody's
        try:
            with self._lock:
                session = self._sessions[role_arn]
                client = session.create_client(
                    "sts",
                    region_name=session.get_config_variable("region") or _WITHOUT_REGION,
                    config=self._config(_ASK_TIMEOUT, attempts=1),
                )
            sts: Any
            with closing(client) as sts:
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


def _own_session(keys: Keys | None) -> Session:
    if keys is None:
        return _light(Session())
    nothing = (None, None, devnull, None)
    unconfigured = Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": nothing,
            "credentials_file": nothing,
        }
    )
    unconfigured.set_credentials(keys.access_key_id, keys.secret_access_key)
    return _light(unconfigured)


def _light(session: Session) -> Session:
    """Spare a session the table of all endpoints of AWS: ten megabytes, and a tenth of a start."""
    # The old way to STS looks up there which region signs.
    if session.get_config_variable("sts_regional_endpoints") != "legacy":
        session.register_component("data_loader", _WithoutEndpoints())
    return session


class _WithoutEndpoints(Loader):
    """Clients go by the rules of their service, which are small; the table is older than these."""

    def load_data_with_path(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON has
        if name == "endpoints":
            return {"partitions": []}, self.BUILTIN_DATA_PATH
        return super().load_data_with_path(name)
