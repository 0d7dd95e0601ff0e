"""
Ask a running router over HTTP, for `status` and `top`.

Health checks of containers run `status` every few seconds, so this uses the standard library's
client; the router's own takes a quarter of a second to import.
"""

import http.client
import json
import os
import urllib.parse
from collections.abc import Mapping
from typing import Any

import click

from lambdo_router.config.diagnostics import escape
from lambdo_router.core.urls import is_http

_LARGEST = 64 * 1024 * 1024
"""Bytes of an answer; ten thousand routes take about 8 MB."""
_LONGEST_ERROR = 300
_FORMAT = "1."


class NoAnswer(Exception):
    """The router cannot be reached, or something else answered; the text says what to do."""


def own_url() -> str:
    """Return the local URL of a router with this environment."""
    host = os.environ.get("LAMBDO_ADMIN_HOST", "").strip()
    port = os.environ.get("LAMBDO_ADMIN_PORT", "").strip() or "9091"
    if host in ("", "::", "0.0.0.0"):  # noqa: S104 - compared, not listened on
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _router_url(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    """Convert `http://host:port` or `host:port` to a URL without a trailing slash."""
    url = text if "://" in text else f"http://{text}"
    parts = urllib.parse.urlsplit(url) if is_http(url) else None
    if parts is None or parts.query or parts.fragment or parts.username is not None:
        raise click.BadParameter(f"{text!r} is not an address like http://127.0.0.1:9091")
    return url.rstrip("/")


url_option = click.option(
    "--url",
    metavar="URL",
    callback=_router_url,
    default=own_url,
    show_default="http://127.0.0.1:9091, from LAMBDO_ADMIN_HOST and LAMBDO_ADMIN_PORT",
    help="The URL of the router's own server.",
)


def ask(url: str, path: str, timeout: float) -> Mapping[str, Any]:
    """Return the JSON object at this path of a router. Raises NoAnswer."""
    parts = urllib.parse.urlsplit(url)
    secure = parts.scheme == "https"
    kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=timeout)
    try:
        connection.request("GET", parts.path + path, headers={"Accept": "application/json"})
        answer = connection.getresponse()
        document = _parsed(answer.read(_LARGEST))
    except TimeoutError:
        raise NoAnswer(f"{url} does not answer within {timeout:g} s") from None
    except (OSError, http.client.HTTPException) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise NoAnswer(
            f"no router answers at {url} ({escape(reason)}); check that it is running and that "
            "this is its LAMBDO_ADMIN_PORT, or set --url"
        ) from None
    finally:
        connection.close()
    if not isinstance(document, dict):
        raise _not_a_router(url, answer.status)
    if isinstance(problem := document.get("error"), str):
        raise NoAnswer(f"{url} answers {answer.status}: {escape(problem[:_LONGEST_ERROR])}")
    return document


def ask_status(url: str, timeout: float) -> Mapping[str, Any]:
    """Return the status document that docs/status.md describes. Raises NoAnswer."""
    document = ask(url, "/status", timeout)
    version = str(document.get("format_version", ""))
    if not version:
        raise _not_a_router(url, http.HTTPStatus.OK)
    if not version.startswith(_FORMAT):
        raise NoAnswer(
            f"the router at {url} reports status format {escape(version[:20])}, and this "
            f"lambdo-router supports {_FORMAT}x: use the router's own version"
        )
    return document


def _parsed(body: bytes) -> object:
    try:
        parsed: object = json.loads(body)
    except ValueError:
        return None
    return parsed


def _not_a_router(url: str, status: int) -> NoAnswer:
    return NoAnswer(f"{url} answers {status:d}, but is not a router; set --url to one")
