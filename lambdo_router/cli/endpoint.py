"""`--endpoint-url`: where commands find SQS, and how the queues are called there."""

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

import click

if TYPE_CHECKING:  # imported where they are used: boto3 is not needed to complete an option
    from lambdo_router.adapters.sqs import SqsSettings
    from lambdo_router.core.routing import Queue

F = TypeVar("F", bound=Callable[..., Any])
_LONGEST_WAIT = 20


def endpoint_option(command: F) -> F:
    """The option `--endpoint-url`, which becomes the argument `endpoint_url`."""
    return click.option(
        "--endpoint-url",
        metavar="URL",
        help="Where SQS is; default: AWS_ENDPOINT_URL, else AWS. `dev` prints its own.",
    )(command)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where SQS is; without a URL at AWS, or wherever boto3's own configuration says."""

    url: str | None
    asked_for: bool = False
    """Whether the command line says so: then it goes before the `endpoint` of a queue."""

    @property
    def is_loopback(self) -> bool:
        """Whether it is a server on this machine."""
        from lambdo_router.local.names import is_loopback

        return self.url is not None and is_loopback(self.url)

    def address(self, queue: "Queue") -> "Queue":
        """
        The queue as it is to be looked for there.

        A server on this machine is asked by name: what its queue URLs look like is its own affair,
        and the variables that hold AWS's need not be set. Raises UsageError if one is not that must
        be.
        """
        from lambdo_router.local.names import local_name, stand_in

        if self.is_loopback and (self.asked_for or queue.endpoint is None):
            return stand_in(queue, lookup=local_name(queue))
        written = queue.url or queue.lookup or ""
        if "${" in written:
            raise click.UsageError(
                f"queue `{queue.name}` is at {written}, and that variable is not set; set it to "
                "the queue's URL, or name a server on this machine with --endpoint-url"
            )
        if self.asked_for:
            queue = replace(queue, endpoint=None)
        for key in ("region", "role_arn", "endpoint"):
            if "${" in (getattr(queue, key) or ""):
                raise click.UsageError(
                    f"queue `{queue.name}` has the {key} {getattr(queue, key)}, and that variable "
                    "is not set; set it, or name a server on this machine with --endpoint-url"
                )
        return queue

    def settings(self, wait_seconds: int = _LONGEST_WAIT) -> "SqsSettings":
        """
        How to get there, with the wait of one receive.

        Servers on this machine take any keys, so none are asked for.
        """
        from lambdo_router.adapters.sqs import SqsSettings
        from lambdo_router.local.names import LOCAL_KEYS, LOCAL_REGION

        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not self.is_loopback:
            return SqsSettings(self.url, wait_seconds=wait_seconds)
        keys = None if os.environ.get("AWS_ACCESS_KEY_ID") else LOCAL_KEYS
        return SqsSettings(self.url, region or LOCAL_REGION, wait_seconds, keys)


def endpoint_of(option: str | None) -> Endpoint:
    """What `--endpoint-url` says, or else the environment. Raises UsageError for what is no URL."""
    variables = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")
    url = option or next((os.environ[name] for name in variables if os.environ.get(name)), None)
    if url is None:
        return Endpoint(None)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise click.UsageError(
            f"the endpoint {url!r} is no URL; write one like http://127.0.0.1:4566"
        )
    return Endpoint(url, asked_for=option is not None)
