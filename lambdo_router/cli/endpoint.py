"""`--endpoint-url`: where commands find SQS, and the names of the queues there."""

import os
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import click

from lambdo_router.core.urls import is_http

if TYPE_CHECKING:  # imported where they are used: botocore is not needed to complete an option
    from lambdo_router.adapters.sqs import SqsSettings
    from lambdo_router.core.routing import Queue

_LONGEST_WAIT = 20


endpoint_option = click.option(
    "--endpoint-url",
    metavar="URL",
    help="The URL of SQS; default: AWS_ENDPOINT_URL, else AWS. `dev` prints its own.",
)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """The URL of SQS; None: AWS, or what the configuration of AWS clients says."""

    url: str | None
    asked_for: bool = False
    """Whether it is from the command line: then it takes precedence over a queue's `endpoint`."""

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        from lambdo_router.local.names import is_loopback

        return self.url is not None and is_loopback(self.url)

    def address(self, queue: "Queue") -> "Queue":
        """
        Return the queue with its address there.

        On this machine queues are looked up by name, because their URLs depend on the server, and
        the variables with AWS's URLs need not be set. Raises UsageError for one that must be.
        """
        from lambdo_router.local.names import local_name, stand_in

        if self.is_loopback and (self.asked_for or queue.endpoint is None):
            return stand_in(queue, lookup=local_name(queue))
        address = queue.url or queue.lookup or ""
        _require_set(queue, f"is at {address}", address, "set it to the queue's URL")
        if self.asked_for:
            queue = replace(queue, endpoint=None)
        for key in ("region", "role_arn", "endpoint"):
            value = getattr(queue, key) or ""
            _require_set(queue, f"has the {key} {value}", value, "set it")
        return queue

    def settings(self, wait_seconds: int = _LONGEST_WAIT) -> "SqsSettings":
        """
        Return the settings for a connection, with the wait of one receive.

        Servers on this machine accept any keys, so none need to be configured.
        """
        from lambdo_router.adapters.sqs import SqsSettings
        from lambdo_router.local.names import LOCAL_KEYS, LOCAL_REGION

        region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
        if not self.is_loopback:
            return SqsSettings(self.url, wait_seconds=wait_seconds)
        keys = None if os.environ.get("AWS_ACCESS_KEY_ID") else LOCAL_KEYS
        return SqsSettings(self.url, region or LOCAL_REGION, wait_seconds, keys)


def endpoint_of(option: str | None) -> Endpoint:
    """Return the endpoint of `--endpoint-url` or the environment. Raises UsageError for no URL."""
    variables = ("AWS_ENDPOINT_URL_SQS", "AWS_ENDPOINT_URL")
    url = option or next((os.environ[name] for name in variables if os.environ.get(name)), None)
    if url is None:
        return Endpoint(None)
    if not is_http(url):
        raise click.UsageError(
            f"the endpoint {url!r} is not a URL; write one like http://127.0.0.1:4566"
        )
    return Endpoint(url, asked_for=option is not None)


def _require_set(queue: "Queue", what: str, value: str, remedy: str) -> None:
    if "${" in value:
        raise click.UsageError(
            f"queue `{queue.name}` {what}, and that variable is not set; {remedy}, or name a "
            "server on this machine with --endpoint-url"
        )
