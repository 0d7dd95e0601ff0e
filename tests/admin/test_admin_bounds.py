"""What a stranger may take of the router's own server: memory, time, places, lines of the log."""

import asyncio
import json
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from logged import log_of_its_own
from page_scene import Scene, working
from scenario import WALL
from starlette.types import ASGIApp, Message

from lambdo_router.admin import admin_app
from lambdo_router.admin.guard import LARGEST_BODY
from lambdo_router.admin.page import page
from lambdo_router.admin.page.templates import render
from lambdo_router.admin.page.try_message import read_form
from lambdo_router.core.journal import Fact
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.telemetry.logs import configure_logs
from lambdo_router.telemetry.status import Overview


def ignore(fact: Fact) -> None:
    """Observes nothing."""


def app_of(scene: Scene, observe: Callable[[Fact], None] = ignore) -> ASGIApp:
    reports = FailureReports(None, "http://router")  # type: ignore[arg-type]
    return admin_app(reports, observe=observe, more=scene.page.routes())


def client(app: ASGIApp) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app)
    return httpx.AsyncClient(transport=transport, base_url="http://router")


class Sender:
    """Somebody who posts, and whose body comes when the test says so."""

    def __init__(self, path: str, **headers: str) -> None:
        named = {"host": "router", **headers}
        self.scope = {
            "type": "http",
            "method": "POST",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in named.items()],
        }
        self.asked_for_body = asyncio.Event()
        self.body: asyncio.Queue[Message] = asyncio.Queue()
        self.answers: list[Message] = []

    def gives(self, body: bytes) -> None:
        self.body.put_nowait({"type": "http.request", "body": body, "more_body": False})

    def leaves(self) -> None:
        self.body.put_nowait({"type": "http.disconnect"})

    async def receive(self) -> Message:
        self.asked_for_body.set()
        return await self.body.get()

    async def send(self, message: Any) -> None:
        self.answers.append(message)

    async def post(self, app: ASGIApp) -> int:
        await app(self.scope, self.receive, self.send)
        return self.status

    @property
    def status(self) -> int:
        return int(self.answers[0]["status"]) if self.answers else 0


# The page's form


def form(attributes: bytes = b"", body: bytes = b"1", queue: bytes = b"uploads") -> bytes:
    made = b"queue=" + queue + b"&attributes=" + attributes + b"&body=" + body
    assert LARGEST_BODY * 0.9 < len(made) <= LARGEST_BODY
    return made


@pytest.mark.real_time
@pytest.mark.parametrize(
    "content",
    [
        pytest.param(form(b"a\n" * 590_000), id="lines-without-an-equals-sign"),
        pytest.param(form(b"a=1\n" * 290_000), id="the-same-attribute-again-and-again"),
        pytest.param(form(b"\n" * 1_190_000), id="empty-lines"),
        pytest.param(form(b'"' * 1_190_000 + b"=1"), id="a-name-of-quotes"),
        pytest.param(form(b"kind=" + b"%22" * 390_000), id="a-value-of-escapes"),
        pytest.param(form(body=b"%00" * 390_000), id="a-body-of-escapes"),
        pytest.param(form(body=b'"' * 1_100_000), id="a-body-of-quotes"),
        pytest.param(form(queue=b"%01" * 390_000), id="no-queue-but-escapes"),
        pytest.param(b'%00"' * 290_000, id="no-form"),
    ],
)
async def test_a_form_takes_no_more_than_a_few_times_its_size(content: bytes) -> None:
    async with client(app_of(working(WALL))) as http:
        await http.post("/explain", content=b"queue=uploads&body=1")  # templates are loaded
        tracemalloc.start()
        answer = await http.post("/explain", content=content)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    assert answer.status_code in (200, 400)
    assert len(answer.content) < 5 * len(content) + 100_000
    assert peak < 15 * len(content)


@pytest.mark.real_time
async def test_a_form_is_answered_off_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    threads: list[int] = []

    def of_form(body: bytes) -> object:
        threads.append(threading.get_ident())
        return read_form(body)

    def of_template(template: str, values: dict[str, Any]) -> object:
        threads.append(threading.get_ident())
        return render(template, values)

    monkeypatch.setattr(page, "read_form", of_form)
    monkeypatch.setattr(page, "render", of_template)
    async with client(app_of(working(WALL))) as http:
        await http.post("/explain", content=b"queue=uploads&body=1")

    assert len(threads) == 3  # the form, its answer, the page
    assert threading.get_ident() not in threads


@pytest.mark.real_time
async def test_forms_are_read_two_at_a_time_and_more_than_ten_are_turned_away() -> None:
    app = app_of(working(WALL))
    senders = [Sender("/explain") for _ in range(11)]
    posting = [asyncio.create_task(sender.post(app)) for sender in senders]
    await asyncio.gather(*(sender.asked_for_body.wait() for sender in senders[:2]))
    turned_away = await posting[10]
    read = [sender.asked_for_body.is_set() for sender in senders]
    for sender in senders:
        sender.gives(b"queue=uploads&body=1")

    assert turned_away == 503
    assert read == [True, True, *[False] * 9]
    assert await asyncio.gather(*posting[:10]) == [200] * 10


# Reports


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({}, 401, id="no-token"),
        pytest.param({"authorization": "Bearer x"}, 404, id="no-such-batch"),
    ],
)
async def test_the_body_of_a_stranger_s_report_is_not_read(
    headers: dict[str, str], status: int
) -> None:
    sender = Sender("/reports/b1", **headers)

    assert await sender.post(app_of(working(WALL))) == status
    assert not sender.asked_for_body.is_set()


async def test_a_wrong_token_is_refused_before_the_body_is_read() -> None:
    reports = FailureReports(None, "http://router")  # type: ignore[arg-type]
    reports.open("b1", "jobs", ["m1"], deadline=2e9)
    sender = Sender("/reports/b1", authorization="Bearer x")

    assert await sender.post(admin_app(reports)) == 401
    assert not sender.asked_for_body.is_set()


@pytest.fixture
def _logs_as_before() -> Iterator[None]:
    with log_of_its_own():
        yield


@pytest.mark.usefixtures("_logs_as_before")
async def test_a_thousand_junk_reports_are_two_lines_and_two_failures(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs = configure_logs("json", "info", lambda: 0.0, lambda: WALL)
    overview = Overview(lambda: WALL)

    def observe(fact: Fact) -> None:
        logs.observe(fact)
        overview.observe(fact)

    async with client(app_of(working(WALL), observe)) as http:
        for number in range(500):
            headers = {"Authorization": f"Bearer {number}"}
            await http.post(f"/reports/b{number}", content=f"junk {number}")
            await http.post(f"/reports/b{number}", content="x" * number, headers=headers)

    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(line["event"], line["status"]) for line in lines] == [
        ("report.refused", 401),
        ("report.refused", 404),
    ]
    assert len(overview.status(working(WALL).levels).failures) == 2


@pytest.mark.parametrize("path", ["/explain", "/reports/b1"])
async def test_who_leaves_in_the_middle_of_a_body_is_no_defect(path: str) -> None:
    reports = FailureReports(None, "http://router")  # type: ignore[arg-type]
    address = reports.open("b1", "jobs", ["m1"], deadline=2e9)
    assert address is not None
    app = admin_app(reports, more=working(WALL).page.routes())
    sender = Sender(path, authorization=f"Bearer {address.token}")
    sender.leaves()

    assert await sender.post(app) == 400  # nobody hears it
