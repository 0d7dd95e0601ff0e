"""
Routes files in an S3 bucket, with the credentials that the router has for SQS.

s3:GetObject on the files is enough. s3:ListBucket is needed for globs, and for S3 to report a
missing object as missing: without it that looks like a denied one.

This is the package's only importer of boto3.
"""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from lambdo_router import __version__
from lambdo_router.service.remote_routes.address import RoutesAddress
from lambdo_router.service.remote_routes.remote_store import (
    CONNECT_TIMEOUT,
    FILE_TIMEOUT,
    READ_TIMEOUT,
    File,
    RoutesUnavailable,
    bounded,
    tag,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_PIECE: Final = 64 * 1024
_MOST_LISTED: Final = 10_000
_MOST_PAGES: Final = 100
"""S3 puts a thousand names on a page, sometimes fewer."""
_NOT_MODIFIED: Final = ("304", "NotModified")
_MISSING: Final = ("NoSuchKey", "404", "NotFound")
_ADVICE: Final = {
    "AccessDenied": "allow s3:GetObject on it; and s3:ListBucket on the bucket, without which a "
    "missing object looks like this",
    "NoSuchBucket": "check the name of the bucket, and AWS_ENDPOINT_URL if it is set",
}
_CREDENTIALS: Final = (
    "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN, or on Fly the role in "
    "AWS_ROLE_ARN"
)
_OF_CREDENTIALS: Final = frozenset(
    {"ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch"}
)
_LONGEST_REASON: Final = 200


class Bucket:
    """A `RemoteStore`."""

    can_list = True

    def __init__(self, address: RoutesAddress) -> None:
        """Raise RoutesUnavailable where boto3's configuration is wrong."""
        self.address = address
        config = Config(
            connect_timeout=CONNECT_TIMEOUT,
            read_timeout=READ_TIMEOUT,
            retries={"total_max_attempts": 2, "mode": "standard"},
            tcp_keepalive=True,
            user_agent_extra=f"lambdo-router/{__version__}",
        )
        try:
            self._client: Any = boto3.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise RoutesUnavailable(f"{address.shown}: {_reason(error)}") from None

    def read(self, name: str, known: File | None) -> File | None:
        """More at `RemoteStore.read`."""
        shown = self.address.shown_of(name)
        give_up = time.monotonic() + FILE_TIMEOUT
        condition = {"IfNoneMatch": known.etag} if known is not None and known.etag else {}
        try:
            answer = self._client.get_object(
                Bucket=self.address.host, Key=self.address.folder + name, **condition
            )
            body = answer["Body"]
            try:
                content = bounded(body.iter_chunks(_PIECE), shown, time.monotonic, give_up)
            finally:
                body.close()
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            if code in _NOT_MODIFIED and known is not None:
                return known
            if code in _MISSING:
                return None
            raise RoutesUnavailable(f"{shown}: {_refusal(error)}") from None
        except (BotoCoreError, OSError) as error:
            raise RoutesUnavailable(f"{shown}: {_reason(error)}") from None
        return File(content, tag(answer.get("ETag", "")))

    def names(self, folder: str) -> "Sequence[str]":
        """More at `RemoteStore.names`."""
        shown = self.address.shown_of(folder)
        found: list[str] = []
        try:
            for key in self._keys(self.address.folder + folder):
                found.append(key.removeprefix(self.address.folder))
                if len(found) > _MOST_LISTED:
                    raise RoutesUnavailable(
                        f"{shown}: over {_MOST_LISTED} objects are there or below; give the files "
                        "that are included a prefix of their own"
                    )
        except ClientError as error:
            raise RoutesUnavailable(f"{shown}: {_refusal(error, listing=True)}") from None
        except (BotoCoreError, OSError) as error:
            raise RoutesUnavailable(f"{shown}: {_reason(error)}") from None
        return found

    def close(self) -> None:
        """Close connections."""
        self._client.close()

    def _keys(self, prefix: str) -> Iterator[str]:
        more: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            answer = self._client.list_objects_v2(Bucket=self.address.host, Prefix=prefix, **more)
            for entry in answer.get("Contents", ()):
                yield entry["Key"]
            if not answer.get("IsTruncated"):
                return
            more = {"ContinuationToken": answer["NextContinuationToken"]}
        shown = self.address.shown_of(prefix.removeprefix(self.address.folder))
        raise RoutesUnavailable(f"{shown}: the list of what is there does not come to an end")


def _refusal(error: ClientError, *, listing: bool = False) -> str:
    said = error.response.get("Error", {})
    code = said.get("Code", "")
    text = f"{code}: {_first_line(said.get('Message', ''))}".rstrip(": .")
    if code == "AccessDenied" and listing:
        return f"{text}; allow s3:ListBucket on the bucket, or name each file in `include`"
    advice = _CREDENTIALS if code in _OF_CREDENTIALS else _ADVICE.get(code, "")
    return f"{text}; {advice}" if advice else text


def _reason(error: Exception) -> str:
    text = _first_line(str(error)) or type(error).__name__
    keys = "redential" in type(error).__name__ or "redential" in text
    return f"{text.rstrip('.')}; {_CREDENTIALS}" if keys else text


def _first_line(text: str) -> str:
    return next(iter(text.strip().splitlines()), "")[:_LONGEST_REASON]
