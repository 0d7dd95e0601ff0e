"""
The address of a remote routes file.

It may contain a user, a password and a query with a token. They are only used in requests; `shown`
is the address without them.
"""

import ipaddress
import re
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote, unquote, urlsplit

Scheme = Literal["s3", "https", "http"]

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+)://")
_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_EXAMPLES = "write one like s3://bucket/routes.yaml or https://example.com/routes.yaml"


@dataclass(frozen=True, slots=True)
class RoutesAddress:
    """A file, and the folder that other names are relative to."""

    scheme: Scheme
    host: str
    """The bucket, or the host with its port, if given."""
    folder: str
    """Empty, or a path that ends with `/`, as in the bucket or in the URL."""
    name: str
    """The name of the file without its folder, never encoded."""
    user: str = ""
    password: str = field(default="", repr=False)
    query: str = field(default="", repr=False)
    """The query of a URL without `?`; it is sent with the request for each file."""

    @property
    def place(self) -> str:
        """The folder, fit to be shown, without a slash at its end."""
        return f"{self.scheme}://{self.host}/{self.folder}".rstrip("/")

    @property
    def shown(self) -> str:
        """The file, fit to be shown."""
        return self.shown_of(self.name)

    def shown_of(self, name: str) -> str:
        """Return the address of another file, by its path from the folder."""
        return f"{self.place}/{name}"

    def url_of(self, name: str) -> str:
        """Return the URL of a file with the query, without user and password."""
        query = f"?{self.query}" if self.query else ""
        return f"{self.scheme}://{self.host}/{self.folder}{quote(name)}{query}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is a server on this machine."""
        return self.scheme != "s3" and _is_loopback(urlsplit(f"//{self.host}").hostname or "")


def is_elsewhere(text: str) -> bool:
    """Return whether this is meant as an address, and not as a path on this machine."""
    return _SCHEME.match(text) is not None


def read_address(text: str) -> RoutesAddress:
    """Return the parsed address. Raises ValueError with what is allowed, without any secret."""
    scheme = _SCHEME.match(text)
    kind = scheme[1].lower() if scheme else ""
    if scheme is None or kind not in ("s3", "https", "http"):
        raise ValueError(f"routes are read from s3:// and https://; {_EXAMPLES}")
    address = _of_bucket(text[scheme.end() :]) if kind == "s3" else _of_web(text)
    steps = [*address.folder.split("/")[:-1], address.name]
    if not address.name or any(unquote(step) in ("", ".", "..") for step in steps):
        raise ValueError(f"the address names no file, or has an empty step or dots; {_EXAMPLES}")
    if address.scheme == "http" and not address.is_loopback:
        raise ValueError("http is only for servers on this machine; write https")
    return address


def allows(address: RoutesAddress, url: str) -> bool:
    """Return whether a redirect from the address to this URL may be followed: never out of TLS."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        _ = parts.port  # raises for one that is not a number
    except ValueError:
        return False
    if parts.scheme == "https":
        return bool(host)
    return parts.scheme == "http" and address.scheme == "http" and _is_loopback(host)


def _of_bucket(text: str) -> RoutesAddress:
    bucket, _, key = text.partition("/")
    if _BUCKET.fullmatch(bucket) is None:
        raise ValueError(f"`s3://` is followed by the name of a bucket and a key; {_EXAMPLES}")
    folder, slash, name = key.rpartition("/")
    return RoutesAddress("s3", bucket, folder + slash, name)


def _of_web(text: str) -> RoutesAddress:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises for one that is not a number
    except ValueError:
        raise ValueError(f"this is no URL; {_EXAMPLES}") from None
    if not parts.hostname or parts.fragment or re.search(r"[\s\\]", text):
        raise ValueError(f"this is no URL of a file; {_EXAMPLES}")
    folder, slash, name = parts.path.removeprefix("/").rpartition("/")
    return RoutesAddress(
        scheme="https" if parts.scheme.lower() == "https" else "http",
        host=parts.netloc.rpartition("@")[2],
        folder=folder + slash,
        name=unquote(name) if "%2f" not in name.lower() else "",
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        query=parts.query,
    )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
