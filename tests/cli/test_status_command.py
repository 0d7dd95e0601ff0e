"""`status` and `top`: what they make of a router's answer, and of none."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import click
import pytest
from building import entry, profile, route, table
from click.testing import CliRunner, Result
from rich.console import Console
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from lambdo_router.admin.serving import serve
from lambdo_router.cli.router_client import own_url
from lambdo_router.cli.status import command as status_command
from lambdo_router.cli.status.text import lines, period, shown
from lambdo_router.cli.top import command as top_command
from lambdo_router.cli.top import screen
from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import QueueUnavailable
from lambdo_router.core.machine import batch_id_of
from lambdo_router.core.snapshot import MachinesSnapshot, QueueSnapshot, Snapshot
from lambdo_router.telemetry.status import Overview, json_text

NOW = 1_700_000_000.0
LEVELS = Snapshot(
    "g1",
    (QueueSnapshot("q", "reading", 3, 2, {"orders": 2}, 57.0),),
    (MachinesSnapshot("jobs", "worker", 1, 0),),
)


def document(*, failing: bool = True, routes: int = 2, text: str = "exit 1") -> Mapping[str, Any]:
    """The JSON of a router of which something fails, or nothing."""
    clock = [NOW]
    made = [route(f"route-{number}", profile=profile()) for number in range(routes)]
    overview = Overview(lambda: clock[0], {"route-1": "routes.yaml:12"})
    of = Batch(BatchKey("q", made[1], made[1].profile), (entry(),))
    facts: list[journal.Fact] = [
        journal.TableActivated(table(*made), None),
        journal.QueueOpened("q"),
        journal.Polled("q", 1, 0.1),
    ]
    if failing:
        facts += [
            journal.MachineEnded(of, batch_id_of(of), "d8901", "failed", 1, text, 2.0),
            journal.QueueFailed("q", "receive", QueueUnavailable("timed out"), 4.0),
            journal.ReloadFailed(("routes.yaml:3:1: bad [x]",)),
        ]
    for fact in facts:
        overview.observe(fact)
    clock[0] += 2.5
    loaded: Mapping[str, Any] = json.loads(json_text(overview.status(LEVELS)))
    return loaded


# The text


def printed(status: Mapping[str, Any], most: int = 10) -> list[str]:
    return [click.unstyle(line) for line in lines(status, most)]


@pytest.mark.parametrize(
    ("failing", "colour", "end"),
    [
        (True, "yellow", "running for 2.5 s, generation g1, failing: 1 of 2 routes"),
        (False, "green", "running for 2.5 s, generation g1, no route fails"),
    ],
)
def test_the_head_says_in_a_line_whether_it_works(*, failing: bool, colour: str, end: str) -> None:
    head = next(lines(document(failing=failing), 10))

    assert head.startswith(click.style("ready", colour, bold=True) + "  lambdo-router ")
    assert head.endswith(end)


def test_concerns_come_first_then_a_table_of_each_thing_and_what_fails_first_in_it() -> None:
    _, *text = printed(document())
    batch = text[17].split()[0]

    assert text == [
        "  queue q for 2.5 s: receive: timed out",
        "  route route-1 (routes.yaml:12) for 2.5 s: run: exit 1",
        "  reload g1 for 2.5 s: routes.yaml:3:1: bad [x]",
        "",
        "queue  state          held  waiting  in/min  done/min  refused/min  lag  lease",
        "q      failing 2.5 s     3        2       0         0            0        57 s",
        "    receive: timed out, next try in 1.5 s",
        "",
        "route    state          waiting  events/min  Machines/min  failed/min  place",
        "route-1  failing 2.5 s        0           0             0           1  routes.yaml:12",
        "    run: exit 1",
        "route-0  idle 2.5 s           0           0             0           0",
        "",
        "app   profile  running  launching",
        "jobs  worker         1          0",
        "",
        f"{'batch':{len(batch)}}  state   route    events  Machine  region  closed",
        f"{batch}  failed  route-1       1  d8901            2.5 s ago",
        "    exit 1",
        "",
        "failure  last       times  where",
        "queue    2.5 s ago      1  queue q",
        "    receive: timed out",
        f"machine  2.5 s ago      1  route route-1 queue q app jobs Machine d8901 batch {batch}",
        "    exit 1",
        "",
        "reload   at         generation",
        "refused  2.5 s ago  g1",
        "    routes.yaml:3:1: bad [x]",
    ]


def test_what_others_wrote_does_nothing_to_a_terminal() -> None:
    hostile = printed(document(text="\x1b[2J\n[bold]x"))

    assert "\x1b" not in "".join(hostile)
    assert "    run: \\x1b[2J\\n[bold]x" in hostile
    assert shown("\x1b[2J") == "\\x1b[2J"
    assert shown("x" * 300) == "x" * 200 + "..."


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (59.4, "59 s"), (60, "1 min"), (7200, "2 h"), (2e5, "2 d")],
)
def test_periods_are_told_in_their_largest_unit(seconds: float, expected: str) -> None:
    assert period(seconds) == expected


# The screen


def drawn(status: Mapping[str, Any], width: int, height: int, problem: str = "") -> list[str]:
    console = Console(file=io.StringIO(), width=width, force_terminal=True, color_system=None)
    console.begin_capture()
    console.print(screen(status, "http://router:9091", problem, height))
    return console.end_capture().splitlines()


@pytest.mark.parametrize("size", [(40, 20), (80, 24), (200, 60)], ids=str)
def test_as_much_is_shown_as_the_terminal_has_room_for(size: tuple[int, int]) -> None:
    width, height = size
    shown_lines = drawn(document(routes=100), width, height)

    assert len(shown_lines) < height
    assert max(map(len, shown_lines)) <= width
    assert shown_lines[0].startswith("ready  lambdo-router")
    assert any(line.startswith("route-1") for line in shown_lines)


def test_what_is_known_stays_while_the_router_does_not_answer() -> None:
    shown_lines = drawn(document(failing=False), 200, 24, problem="no router answers")

    assert "  http://router:9091 " in shown_lines[0]
    assert shown_lines[1] == "no router answers"
    assert any(line.startswith("route-0") for line in shown_lines)


# The commands


async def _silence(request: Request) -> Response:  # noqa: ARG001 - starlette's signature
    await asyncio.Event().wait()
    return Response()


@asynccontextmanager
async def router(answer: Response, path: str = "/status") -> AsyncIterator[str]:
    async def said(request: Request) -> Response:  # noqa: ARG001
        return answer

    routes = [Route(path, said), Route("/slow/status", _silence)]
    async with serve(Starlette(routes=routes)) as url:
        yield url


async def run(command: Any, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, command, arguments)


@pytest.mark.real_time
@pytest.mark.parametrize("command", [status_command, top_command], ids=["status", "top"])
async def test_a_router_is_told_of_where_there_is_no_terminal(command: Any) -> None:
    async with router(JSONResponse(dict(document()))) as url:
        result = await run(command, "--url", url)

    assert result.exit_code == 0
    for words in ("ready", "q ", "route-1", "exit 1", "routes.yaml:3:1: bad [x]", "57 s"):
        assert words in result.output
    assert "\x1b" not in result.output


@pytest.mark.real_time
async def test_all_rows_are_shown_if_asked_for() -> None:
    async with router(JSONResponse(dict(document(routes=40)))) as url:
        few, everything = (
            await run(status_command, "--url", url),
            await run(status_command, "--url", url, "--all"),
        )

    assert "and 25 more; status --all shows them" in few.output
    assert "route-39" in everything.output


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(HTMLResponse("<p>"), "answers 200, but is not a router", id="no-json"),
        pytest.param(JSONResponse([1]), "answers 200, but is not a router", id="a-list"),
        pytest.param(JSONResponse({"error": "x\x1b"}, 421), "answers 421: x\\x1b", id="an-error"),
        pytest.param(JSONResponse({"at": 1}), "but is not a router", id="another-object"),
        pytest.param(JSONResponse({"format_version": "2.0"}), "supports 1.x", id="a-later-format"),
    ],
)
@pytest.mark.parametrize("command", [status_command, top_command], ids=["status", "top"])
async def test_who_is_no_router_is_told_apart(answer: Response, said: str, command: Any) -> None:
    async with router(answer) as url:
        result = await run(command, "--url", url)

    assert result.exit_code == 1
    assert said in result.output


@pytest.mark.real_time
async def test_one_who_does_not_answer_is_not_waited_for() -> None:
    async with router(JSONResponse({})) as url:
        result = await run(status_command, "--url", f"{url}/slow", "--timeout", "0.1")

    assert (result.exit_code, "does not answer within 0.1 s" in result.output) == (1, True)


@pytest.mark.parametrize("url", ["ftp://x", "http://", "http://x:port", "http://u:p@x", "x?y"])
def test_what_is_no_address_is_wrong_usage(url: str) -> None:
    result = CliRunner().invoke(status_command, ["--url", url])

    assert result.exit_code == 2
    assert "http://127.0.0.1:9091" in result.output


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "http://127.0.0.1:9091"),
        ({"LAMBDO_ADMIN_PORT": "9000", "LAMBDO_ADMIN_HOST": "::"}, "http://127.0.0.1:9000"),
        ({"LAMBDO_ADMIN_HOST": "fdaa::3"}, "http://[fdaa::3]:9091"),
        ({"LAMBDO_ADMIN_HOST": "10.0.0.7"}, "http://10.0.0.7:9091"),
    ],
)
def test_the_router_of_this_environment_is_asked(
    environment: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert own_url() == expected
