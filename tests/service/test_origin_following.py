"""Routes from elsewhere, from the first load on: what is fetched, kept, told and passed over."""

import asyncio
import os
import shutil
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from lambdo_router.config.diagnostics import ConfigError
from lambdo_router.config.load import Examined, LoadedRoutes, examine_routes
from lambdo_router.config.read.files import Mirror
from lambdo_router.config.watch import LoadFailed, Reloaded
from lambdo_router.service.remote_routes import snapshot
from lambdo_router.service.remote_routes.address import RoutesAddress, read_address
from lambdo_router.service.remote_routes.cache import Cache, cache_folder
from lambdo_router.service.remote_routes.following import RoutesOrigin
from lambdo_router.service.remote_routes.remote_store import File, RoutesUnavailable

pytestmark = pytest.mark.real_time

Change = Reloaded[LoadedRoutes] | LoadFailed

ROUTES = """\
version: 1
queues: {orders: {name: orders, reject_to: rejected}, rejected: {name: rejected}}
profiles: {worker: {app: jobs, image: "jobs:1"}}
routes: [{name: %s, queue: orders, schema: schemas/order.json, profile: worker}]
"""
SCHEMA = '{"type": "object", "properties": {"id": {"$ref": "id.json"}}}'
ID = '{"type": "integer"}'
BROKEN = ROUTES % "first" + "roots: []\n"


@dataclass
class Shelf:
    """A `Place` in memory."""

    address: RoutesAddress = read_address("s3://acme/deploy/routes.yaml")
    can_list: bool = True
    texts: dict[str, str] = field(default_factory=dict)
    away: str = ""
    """Why nothing can be read, if so."""
    defect: Exception | None = None
    asked: list[str] = field(default_factory=list)
    closed: bool = False
    _reads: "asyncio.Queue[str] | None" = None
    _loop: asyncio.AbstractEventLoop | None = None

    async def reads(self, count: int) -> None:
        """Wait until so many more files have been asked for."""
        self._reads, self._loop = asyncio.Queue(), asyncio.get_running_loop()
        async with asyncio.timeout(10):
            for _ in range(count):
                await self._reads.get()

    def read(self, name: str, known: File | None) -> File | None:
        self.asked.append(name)
        if self._loop is not None and self._reads is not None:
            self._loop.call_soon_threadsafe(self._reads.put_nowait, name)
        if self.defect is not None:
            raise self.defect
        if self.away:
            raise RoutesUnavailable(f"{self.address.shown_of(name)}: {self.away}")
        if name not in self.texts:
            return None
        file = File(self.texts[name].encode())
        return known if known == file else file

    def names(self, folder: str) -> Sequence[str]:
        return [name for name in self.texts if name.startswith(folder)]

    def close(self) -> None:
        self.closed = True


def stocked(name: str = "first") -> Shelf:
    texts = {"routes.yaml": ROUTES % name, "schemas/order.json": SCHEMA, "schemas/id.json": ID}
    return Shelf(texts=texts)


def load(path: Path, mirror: Mirror) -> Examined:
    return examine_routes(path, {}, mirror=mirror)


@asynccontextmanager
async def origin_of(shelf: Shelf, folder: Path, poll: float = 60.0) -> AsyncIterator[RoutesOrigin]:
    cache = Cache(folder, shelf.address)
    origin = RoutesOrigin(shelf, cache, load, poll=poll, quiet=0.0, jitter=lambda: 0.5)
    try:
        yield origin
    finally:
        await origin.aclose()
    assert shelf.closed


@dataclass
class Following:
    """A reader of the changes, who asks for a look and waits for what comes of it."""

    changes: AsyncGenerator[Change, None]
    nudge: asyncio.Event

    async def next(self) -> Change:
        async with asyncio.timeout(10):
            self.nudge.set()
            return await anext(self.changes)


@asynccontextmanager
async def following(shelf: Shelf, folder: Path, poll: float = 60.0) -> AsyncIterator[Following]:
    async with origin_of(shelf, folder, poll) as origin:
        start = await origin.start()
        nudge = asyncio.Event()
        changes = origin.follow(start.loaded, nudge)
        try:
            yield Following(changes, nudge)
        finally:
            await changes.aclose()


def route(loaded: LoadedRoutes) -> str:
    return loaded.table.routes[0].name


# The first load


async def test_all_that_the_routes_file_leads_to_is_fetched_once(tmp_path: Path) -> None:
    shelf = stocked()
    async with origin_of(shelf, tmp_path) as origin:
        start = await origin.start()

    assert route(start.loaded) == "first"
    assert start.instead == ""
    assert shelf.asked == ["routes.yaml", "schemas/order.json", "schemas/id.json"]


async def test_it_means_the_same_as_on_disk(tmp_path: Path) -> None:
    shelf = stocked()
    for name, text in shelf.texts.items():
        (tmp_path / "disk" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "disk" / name).write_text(text)
    local = examine_routes(tmp_path / "disk/routes.yaml", {})
    async with origin_of(shelf, tmp_path / "cache") as origin:
        start = await origin.start()

    assert start.loaded.generation == local.generation


INCLUDING = """\
version: 1
include: [routes.d/*.yaml, teams/*/routes.yaml]
queues: {orders: {name: orders}}
defaults: {app: jobs, image: "jobs:1"}
"""
INCLUDED = "version: 1\nroutes: [{name: %s, queue: orders, profile: {}, schema: %s}]\n"


async def test_globs_mean_what_they_mean_on_disk(tmp_path: Path) -> None:
    shelf = Shelf(
        texts={
            "routes.yaml": INCLUDING,
            "routes.d/b.yaml": INCLUDED % ("b", "../schemas/id.json"),
            "routes.d/a.yaml": INCLUDED % ("a", "id.json"),
            "routes.d/.hidden.yaml": "no: yaml",
            "routes.d/deeper/c.yaml": "no: yaml",
            "routes.d/id.json": ID,
            "teams/x/routes.yaml": INCLUDED % ("x", "../../schemas/id.json"),
            "teams/x/../y.yaml": "a key of S3 can be anything",
            "schemas/id.json": ID,
        }
    )
    async with origin_of(shelf, tmp_path) as origin:
        start = await origin.start()

    assert [each.name for each in start.loaded.table.routes] == ["a", "b", "x"]
    assert sorted(set(shelf.asked)) == [
        *("routes.d/a.yaml", "routes.d/b.yaml", "routes.d/id.json", "routes.yaml"),
        *("schemas/id.json", "teams/x/routes.yaml"),
    ]


async def test_where_files_cannot_be_listed_a_glob_is_an_error_at_its_place(tmp_path: Path) -> None:
    shelf = Shelf(read_address("https://h.example/a/routes.yaml?t=planted"), can_list=False)
    shelf.texts["routes.yaml"] = INCLUDING
    async with origin_of(shelf, tmp_path) as origin:
        with pytest.raises(ConfigError) as refused:
            await origin.start()

    assert [str(each).partition("; ")[0] for each in refused.value.diagnostics] == [
        f"https://h.example/a/routes.yaml:2:{column}: `include` has the text "
        f'"{text}", and the files there cannot be listed'
        for column, text in ((11, "routes.d/*.yaml"), (28, "teams/*/routes.yaml"))
    ]
    assert "planted" not in str(refused.value)
    assert refused.value.sources["https://h.example/a/routes.yaml"][1] == INCLUDING.split("\n")[1]


@pytest.mark.parametrize(
    "schema", ["../x.json", "/etc/hostname", "a/../../x.json", "schemas/../../deploy/x.json"]
)
async def test_nothing_is_read_from_outside_of_the_folder(tmp_path: Path, schema: str) -> None:
    shelf = stocked()
    shelf.texts["routes.yaml"] = (ROUTES % "first").replace("schemas/order.json", schema)
    async with origin_of(shelf, tmp_path) as origin:
        with pytest.raises(ConfigError) as refused:
            await origin.start()

    (diagnostic,) = refused.value.diagnostics
    assert str(diagnostic).startswith(
        "s3://acme/deploy/routes.yaml:4:47: "
        f'`schema` is the text "{schema}", which is not at s3://acme/deploy or below'
    )
    assert shelf.asked == ["routes.yaml"]


@pytest.mark.parametrize("entry", ["../x.yaml", "/etc/passwd", "a/../../x.yaml"])
async def test_nothing_is_included_from_outside_of_the_folder(tmp_path: Path, entry: str) -> None:
    shelf = stocked()
    shelf.texts["routes.yaml"] += f"include: [{entry}]\n"
    async with origin_of(shelf, tmp_path) as origin:
        with pytest.raises(ConfigError) as refused:
            await origin.start()

    assert {each.code for each in refused.value.diagnostics} == {"include-not-allowed"}
    assert not [name for name in shelf.asked if "x.yaml" in name or "passwd" in name]


async def test_a_file_that_is_named_and_not_there_is_told_at_its_place(tmp_path: Path) -> None:
    shelf = stocked()
    del shelf.texts["schemas/id.json"]
    async with origin_of(shelf, tmp_path) as origin:
        with pytest.raises(ConfigError) as refused:
            await origin.start()

    (diagnostic,) = refused.value.diagnostics
    assert (diagnostic.file, diagnostic.code) == (
        "s3://acme/deploy/routes.yaml",
        "schema-not-readable",
    )
    assert str(tmp_path) not in str(diagnostic)


async def test_no_routes_file_is_told(tmp_path: Path) -> None:
    async with origin_of(Shelf(), tmp_path) as origin:
        with pytest.raises(ConfigError) as refused:
            await origin.start()

    assert str(refused.value) == (
        "s3://acme/deploy/routes.yaml:1:1: there is no such file [file-not-found]"
    )


@pytest.mark.parametrize(
    ("limit", "most", "said"),
    [
        ("MOST_FILES", 2, "s3://acme/deploy/routes.yaml: it leads to over 2 files"),
        ("MOST_IN_ALL", 200, "s3://acme/deploy/routes.yaml: it leads to over 0 MiB of files"),
    ],
)
async def test_what_it_leads_to_has_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, limit: str, most: int, said: str
) -> None:
    monkeypatch.setattr(snapshot, limit, most)
    async with origin_of(stocked(), tmp_path) as origin:
        with pytest.raises(RoutesUnavailable) as refused:
            await origin.start()

    assert str(refused.value) == said


# Where the place does not give a good file at the start


async def test_a_place_that_is_away_is_replaced_by_the_last_good_copy(tmp_path: Path) -> None:
    async with origin_of(stocked(), tmp_path) as origin:
        first = await origin.start()
    away = stocked("second")
    away.away = "no answer"
    async with origin_of(away, tmp_path) as origin:
        start = await origin.start()

    assert start.loaded.generation == first.loaded.generation
    assert start.instead.startswith(
        "s3://acme/deploy/routes.yaml: no answer; going on with the last good copy, of 20"
    )
    assert start.instead.endswith(f" UTC (generation {first.loaded.generation})")


async def test_a_bad_file_is_replaced_by_the_last_good_copy_and_told(tmp_path: Path) -> None:
    async with origin_of(stocked(), tmp_path) as origin:
        first = await origin.start()
    bad = stocked()
    bad.texts["routes.yaml"] = BROKEN
    async with origin_of(bad, tmp_path) as origin:
        start = await origin.start()

    assert start.loaded.generation == first.loaded.generation
    assert start.instead.startswith("what is there cannot be used; going on with the last good")
    assert [each.code for each in start.diagnostics] == ["unknown-key"]
    assert start.sources["s3://acme/deploy/routes.yaml"][-2] == "roots: []"


async def test_without_a_copy_a_place_that_is_away_is_the_end(tmp_path: Path) -> None:
    shelf = stocked()
    shelf.away = "no answer"
    async with origin_of(shelf, tmp_path) as origin:
        with pytest.raises(RoutesUnavailable, match="no answer"):
            await origin.start()


async def test_the_copy_of_another_address_is_not_taken(tmp_path: Path) -> None:
    async with origin_of(stocked(), tmp_path) as origin:
        await origin.start()
    other = Shelf(read_address("s3://acme/staging/routes.yaml"), away="no answer")
    async with origin_of(other, tmp_path) as origin:
        with pytest.raises(RoutesUnavailable):
            await origin.start()


def damage(version: Path, how: str) -> None:
    match how:
        case "half-a-file":
            (version / "files/routes.yaml").write_text("version: 1\n")
        case "a-file-is-gone":
            (version / "files/schemas/id.json").unlink()
        case "no-manifest":
            (version / "manifest.json").unlink()
        case "empty-manifest":
            (version / "manifest.json").write_text("")
        case "a-link-to-nowhere":
            shutil.rmtree(version)


@pytest.mark.parametrize(
    "how", ["half-a-file", "a-file-is-gone", "no-manifest", "empty-manifest", "a-link-to-nowhere"]
)
async def test_a_damaged_copy_is_none(tmp_path: Path, how: str) -> None:
    shelf = stocked()
    async with origin_of(shelf, tmp_path) as origin:
        await origin.start()
    good = Cache(tmp_path, shelf.address).good()
    assert good is not None
    damage(good.folder.parent, how)

    assert Cache(tmp_path, shelf.address).good() is None


async def test_a_few_copies_are_kept_and_no_more(tmp_path: Path) -> None:
    shelf = stocked()
    async with following(shelf, tmp_path) as reader:
        for number in range(5):
            shelf.texts["routes.yaml"] = ROUTES % f"route-{number}"
            await reader.next()
        shelf.texts["routes.yaml"] = BROKEN
        await reader.next()

    folder = Cache(tmp_path, shelf.address).folder
    names = sorted(name.partition("-")[0] for name in os.listdir(folder))  # noqa: PTH208 - names are wanted
    assert names == ["good", "v", "v"]
    assert "route-4" in (folder / "good/files/routes.yaml").read_text()


# After the start


async def test_a_change_of_any_file_is_news(tmp_path: Path) -> None:
    shelf = stocked()
    async with following(shelf, tmp_path) as reader:
        shelf.texts["routes.yaml"] = ROUTES % "second"
        second = await reader.next()
        shelf.texts["schemas/id.json"] = '{"type": "string"}'
        third = await reader.next()

    assert isinstance(second, Reloaded)
    assert isinstance(third, Reloaded)
    assert route(second.loaded) == route(third.loaded) == "second"
    assert second.loaded.generation != third.loaded.generation


async def test_a_file_that_comes_into_a_glob_is_news(tmp_path: Path) -> None:
    shelf = Shelf(texts={"routes.yaml": INCLUDING, "schemas/id.json": ID})
    shelf.texts["routes.d/a.yaml"] = INCLUDED % ("a", "../schemas/id.json")
    async with following(shelf, tmp_path, poll=0.01) as reader:
        shelf.texts["routes.d/b.yaml"] = INCLUDED % ("b", "../schemas/id.json")
        change = await asyncio.wait_for(anext(reader.changes), 10)

    assert isinstance(change, Reloaded)
    assert [each.name for each in change.loaded.table.routes] == ["a", "b"]


async def test_it_looks_by_itself_and_what_has_not_changed_is_no_news(tmp_path: Path) -> None:
    shelf = stocked()
    async with following(shelf, tmp_path, poll=0.001) as reader:
        next_one = asyncio.ensure_future(anext(reader.changes))
        await shelf.reads(30)
        assert not next_one.done()
        shelf.texts["routes.yaml"] = ROUTES % "second"
        assert isinstance(await asyncio.wait_for(next_one, 10), Reloaded)


async def test_a_bad_file_is_told_with_every_diagnostic_and_changes_nothing(tmp_path: Path) -> None:
    shelf = stocked()
    async with following(shelf, tmp_path) as reader:
        shelf.texts["routes.yaml"] = BROKEN.replace("profile: worker", "profile: wrker")
        bad = await reader.next()
        again = await reader.next()
        shelf.texts["routes.yaml"] = ROUTES % "first"
        good = await reader.next()

    assert isinstance(bad, LoadFailed)
    assert [each.code for each in bad.diagnostics] == ["unknown-profile", "unknown-key"]
    assert again == bad, "whoever asks is told again"
    assert isinstance(good, Reloaded), "the same as before the failure, and told all the same"


async def test_a_place_that_goes_away_is_told_and_asked_again(tmp_path: Path) -> None:
    shelf = stocked()
    structlog.reset_defaults()
    with capture_logs() as logs:
        async with following(shelf, tmp_path, poll=0.001) as reader:
            shelf.away = "no answer"
            next_one = asyncio.ensure_future(anext(reader.changes))
            await shelf.reads(4)  # with the fourth, what came of three was told
            shelf.texts["routes.yaml"] = ROUTES % "second"
            shelf.away = ""
            change = await asyncio.wait_for(next_one, 10)

    assert isinstance(change, Reloaded)
    assert logs[0] == {
        "event": "routes.unavailable",
        "log_level": "warning",
        "reason": "s3://acme/deploy/routes.yaml: no answer",
        "failures": 1,
        "next_try_in": 0.0,
    }
    assert [each["failures"] for each in logs[:3]] == [1, 2, 3]
    assert logs[-1]["event"] == "routes.available"


async def test_a_defect_in_here_does_not_stop_the_router(tmp_path: Path) -> None:
    shelf = stocked()
    structlog.reset_defaults()
    with capture_logs() as logs:
        async with following(shelf, tmp_path) as reader:
            next_one = asyncio.ensure_future(anext(reader.changes))
            shelf.defect = ValueError("a defect")
            for _ in range(2):
                reader.nudge.set()
                await shelf.reads(1)
            shelf.texts["routes.yaml"] = ROUTES % "second"
            shelf.defect = None
            reader.nudge.set()
            assert isinstance(await asyncio.wait_for(next_one, 10), Reloaded)

    assert logs[0]["event"] == "routes.look_crashed"


async def test_after_the_last_good_copy_the_place_is_news_when_it_is_back(tmp_path: Path) -> None:
    async with origin_of(stocked(), tmp_path) as origin:
        await origin.start()
    shelf = stocked("second")
    shelf.away = "no answer"
    async with following(shelf, tmp_path) as reader:
        shelf.away = ""
        change = await reader.next()

    assert isinstance(change, Reloaded)
    assert route(change.loaded) == "second"


# Where copies are kept


def test_the_cache_is_where_it_is_asked_to_be(tmp_path: Path) -> None:
    home = {"HOME": str(tmp_path / "home")}
    xdg = {"XDG_CACHE_HOME": str(tmp_path / "xdg"), **home}

    assert cache_folder(str(tmp_path / "a/b"), home) == tmp_path / "a/b"
    assert cache_folder("", xdg) == tmp_path / "xdg/lambdo-router"
    assert cache_folder("", home) == tmp_path / "home/.cache/lambdo-router"
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700


def test_without_a_home_it_is_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "file").write_text("")

    expected = tmp_path / f"lambdo-router-{os.getuid()}"
    assert cache_folder("", {}) == expected
    assert cache_folder("", {"HOME": str(tmp_path / "file")}) == expected


def test_a_cache_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(OSError, match=r"file"):
        cache_folder(str(tmp_path / "file/cache"), {})


async def test_a_disk_that_takes_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shelf = stocked()
    origin = RoutesOrigin(shelf, Cache(tmp_path / "file", shelf.address), load)
    with pytest.raises(RoutesUnavailable, match="LAMBDO_ROUTES_CACHE names another"):
        await origin.start()
    await origin.aclose()


async def test_who_asked_is_told_that_nothing_is_new_or_why_nothing_could_be_seen(
    tmp_path: Path,
) -> None:
    shelf, nudge = stocked(), asyncio.Event()
    reasons: asyncio.Queue[str] = asyncio.Queue()
    async with origin_of(shelf, tmp_path) as origin:
        start = await origin.start()
        changes = origin.follow(start.loaded, nudge, reasons.put_nowait)
        waiting = asyncio.ensure_future(anext(changes))
        told = []
        for away in ("", "no answer"):
            shelf.away = away
            nudge.set()
            told.append(await asyncio.wait_for(reasons.get(), 10))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await changes.aclose()

    assert told == ["", "s3://acme/deploy/routes.yaml: no answer"]
