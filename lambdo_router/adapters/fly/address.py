"""
The address of the Machines API, and the Authorization header for it.

Both are entered by people: an address with or without a scheme, a token as `fly tokens create`
prints it (`FlyV1 fm2_...`) or as pasted. Error messages never repeat the token.
"""

import ipaddress
import re
from urllib.parse import urlsplit

from lambdo_router.core.errors import SettingsError

PUBLIC_API = "https://api.machines.dev"
"""From anywhere; inside Fly's private network there is also http://_api.internal:4280."""

_SCHEMES = re.compile(r"\s*(?:(?:FlyV1|Bearer)\s+)*", re.IGNORECASE)
_SHORTEST_SECRET = 8
_HOST = re.compile(r"[A-Za-z0-9_.-]+|[0-9A-Fa-f:.]+")


def full_address(text: str) -> str:
    """
    Return the API's address in full, without a slash at its end and without the `/v1` of its paths.

    Without a scheme it is http for this machine and Fly's private network, which speak nothing
    else, and https for the rest. Raises SettingsError for what is no address.
    """
    address = text.strip()
    if "@" in address:
        raise SettingsError(
            "the Machines API's address holds an @, so perhaps a user name or a password; "
            f"write only scheme, host and port, like {PUBLIC_API}"
        )
    if "://" not in address:
        scheme = "http" if _is_private(_host(f"//{address}")) else "https"
        address = f"{scheme}://{address}"
    if not _host(address) or re.match(r"https?://", address, re.IGNORECASE) is None:
        raise SettingsError(
            f"{text!r} is no address of a Machines API; write one like {PUBLIC_API}"
        )
    parts = urlsplit(address)
    if parts.query or parts.fragment:
        raise SettingsError(
            f"the Machines API's address {text!r} has a ? or a #; write one like {PUBLIC_API}"
        )
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme.lower()}://{parts.netloc.lower()}{path}"


def is_private(url: str) -> bool:
    """Return whether an address is on this machine or in Fly's private network: no proxy then."""
    return _is_private(_host(url))


def authorization(token: str) -> str:
    """
    Return the Authorization header: `FlyV1` for Fly's own tokens (fm1r, fm1a, fm2), else `Bearer`.

    A scheme that came along with the token is dropped. Raises SettingsError for a token that is
    empty or that no header can carry.
    """
    bare = _bare(token)
    if not bare:
        raise SettingsError(
            "the Fly token is empty; `fly tokens create deploy -a APP` makes one for an app"
        )
    if re.fullmatch(r"[!-~]+", bare) is None:
        raise SettingsError(
            "the Fly token holds a space, a line break or a letter outside ASCII; paste it again, "
            "on one line, as `fly tokens create deploy -a APP` prints it"
        )
    return f"{'FlyV1' if bare.startswith('fm') else 'Bearer'} {bare}"


def secret_parts(token: str) -> tuple[str, ...]:
    """
    Return what must not be shown of a token: all of it, and each of its comma-separated parts.

    What is shorter than 8 characters is no secret, and hiding it would tear holes into words.
    """
    parts = {_bare(token), *_bare(token).split(",")}
    return tuple(sorted((part for part in parts if len(part) >= _SHORTEST_SECRET), key=len))[::-1]


def _bare(token: str) -> str:
    """
    Return the token without a scheme and without the space that pasting adds.

    Those of several apps, joined by commas, may bring a scheme each.
    """
    return ",".join(_SCHEMES.sub("", part, count=1).strip() for part in token.split(","))


def _host(url: str) -> str:
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises for one that is no number
    except ValueError:
        return ""
    host = parts.hostname or ""
    return host if _HOST.fullmatch(host) else ""


def _is_private(host: str) -> bool:
    if host == "localhost" or host.endswith((".localhost", ".internal")):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
