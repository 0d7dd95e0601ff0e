"""A Machines API that is broken, or somebody else: what its answers may cost."""

import gzip
import time
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
import pytest
from mock_fly import Mocked

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.fly.answers import Answer, failure
from lambdo_router.core.errors import LaunchError, LaunchRejected, LaunchUnavailable, MachineGone
from lambdo_router.core.machine import MachineRequest

REQUEST = MachineRequest("jobs", "lambdo-a-1", "b1", "{}")
PIECE = 32 * 1024
MIB = 1024 * 1024
MACHINE = b'{"id": "1", "name": "lambdo-a-1", "state": "started"}'
Ask = Callable[[FlyMachines], Awaitable[object]]

LAUNCH: Ask = lambda fly: fly.launch(REQUEST)  # noqa: E731
LISTS: list[Ask] = [
    lambda fly: fly.living("jobs"),
    lambda fly: fly.launched_since("jobs", 0.0),
    lambda fly: fly.find(REQUEST),
]


class Endless(httpx.AsyncByteStream):
    """A body of so many pieces, that knows how many were taken."""

    def __init__(self, piece: bytes, pieces: int, first: bytes = b"") -> None:
        self.piece, self.pieces, self.first = piece, pieces, first
        self.taken = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.first
        for _ in range(self.pieces):
            self.taken += 1
            yield self.piece


async def answered(ask: Ask, response: httpx.Response) -> tuple[object, httpx.Request]:
    """What comes of it, be it an error; and the request."""
    asked: list[httpx.Request] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return response

    async with FlyMachines(token="planted-token", session=Mocked(handler)) as fly:
        try:
            return await ask(fly), asked[0]
        except LaunchError as error:
            return error, asked[0]


def unreadable(error: object, why: str) -> None:
    assert isinstance(error, LaunchUnavailable)
    assert why in str(error)
    assert (error.code, error.ambiguous) == ("unreadable", True)


async def test_a_body_of_800_mib_is_read_no_further_than_4() -> None:
    body = Endless(b"x" * PIECE, 800 * MIB // PIECE)
    error, _ = await answered(LAUNCH, httpx.Response(200, stream=body))

    unreadable(error, "Machines API: the answer cannot be read: it has over 4 MiB")
    assert body.taken == 4 * MIB // PIECE + 1


async def test_an_answer_of_4_mib_is_taken() -> None:
    padding = b" " * (4 * MIB - len(MACHINE))
    machine, _ = await answered(LAUNCH, httpx.Response(200, content=MACHINE + padding))

    assert not isinstance(machine, LaunchError)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        pytest.param(503, LaunchUnavailable, "unavailable", id="503"),
        pytest.param(401, LaunchRejected, "bad_token", id="401"),
    ],
)
async def test_of_a_failures_page_only_the_beginning_is_read(
    status: int, kind: type[LaunchError], code: str
) -> None:
    body = Endless(b"x" * PIECE, 800 * MIB // PIECE, b"<html><title>Oh no</title>")
    error, _ = await answered(LAUNCH, httpx.Response(status, stream=body))

    assert isinstance(error, kind)
    assert error.code == code
    assert str(error).startswith(f"Machines API: {status} Oh no")
    assert body.taken == 2


async def test_answers_are_asked_for_as_they_are() -> None:
    for ask in (LAUNCH, *LISTS):
        _, request = await answered(ask, httpx.Response(500))
        assert request.headers["accept-encoding"] == "identity"


BOMB = gzip.compress(b"x" * (8 * MIB), 9)


@pytest.mark.parametrize("ask", [LAUNCH, *LISTS[:2]], ids=["launch", "living", "launched-since"])
@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "identity, gzip", "x-new"])
async def test_what_is_packed_all_the_same_is_not_unpacked(ask: Ask, encoding: str) -> None:
    headers = {"Content-Encoding": encoding}
    body = Endless(BOMB, 1)
    error, _ = await answered(ask, httpx.Response(200, headers=headers, stream=body))

    unreadable(error, "it is compressed, though it was asked not to be")
    assert body.taken == 0


async def test_a_packed_failure_tells_by_its_status() -> None:
    headers = {"Content-Encoding": "gzip"}
    body = Endless(BOMB, 1)
    error, _ = await answered(LAUNCH, httpx.Response(401, headers=headers, stream=body))

    assert isinstance(error, LaunchRejected)
    assert (error.code, body.taken) == ("bad_token", 0)
    assert str(error).startswith("Machines API: 401 Unauthorized; ")


@pytest.mark.parametrize("charset", ["zlib", "bz2", "hex", "rot13", "utf-7", "idna", "nothing"])
async def test_no_codec_that_an_answer_names_is_used(charset: str) -> None:
    body = Endless(zlib.compress(b"x" * MIB), 1)
    headers = {"Content-Type": f"text/html; charset={charset}"}
    error, _ = await answered(LAUNCH, httpx.Response(502, headers=headers, stream=body))

    assert isinstance(error, LaunchUnavailable)
    assert str(error) == "Machines API: 502 a page of HTML"


@pytest.mark.parametrize(
    ("page", "title"),
    [
        pytest.param("<TITLE lang=en>502 Bad</TITLE>", "Bad", id="any-case"),
        pytest.param("<title>a</title><title>b</title>", "a", id="the-first"),
        pytest.param("<html>\n<title>\n  a\n b </title>", "a b", id="over-lines"),
        pytest.param("<html><title>a", "a page of HTML", id="without-an-end"),
        pytest.param("<html><title", "a page of HTML", id="cut-off"),
        pytest.param("<html></title>", "a page of HTML", id="only-its-end"),
        pytest.param("<html><title></title>", "a page of HTML", id="empty"),
        pytest.param("<html>" + "İ" * 100 + "<title>a</title>", "a", id="letters-that-grow"),
    ],
)
def test_the_title_of_a_page(page: str, title: str) -> None:
    assert str(failure(Answer(502, {}, page), "jobs", 0.0)) == f"Machines API: 502 {title}"


@pytest.mark.parametrize("part", ["<title", "<title>", "<title></titl", "</title", "<"])
def test_a_page_of_half_titles_costs_no_more_than_its_length(part: str) -> None:
    page = part * (280_000 // len(part))
    began = time.process_time()
    error = failure(Answer(502, {}, "<" + page), "jobs", 0.0)

    assert str(error) == "Machines API: 502 a page of HTML"
    assert time.process_time() - began < 5.0  # the square of its length took 140 s


@pytest.mark.parametrize("ask", LISTS, ids=["living", "launched-since", "find"])
async def test_a_list_without_an_end_is_given_up(ask: Ask) -> None:
    body = Endless((MACHINE + b",") * 1000, 10_000, b"[")
    error, _ = await answered(ask, httpx.Response(200, stream=body))

    assert isinstance(error, LaunchUnavailable)
    assert error.ambiguous
    assert "the list of the app jobs's Machines does not come to an end" in str(error)
    assert body.taken <= 202


async def test_a_list_of_strangers_without_an_end_is_given_up() -> None:
    body = Endless(b'{"id": "1", "name": "web"},' + b" " * MIB, 10_000, b"[")
    error, _ = await answered(LISTS[0], httpx.Response(200, stream=body))

    unreadable(error, "it has over 256 MiB")
    assert body.taken == 256


async def test_a_machine_with_an_endless_id_is_none() -> None:
    long = b'{"id": "%s", "name": "lambdo-a-1", "state": "started"}' % (b"1" * 256)
    error, _ = await answered(LAUNCH, httpx.Response(200, content=long))
    listed, _ = await answered(LISTS[0], httpx.Response(200, content=b"[" + long + b"]"))

    unreadable(error, "what it answers is no Machine")
    assert listed == []


async def test_a_long_error_in_events_is_cut() -> None:
    events = [
        {"type": "exit", "request": {"exit_event": {"exit_code": 1, "error": "x " * MIB}}},
        {"type": "start", "status": "started"},
    ]
    end, _ = await answered(lambda fly: fly.end_of("jobs", "1"), httpx.Response(200, json=events))

    assert not isinstance(end, MachineGone)
    assert getattr(end, "error", "") == ("x " * 100)[:200] + "..."
