"""The seam to remote files: read one, list them, and what may go wrong."""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from lambdo_router.core.errors import LambdoError
from lambdo_router.service.remote_routes.address import RoutesAddress

MOST_IN_FILE: Final = 4 * 1024 * 1024
"""Bytes; the limit of a routes file."""
_LONGEST_TAG: Final = 1024
"""Characters of an ETag or date, which is sent with each request."""
CONNECT_TIMEOUT: Final = 5.0
READ_TIMEOUT: Final = 10.0
"""Seconds until more bytes arrive."""
FILE_TIMEOUT: Final = 30.0
"""Seconds for a whole file."""


class RoutesUnavailable(LambdoError):
    """
    A file could not be fetched: a transient failure, or one that a person must fix.

    The text says which file, why, and what helps; it contains no secret.
    """


@dataclass(frozen=True, slots=True)
class File:
    """A fetched file, with its ETag or date, which show whether it has changed."""

    content: bytes = field(repr=False)
    etag: str = ""
    modified: str = ""
    """The Last-Modified header, of a server that gives no ETag."""

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.content).hexdigest()


def tag(header: str) -> str:
    """Return an ETag or date for a conditional request; empty if it is too long."""
    return header if len(header) <= _LONGEST_TAG else ""


class RemoteStore(Protocol):
    """A remote folder of files. Its calls block, and are made one at a time."""

    @property
    def address(self) -> RoutesAddress:
        """The routes file, and the folder."""
        ...

    @property
    def can_list(self) -> bool:
        """Whether `names` can list files."""
        ...

    def read(self, name: str, known: File | None) -> File | None:
        """
        Return the file at this path from the folder; None if there is none.

        Returns `known` itself if it has not changed. Raises RoutesUnavailable.
        """
        ...

    def names(self, folder: str) -> Sequence[str]:
        """
        Return the files in a folder and below, as paths from the address's folder.

        `folder` is empty or ends with `/`. Raises RoutesUnavailable.
        """
        ...

    def close(self) -> None:
        """Close connections."""
        ...


def bounded(chunks: Iterable[bytes], shown: str, now: Callable[[], float], give_up: float) -> bytes:
    """Return all chunks. Raises RoutesUnavailable if they are too many or too slow."""
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > MOST_IN_FILE:
            most = MOST_IN_FILE // (1024 * 1024)
            raise RoutesUnavailable(f"{shown}: the file has over {most} MiB; is it the right one?")
        if now() > give_up:
            raise RoutesUnavailable(f"{shown}: it did not come within {FILE_TIMEOUT:g} seconds")
    return bytes(content)
