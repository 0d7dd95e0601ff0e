"""
Asks a running router over HTTP, for `status` and `top`.

A container's health check starts this every few seconds, so it does with the standard library's
client: that of the router itself takes a quarter of a second to load.
"""

import http.client
import json
import os
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from lambdo_router.config.diagnostics import escape

_LARGEST = 64 * 1024 * 1024
"""Bytes of an answer; ten thousand routes take about 8 MB."""
_LONGEST_ERROR = 300
_FORMAT = "1."
_NO_ROUTER = "{url} answers {status}, and not as a router does; --url says where it is"


class NoAnswer(Exception):
    """Nothing, or nothing that a router says; the text says what, and what to do."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a JSON object."""

    status: int
    document: Mapping[str, Any]


def own_url() -> str:
    """Where a router with this environment listens, as it can be reached from here."""
    host = os.environ.get("LAMBDO_ADMIN_HOST", "").strip()
    port = os.environ.get("LAMBDO_ADMIN_PORT", "").strip() or "9091"
    if host in ("", "::", "0.0.0.0"):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class RouterUrl(click.ParamType):  # type: ignore[type-arg] # generic for type checkers only
    """`http://host:port`, or `host:port`; comes as a URL without a slash at its end."""

    name = "url"

    def convert(
        self,
        value: Any,  # noqa: ANN401 - click's signature
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str:
        text = str(value)
        url = text if "://" in text else f"http://{text}"
        try:
            parts = urllib.parse.urlsplit(url)
            valid = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        except ValueError:
            valid = None
        if not valid or parts.query or parts.fragment or parts.username is not None:
            self.fail(f"{text!r} is no address like http://127.0.0.1:9091", param, ctx)
        return url.rstrip("/")


url_option = click.option(
    "--url",
    type=RouterUrl(),
    default=own_url,
    show_default="http://127.0.0.1:9091, by LAMBDO_ADMIN_HOST and LAMBDO_ADMIN_PORT",
    help="Where the router's own server is.",
)


def ask(url: str, path: str, timeout: float) -> Answer:
    """`GET` this path of a router. Raises NoAnswer."""
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path + path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        body = answer.read(_LARGEST)
    except TimeoutError:
        raise NoAnswer(f"{url} does not answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoAnswer(
            f"no router answers at {url} ({escape(reason)}); is it running, and is this its "
            "LAMBDO_ADMIN_PORT? --url says where it is"
        ) from None
    finally:
        connection.close()
    return Answer(answer.status, _document(url, answer.status, body))


def ask_status(url: str, timeout: float) -> Mapping[str, Any]:
    """Everything that a router knows, as docs/status.md describes it. Raises NoAnswer."""
    document = ask(url, "/status", timeout).document
    version = str(document.get("format_version", ""))
    if not version:
        raise NoAnswer(_NO_ROUTER.format(url=url, status=200))
    if not version.startswith(_FORMAT):
        raise NoAnswer(
            f"the router at {url} tells of itself in format {escape(version[:20])}, and this "
            f"lambdo-router knows {_FORMAT}x: take the router's own version"
        )
    return document


def _document(url: str, status: int, body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise NoAnswer(_NO_ROUTER.format(url=url, status=status))
    if isinstance(error := document.get("error"), str):
        raise NoAnswer(f"{url} answers {status}: {escape(error[:_LONGEST_ERROR])}")
    return document
