"""
Bounds for answers: their size, and that they are not compressed.

A broken server, or one that is not Fly's, may send endless headers, pages and compressed bodies;
none of them may exhaust the router's memory or block its loop. A successful answer beyond the
bounds is refused as a whole. For a failure the status is enough: only the beginning of its body is
read, and nothing compressed.
"""

import codecs
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Final

import httpx

from lambdo_router.core.errors import LaunchUnavailable

MOST_IN_ANSWER: Final = 4 * 1024 * 1024
"""Bytes: a Machine with all its files has a quarter of that."""
MOST_IN_FAILURE: Final = 64 * 1024
MOST_IN_LIST: Final = 256 * 1024 * 1024
"""Bytes of one page, which is read as it comes: Fly's longest has some 100 MB."""
MOST_HEADERS: Final = 200
_PIECE: Final = 64 * 1024
"""Bytes; a token is far shorter, or no header would carry it."""


def check_head(response: httpx.Response) -> None:
    """Raise LaunchUnavailable for headers beyond the bound."""
    if len(response.headers.raw) > MOST_HEADERS:
        raise _unreadable(f"it has over {MOST_HEADERS} headers")


async def text_of(response: httpx.Response) -> str:
    """
    Return the body of an answer, as far as it matters.

    Raises LaunchUnavailable, ambiguous, for a success whose body is packed or too long.
    """
    content, most = bytearray(), MOST_IN_ANSWER if response.is_success else MOST_IN_FAILURE
    if _is_packed(response):
        return ""
    # Not the response's own readers: they unpack, and decode by whatever codec the headers name.
    async for piece in _stream(response):
        content += piece
        if len(content) > most:
            if response.is_success:
                raise _unreadable(f"it has over {MOST_IN_ANSWER // (1024 * 1024)} MiB")
            break
    return content[:most].decode(errors="replace")


async def pieces_of(response: httpx.Response) -> AsyncIterator[str]:
    """
    Yield the text of a long list as it arrives; a token at its beginning is in the first piece.

    Raises LaunchUnavailable as `text_of` does.
    """
    _is_packed(response)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    piece, come = bytearray(), 0
    async for part in _stream(response):
        piece += part
        come += len(part)
        if come > MOST_IN_LIST:
            raise _unreadable(f"it has over {MOST_IN_LIST // (1024 * 1024)} MiB")
        if len(piece) >= _PIECE:
            yield decoder.decode(piece)
            piece.clear()
    yield decoder.decode(piece, final=True)


def _stream(response: httpx.Response) -> AsyncIterator[bytes]:
    stream = response.stream
    if not isinstance(stream, httpx.AsyncByteStream):  # pragma: no cover - no transport gives one
        raise TypeError("the answer of an asynchronous transport")
    return aiter(stream)


def _is_packed(response: httpx.Response) -> bool:
    """Return whether the body is packed; raise LaunchUnavailable if that matters."""
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return False
    if response.is_success and response.status_code != HTTPStatus.NO_CONTENT:
        raise _unreadable("it is compressed, though it was asked not to be")
    return True


def _unreadable(why: str) -> LaunchUnavailable:
    return LaunchUnavailable(
        f"Machines API: the answer cannot be read: {why}", code="unreadable", ambiguous=True
    )
