"""
Routes files on a web server: https, and http on this machine.

User, password and query of the address are sent to its own host only. Redirects are followed, but
never out of TLS, and never with these to another host. Answers must be uncompressed, since the size
of unpacked data has no bound.

This is the package's only importer of httpx.
"""

import time
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin

import httpx

from lambdo_router import __version__
from lambdo_router.service.remote_routes.address import RoutesAddress, allows
from lambdo_router.service.remote_routes.remote_store import (
    CONNECT_TIMEOUT,
    FILE_TIMEOUT,
    READ_TIMEOUT,
    File,
    RoutesUnavailable,
    bounded,
    tag,
)

_MOST_REDIRECTS: Final = 5
_MISSING: Final = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
_REFUSED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_FOLLOWED: Final = (301, 302, 303, 307, 308)
_LONGEST_REASON: Final = 200
_MOST_HEADERS: Final = 200


class Web:
    """A `RemoteStore`. Files cannot be listed: HTTP has no word for it."""

    can_list = False

    def __init__(self, address: RoutesAddress) -> None:
        self.address = address
        secret = httpx.BasicAuth(address.user, address.password)
        self._auth = secret if address.user or address.password else None
        self._client = httpx.Client(
            headers={
                "Accept": "*/*",
                "Accept-Encoding": "identity",
                "User-Agent": f"lambdo-router/{__version__}",
            },
            timeout=httpx.Timeout(READ_TIMEOUT, connect=CONNECT_TIMEOUT),
            trust_env=not address.is_loopback,
        )

    def read(self, name: str, known: File | None) -> File | None:
        """More at `RemoteStore.read`."""
        shown = self.address.shown_of(name)
        give_up = time.monotonic() + FILE_TIMEOUT
        url = self.address.url_of(name)
        for _ in range(_MOST_REDIRECTS + 1):
            try:
                request = self._client.build_request("GET", url, headers=_conditions(known))
                # Not the client's own: a redirect to another host must not take the password along.
                auth = self._auth if request.url.netloc == self._own_host else None
                response = self._client.send(request, auth=auth, stream=True)
                try:
                    found = self._taken(response, shown, known, give_up)
                finally:
                    response.close()
            except (httpx.RequestError, httpx.InvalidURL, OSError) as error:
                # OSError: TLS errors in mid-stream, which httpx lets through.
                raise RoutesUnavailable(f"{shown}: {self._reason(error)}") from None
            if not isinstance(found, str):
                return found
            url = urljoin(url, found)
            if not allows(self.address, url):
                raise RoutesUnavailable(f"{shown}: the server sends on to an address without TLS")
        raise RoutesUnavailable(f"{shown}: the server sends on more than {_MOST_REDIRECTS} times")

    def names(self, folder: str) -> tuple[str, ...]:
        """Never called, since `can_list` says no."""
        raise RoutesUnavailable(f"{self.address.shown_of(folder)}: files cannot be listed here")

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    @property
    def _own_host(self) -> bytes:
        return httpx.URL(self.address.url_of("")).netloc

    def _taken(
        self, response: httpx.Response, shown: str, known: File | None, give_up: float
    ) -> File | str | None:
        """Return the file, None if there is none, or the address of a redirect."""
        status, headers = response.status_code, response.headers
        if len(headers.raw) > _MOST_HEADERS:
            raise RoutesUnavailable(f"{shown}: the answer has over {_MOST_HEADERS} headers")
        if status in _FOLLOWED and "location" in headers:
            return str(headers["location"])
        if status == HTTPStatus.NOT_MODIFIED and known is not None:
            return known
        if status in _MISSING:
            return None
        if status != HTTPStatus.OK:
            raise RoutesUnavailable(f"{shown}: {_refusal(status)}")
        if headers.get("content-encoding", "identity") != "identity":
            raise RoutesUnavailable(f"{shown}: the server compresses though it was asked not to")
        content = bounded(response.iter_raw(), shown, time.monotonic, give_up)
        return File(content, tag(headers.get("etag", "")), tag(headers.get("last-modified", "")))

    def _reason(self, error: Exception) -> str:
        """Return why there was no answer, without secrets of the address."""
        text = " ".join(str(error).split()) or type(error).__name__
        for secret in (self.address.query, self.address.password, self.address.user):
            text = text.replace(secret, "...") if secret else text
        return text[:_LONGEST_REASON]


def _conditions(known: File | None) -> dict[str, str]:
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.modified} if known.modified else {}


def _refusal(status: int) -> str:
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = ""
    said = f"the server answers {status} {phrase}".rstrip()
    if status in _REFUSED:
        return f"{said}; write user and password, or a query with a token, into the address"
    return said
