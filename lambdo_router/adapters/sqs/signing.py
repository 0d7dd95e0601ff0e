"""
AWS's Signature Version 4, for a POST without a query.

botocore's signer gives the same, as a property test shows, in several times the time: it is made
for every kind of request. (AWS: "Create a signed AWS API request", IAM User Guide.)
"""

import hashlib
import hmac
import time
from collections.abc import Mapping
from functools import lru_cache
from typing import Final
from urllib.parse import quote

from botocore.credentials import ReadOnlyCredentials

_ALGORITHM: Final = "AWS4-HMAC-SHA256"


def signature_headers(
    headers: Mapping[str, str],
    body: bytes,
    *,
    path: str,
    keys: ReadOnlyCredentials,
    scope: tuple[str, str],
    now: float,
) -> dict[str, str]:
    """
    Return what to add to `headers`, which are signed and must have Host among them.

    `scope` is the region and the service; `now` is unix time, by AWS's clock.
    """
    moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now))
    added = {"X-Amz-Date": moment}
    if keys.token:
        added["X-Amz-Security-Token"] = keys.token
    signed = {name.lower(): " ".join(value.split()) for name, value in {**headers, **added}.items()}
    names = ";".join(sorted(signed))
    lines = "".join(f"{name}:{signed[name]}\n" for name in sorted(signed))
    digest = hashlib.sha256(body).hexdigest()
    request = f"POST\n{quote(path, safe='/~')}\n\n{lines}\n{names}\n{digest}"
    where = "/".join((moment[:8], *scope, "aws4_request"))
    hashed = hashlib.sha256(request.encode()).hexdigest()
    to_sign = f"{_ALGORITHM}\n{moment}\n{where}\n{hashed}"
    signature = _hmac(_signing_key(keys.secret_key, where), to_sign).hex()
    credential = f"Credential={keys.access_key}/{where}"
    added["Authorization"] = (
        f"{_ALGORITHM} {credential}, SignedHeaders={names}, Signature={signature}"
    )
    return added


@lru_cache(maxsize=16)
def _signing_key(secret: str, where: str) -> bytes:
    """Return the key of one day, region and service."""
    key = f"AWS4{secret}".encode()
    for part in where.split("/"):
        key = _hmac(key, part)
    return key


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
