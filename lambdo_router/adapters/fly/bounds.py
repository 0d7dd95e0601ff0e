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

import aiohttp

from lambdo_router.adapters.http import beginning_of
from lambdo_router.core.errors import LaunchUnavailable

MOST_IN_ANSWER: Final = 4 * 1024 * 1024
"""Bytes: a Machine with all its files has a quarter of that."""
MOST_IN_FAILURE: Final = 64 * 1024
MOST_IN_LIST: Final = 256 * 1024 * 1024
"""Bytes of one page, which is read as it comes: Fly's longest has some 100 MB."""
MOST_HEADERS: Final = 200
_PIECE: Final = 64 * 1024
"""Bytes; a token is far shorter, or no header would carry it."""


def is_success(response: aiohttp.ClientResponse) -> bool:
    return HTTPStatus.OK <= response.status < HTTPStatus.MULTIPLE_CHOICES


async def text_of(response: aiohttp.ClientResponse) -> str:
    """
    Return the body of an answer, as far as it matters.

    Raises LaunchUnavailable, ambiguous, for a success whose body is packed or too long.
    """
    if _is_packed(response):
        return ""
    most = MOST_IN_ANSWER if is_success(response) else MOST_IN_FAILURE
    content = await beginning_of(response, most)
    if len(content) > most and is_success(response):
        raise _unreadable(f"it has over {MOST_IN_ANSWER // (1024 * 1024)} MiB")
    # Not the response's own reader, which decodes by whatever codec the headers name.
    return content[:most].decode(errors="replace")


async def pieces_of(response: aiohttp.ClientResponse) -> AsyncIterator[str]:
    """
    Yield the text of a long list as it arrives; a token at its beginning is in the first piece.

    Raises LaunchUnavailable as `text_of` does.
    """
    _is_packed(response)
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    piece, come = bytearray(), 0
    while part := await response.content.readany():
        piece += part
        come += len(part)
        if come > MOST_IN_LIST:
            raise _unreadable(f"it has over {MOST_IN_LIST // (1024 * 1024)} MiB")
        if len(piece) >= _PIECE:
            yield decoder.decode(piece)
            piece.clear()
    yield decoder.decode(piece, final=True)


def _is_packed(response: aiohttp.ClientResponse) -> bool:
    """Return whether the body is packed; raise LaunchUnavailable if that matters."""
    encoding = response.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return False
    if is_success(response) and response.status != HTTPStatus.NO_CONTENT:
        raise _unreadable("it is compressed, though it was asked not to be")
    return True


def _unreadable(why: str) -> LaunchUnavailable:
    return LaunchUnavailable(
        f"Machines API: the answer cannot be read: {why}", code="unreadable", ambiguous=True
    )
