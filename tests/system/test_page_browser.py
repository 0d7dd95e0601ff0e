"""
The page in a browser: a headless Chromium of the system, driven by Playwright.

Every page that is opened here must come to its end without an error on its console, without a
violation of its content security policy, and without a request to anywhere else.

The pictures in docs/images are made here too, where UPDATE_SCREENSHOTS=1 is set.
"""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe  # type: ignore[import-untyped]
from building import profile, route, table
from in_thread import InThread, in_thread
from memory_queue import MemoryQueue
from page_scene import BAD_IMAGE, HOSTILE, IMAGES, VIDEOS, Scene, failing, working
from pages import ROOT
from playwright.sync_api import Browser, Page, expect, sync_playwright
from scenario import WALL, Scenario, ScriptedLauncher, SpiedQueue, running

from lambdo_router.admin import admin_app
from lambdo_router.admin.page import Page as RouterPage
from lambdo_router.admin.serving import serve
from lambdo_router.core.errors import LaunchRejected
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.routing import Match
from lambdo_router.core.snapshot import Snapshot
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.router import Limits
from lambdo_router.telemetry.status import Overview

CHROMIUM = shutil.which("chromium")
IMAGES_FOLDER = ROOT / "docs" / "images"
_ARGUMENTS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
_PATIENCE = 20_000
"""Milliseconds; on a busy machine a browser takes its time."""
_VIOLATIONS = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (it) => violations.push(it.violatedDirective));
"""

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a Chromium: apt-get install chromium"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        expect.set_options(timeout=_PATIENCE)
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_ARGUMENTS))
        yield started
        started.close()


@dataclass
class Reader:
    """Opens pages, and notes what must not happen on them."""

    browser: Browser
    wrong: list[str] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)

    def open(self, url: str, **context: object) -> Page:
        made = self.browser.new_context(**context)  # type: ignore[arg-type]
        page = made.new_page()
        page.set_default_timeout(_PATIENCE)
        page.add_init_script(_VIOLATIONS)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("console", lambda it: self.wrong.append(f"console: {it.text}"))
        page.on("dialog", lambda it: self.wrong.append(f"dialog: {it.message}"))
        page.on("request", lambda it: self.wrong.extend([it.url] * (not it.url.startswith(url))))
        page.goto(url)
        self.pages.append(page)
        return page

    def close(self) -> None:
        """Before the server ends: to lose it is an error on the console."""
        for page in self.pages:
            if page.evaluate("typeof violations === 'object'"):
                self.wrong += page.evaluate("violations")
            page.context.close()
        self.pages.clear()


@pytest.fixture
def reader(browser: Browser) -> Iterator[Reader]:
    made = Reader(browser)
    yield made
    made.close()
    assert made.wrong == []


@dataclass
class Shown:
    """A made-up router whose page is served."""

    scene: Scene
    url: str


@asynccontextmanager
async def shown(scene: Scene, port: int = 0) -> AsyncIterator[Shown]:
    app = admin_app(FailureReports(None), more=scene.page.routes())  # type: ignore[arg-type]
    async with serve(app, port=port) as url:
        yield Shown(scene, f"{url}/")


@pytest.fixture
def well() -> Iterator[InThread[Shown]]:
    with in_thread(lambda: shown(working(WALL))) as made:
        yield made


@pytest.fixture
def ill() -> Iterator[InThread[Shown]]:
    with in_thread(lambda: shown(failing(WALL))) as made:
        yield made


# A real router


@dataclass
class Routing:
    """A real router on queues and a Fly in memory, whose page is served."""

    scenario: Scenario
    launcher: ScriptedLauncher
    url: str


@asynccontextmanager
async def routing() -> AsyncIterator[Routing]:
    made = table(
        route(
            "images",
            profile=profile(name="thumbs", acknowledge="success", batch_size=1),
            match=Match(attributes=compile_pattern({"kind": ["image"]})),
        ),
        route("others", profile=profile(name="worker", image="registry.fly.io/jobs:2")),
    )
    queue = MemoryQueue("q", wait_time=0.1)
    launcher = ScriptedLauncher(runs_for=60)
    clock: Callable[[], float] = lambda: WALL + asyncio.get_running_loop().time()  # noqa: E731
    overview = Overview(clock, {"others": "routes.yaml:21"})

    def look_on(scenario: Scenario) -> None:
        scenario.onlookers += [overview.observe, page.observe]
        levels.append(scenario.router.snapshot)

    levels: list[Callable[[], Snapshot]] = []
    page = RouterPage(lambda: overview.status(levels[0]()), lambda: overview.table, clock)
    fast = Limits(launch_rate=1000.0, launch_burst=1000, grace=1.0)
    async with running(
        made, launcher, limits=fast, queues={"q": SpiedQueue(queue)}, prepare=look_on
    ) as scenario:
        app = admin_app(scenario.reports, more=page.routes())
        async with serve(app) as url:
            yield Routing(scenario, launcher, f"{url}/")


def test_traffic_and_what_fails_show_as_they_happen(reader: Reader) -> None:
    with in_thread(routing) as made:
        routed = made.value
        page = reader.open(routed.url)
        images = page.locator("[data-region=routes] > [data-key='=images']")
        others = page.locator("[data-region=routes] > [data-key='=others']")
        expect(page.locator("[data-live-text]")).to_have_text("live")
        expect(page).to_have_title("All is well - lambdo-router")
        expect(images).to_contain_text("idle")

        made.call(lambda: routed.scenario.put("{}", "{}", "{}", kind="image"))
        expect(images).to_contain_text("3 routed/min")
        expect(images).to_contain_text("working")
        expect(page.locator("[data-region=machines] > [data-key='=jobs/thumbs']")).to_contain_text(
            "3 running"
        )
        expect(page.locator("[data-region=batch-rows] tr")).to_have_count(3)
        expect(page.locator(".wires g:not(.idle) text").first).to_have_text("3/min")

        routed.launcher.script += [LaunchRejected(f"400 {HOSTILE}", code="bad_image")] * 9
        made.call(lambda: routed.scenario.put("{}"))
        expect(others).to_have_class("card is-bad")
        expect(page).to_have_title("Ready, but one thing fails - lambdo-router")
        concern = page.locator(".concern")
        expect(concern).to_contain_text("routes.yaml:21")
        expect(concern.locator(".why")).to_have_text(f"launch: 400 {HOSTILE}")
        expect(page.locator("[role=status]")).to_have_text(
            "Ready, but one thing fails: route others."
        )
        assert "failing" in str(page.locator("link[rel=icon]").get_attribute("href"))
        reader.close()


# A made-up one


def test_what_senders_and_fly_write_stays_text(ill: InThread[Shown], reader: Reader) -> None:
    scene = ill.value.scene
    page = reader.open(ill.value.url)
    refused = LaunchRejected(HOSTILE, code="bad_image")
    ill.call(lambda: scene.refuse(scene.batch(VIDEOS, "uploads", 1), refused, 9.0))
    expect(page.locator("[data-region=failure-rows]")).to_contain_text(HOSTILE)
    page.fill("#try-attributes", f"kind={HOSTILE}")
    page.fill("#try-body", "{}")
    page.click("#try button")
    expect(page.locator(".answer")).to_contain_text("kind:")
    expect(page.locator(".answer")).to_contain_text("<img src=x onerror=")

    assert page.locator("main img, main script").count() == 0


def test_everything_can_be_reached_and_done_by_keyboard(
    well: InThread[Shown], reader: Reader
) -> None:
    page = reader.open(well.value.url)

    def press_until(text: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            if text in page.evaluate("document.activeElement.textContent"):
                return
        raise AssertionError(f"{text} is not reached")

    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to what fails, and the map")
    assert page.locator(":focus").bounding_box()["y"] >= 0  # type: ignore[index]
    press_until("Pause")
    page.keyboard.press("Enter")
    expect(page.locator("[data-live-text]")).to_have_text("paused")
    page.keyboard.press("Enter")
    expect(page.locator("[data-live-text]")).to_have_text("live")
    page.focus("#try-queue")
    page.keyboard.press("Tab")
    page.keyboard.type("kind=image")
    page.keyboard.press("Tab")
    page.keyboard.type("{}")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator(".answer .verdict")).to_have_text("It takes the route image-uploads")


def test_what_a_reader_has_opened_and_is_at_stays_so_when_it_changes(
    well: InThread[Shown], reader: Reader
) -> None:
    scene = well.value.scene
    page = reader.open(well.value.url)
    row = page.locator("[data-region=batch-rows] tr").first
    key = row.get_attribute("data-key")
    row.locator("summary").click()
    batch = well.call(lambda: next(b for b in scene.status().batches if f"={b.id}" == key))
    made = well.call(lambda: scene.batch(IMAGES, "uploads", 1))
    well.call(lambda: scene.launch(made))
    expect(page.locator("[data-region=batch-rows] tr").first).not_to_have_attribute(
        "data-key", str(key)
    )
    kept = page.locator(f"[data-region=batch-rows] tr[data-key='{key}']")

    expect(kept.locator("details")).to_have_attribute("open", "")
    expect(kept.locator("summary")).to_be_focused()
    expect(kept).to_contain_text(batch.events[0].message_id)


def test_on_a_phone_nothing_is_wider_than_the_screen(ill: InThread[Shown], reader: Reader) -> None:
    for width in (320, 390):
        page = reader.open(ill.value.url, viewport={"width": width, "height": 800})
        expect(page.locator("[data-live-text]")).to_have_text("live")
        assert page.evaluate("document.documentElement.scrollWidth") == width


def test_without_a_script_the_tables_are_there_and_the_form_works(
    ill: InThread[Shown], reader: Reader
) -> None:
    page = reader.open(ill.value.url, java_script_enabled=False)

    expect(page.get_by_role("table", name="Routes").get_by_role("row")).to_have_count(6)
    expect(page.locator("[data-live]")).to_be_hidden()
    expect(page.locator(".concern").first).to_contain_text("routes.yaml:23")
    page.fill("#try-body", '{"a": "</textarea><b>"}')
    page.click("#try button")
    expect(page.locator(".answer .verdict")).to_have_text(
        "Rejected: moved to queue rejected (unmatched)"
    )
    expect(page.locator("#try-body")).to_have_value('{"a": "</textarea><b>"}')
    reader.pages.clear()
    page.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_wrong(scheme: str, ill: InThread[Shown], reader: Reader) -> None:
    page = reader.open(ill.value.url, color_scheme=scheme)
    page.fill("#try-attributes", "kind=video")
    page.fill("#try-body", "{}")
    page.click("#try button")
    page.wait_for_selector(".answer")
    results = Axe().run(page, options={"resultTypes": ["violations"]})

    assert results.response["violations"] == [], results.generate_report()
    reader.wrong.clear()  # what axe itself says on the console


def test_nothing_moves_for_who_does_not_want_it(well: InThread[Shown], reader: Reader) -> None:
    page = reader.open(well.value.url, reduced_motion="reduce")
    expect(page.locator("[data-live-text]")).to_have_text("live")
    moving = "document.getAnimations().filter((it) => it.playState === 'running').length"

    assert page.evaluate(moving) == 0


def test_a_lost_connection_is_said_and_found_again(reader: Reader) -> None:
    scene = working(WALL)
    with in_thread(lambda: shown(scene)) as first:
        url = first.value.url
        page = reader.open(url)
        expect(page.locator("[data-live-text]")).to_have_text("live")
    expect(page.locator("[data-live-text]")).to_have_text("no connection, trying again")
    again = working(WALL)
    again.refuse(again.batch(VIDEOS, "uploads", 1), BAD_IMAGE, 15.0)
    with in_thread(lambda: shown(again, int(url.rstrip("/").rpartition(":")[2]))):
        expect(page.locator("[data-live-text]")).to_have_text("live")
        expect(page).to_have_title("Ready, but one thing fails - lambdo-router")
        reader.close()
    reader.wrong = [it for it in reader.wrong if "ERR_" not in it]


def _picture(page: Page, path: Path) -> None:
    page.screenshot(path=path)
    assert path.stat().st_size < 150_000


def test_pictures_for_the_documentation(
    well: InThread[Shown], ill: InThread[Shown], reader: Reader, tmp_path: Path
) -> None:
    """Those in the docs are replaced with UPDATE_SCREENSHOTS=1; they are made at every run."""
    folder = IMAGES_FOLDER if os.environ.get("UPDATE_SCREENSHOTS") else tmp_path
    screen = {"width": 1120, "height": 780}
    page = reader.open(well.value.url, viewport=screen, reduced_motion="reduce")
    expect(page.locator("[data-live-text]")).to_have_text("live")
    _picture(page, folder / "page-working.png")
    taller = {"width": 1120, "height": 840}
    page = reader.open(ill.value.url, viewport=taller, color_scheme="dark", reduced_motion="reduce")
    expect(page.locator("[data-live-text]")).to_have_text("live")
    _picture(page, folder / "page-failing.png")
    phone = {"width": 390, "height": 844}
    page = reader.open(ill.value.url, viewport=phone, reduced_motion="reduce")
    expect(page.locator("[data-live-text]")).to_have_text("live")
    _picture(page, folder / "page-phone.png")
    page = reader.open(well.value.url, viewport=screen, reduced_motion="reduce")
    page.fill("#try-attributes", "kind=video")
    page.fill("#try-body", '{"object": {"key": "holiday.mp4", "size": 48211}}')
    page.click("#try button")
    page.wait_for_selector(".answer")
    page.locator("#try").evaluate("it => it.scrollIntoView()")
    _picture(page, folder / "page-try.png")
