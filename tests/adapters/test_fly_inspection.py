"""What Fly says of a token, its regions and the time, in all the forms in which it may say it."""

import time
from email.utils import formatdate
from typing import Any

import aiohttp
import httpx
import pytest
from mock_fly import Mocked
from scripted_runner import ScriptedRunner

from lambdo_router.adapters.fly import FlyInspector
from lambdo_router.adapters.fly.inspection import FlyFacts, RegionFacts, TokenFacts
from lambdo_router.admin.serving import serve
from lambdo_router.core.errors import LaunchUnavailable
from lambdo_router.local.machines_server import (
    Access,
    MachinesServer,
    RateLimits,
    machines_app,
)
from lambdo_router.local.machines_server.create import REGIONS

TOKEN = "fm2_planted-token"


async def facts(token: Any, regions: Any, **answer: Any) -> FlyFacts:
    """What is made of these answers; a number is an answer with that status."""

    def handle(request: httpx.Request) -> httpx.Response:
        content = token if request.url.path == "/v1/tokens/current" else regions
        if isinstance(content, int):
            return httpx.Response(content, json={"error": "no"}, **answer)
        return httpx.Response(200, json=content, **answer)

    async with FlyInspector(token=TOKEN, session=Mocked(handle)) as fly:
        return await fly.inspect()


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        pytest.param(
            [{"org_slug": "acme", "apps": ["jobs", "more"]}],
            TokenFacts(frozenset({"jobs", "more"}), frozenset({"acme"})),
            id="of-apps",
        ),
        pytest.param(
            [{"organization": "acme"}], TokenFacts(None, frozenset({"acme"})), id="of-all-apps"
        ),
        pytest.param(
            [{"apps": ["a"]}, {"apps": ["b"]}],
            TokenFacts(frozenset({"a", "b"}), frozenset()),
            id="two-tokens",
        ),
        pytest.param(
            [{"apps": ["a"]}, {"apps": []}], TokenFacts(None, frozenset()), id="one-of-all-apps"
        ),
        pytest.param(
            [{"apps": ["a"], "restricted_to_machine": "m1"}],
            TokenFacts(frozenset({"a"}), frozenset(), "m1"),
            id="of-a-machine",
        ),
        pytest.param([], None, id="none"),
        pytest.param(["?"], None, id="no-objects"),
        pytest.param("?", None, id="no-list"),
    ],
)
async def test_a_token(tokens: Any, expected: TokenFacts | None) -> None:
    assert (await facts({"tokens": tokens}, {})).token == expected


@pytest.mark.parametrize(
    "regions",
    [
        {"regions": [{"code": "iad"}, {"code": "old", "deprecated": True}], "nearest": "iad"},
        {"Regions": [{"Code": "iad", "Deprecated": False}, {"Code": "old", "Deprecated": True}]},
    ],
)
async def test_regions(regions: Any) -> None:
    expected = RegionFacts(frozenset({"iad"}), frozenset({"old"}))

    assert (await facts(404, regions)) == FlyFacts(None, expected, 0.0)


@pytest.mark.parametrize("answer", [404, 401, 500, {}, [], {"regions": [{"name": "?"}]}])
async def test_an_api_that_does_not_know_the_questions_is_good_all_the_same(answer: Any) -> None:
    assert await facts(answer, answer) == FlyFacts(None, None, 0.0)


@pytest.mark.parametrize(
    ("off", "ahead"),
    [
        pytest.param(0.0, 0.0, id="right"),
        pytest.param(-100.0, 100.0, id="fly-is-behind"),
        pytest.param(100.0, -100.0, id="fly-is-ahead"),
    ],
)
async def test_the_clock(off: float, ahead: float) -> None:
    date = formatdate(time.time() + off, usegmt=True)

    found = (await facts({}, {}, headers={"date": date})).ahead

    assert abs(found - ahead) <= (0.0 if ahead == 0.0 else 2.0)


@pytest.mark.parametrize("date", ["", "yesterday"])
async def test_a_date_that_is_none_says_nothing(date: str) -> None:
    assert (await facts({}, {}, headers={"date": date})).ahead == 0.0


async def test_where_nothing_listens_it_is_told() -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        raise aiohttp.ConnectionTimeoutError

    async with FlyInspector(token=TOKEN, session=Mocked(handle)) as fly:
        with pytest.raises(LaunchUnavailable, match="no connection in time"):
            await fly.inspect()


@pytest.mark.real_time
@pytest.mark.parametrize(
    ("apps", "token"),
    [
        ({"jobs"}, TokenFacts(frozenset({"jobs"}), frozenset({"local"}))),
        (None, TokenFacts(None, frozenset({"local"}))),
    ],
)
async def test_the_embedded_server_answers_as_fly_does(
    apps: set[str] | None, token: TokenFacts
) -> None:
    server = MachinesServer(
        ScriptedRunner(), Access({TOKEN: apps}), limits=RateLimits(enabled=False)
    )
    async with server.running(), serve(machines_app(server)) as url:
        async with FlyInspector(token=f"FlyV1 {TOKEN}", base_url=url) as fly:
            found = await fly.inspect()
        async with FlyInspector(token="fm2_wrong", base_url=url) as fly:
            wrong = await fly.inspect()

    assert found == FlyFacts(token, RegionFacts(frozenset(REGIONS), frozenset()), 0.0)
    assert wrong.token is None


@pytest.mark.real_time
async def test_the_embedded_server_tells_of_each_of_several_tokens() -> None:
    access = Access({"fm2_a": {"jobs"}, "fm2_b": {"jobs-2"}})
    server = MachinesServer(ScriptedRunner(), access, limits=RateLimits(enabled=False))
    async with (
        server.running(),
        serve(machines_app(server)) as url,
        FlyInspector(token="FlyV1 fm2_a,FlyV1 fm2_b", base_url=url) as fly,
    ):
        found = await fly.inspect()

    assert found.token == TokenFacts(frozenset({"jobs", "jobs-2"}), frozenset({"local"}))
