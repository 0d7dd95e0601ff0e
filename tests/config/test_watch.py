import asyncio
import os
import shutil
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from lambdo_router.config import watch
from lambdo_router.config.diagnostics import ConfigError, Diagnostic
from lambdo_router.config.load import LoadedRoutes, load_routes
from lambdo_router.config.watch import LoadFailed, News, Reloaded, Settling, follow

A, B = Path("a"), Path("b")


@dataclass(frozen=True)
class Config:
    """What the tests load: `generation` is the text of the file."""

    generation: str
    inputs: tuple[Path, ...] = ()


def problem(text: str) -> tuple[Diagnostic, ...]:
    return (Diagnostic("a", 1, 1, "code", text),)


# When to load.


@pytest.mark.parametrize(
    ("looks", "pauses"),
    [
        pytest.param([(0.0, "x")], [0.5], id="what-was-never-loaded-is-loaded"),
        pytest.param([(0.0, "x"), (0.25, "x"), (0.5, "x")], [0.5, 0.25, 0.0], id="once-quiet"),
        pytest.param(
            [(0.0, "x"), (0.25, "y"), (0.5, "z"), (0.75, "z"), (1.0, "z")],
            [0.5, 0.5, 0.5, 0.25, 0.0],
            id="while-it-changes-it-waits",
        ),
        pytest.param([(0.0, "x"), (9.0, "x")], [0.5, -8.5], id="long-overdue"),
        pytest.param([(0.0, "x"), (0.25, None), (0.5, "x")], [0.5, 0.5, 0.5], id="gone-and-back"),
    ],
)
def test_a_change_is_loaded_once_it_is_quiet(
    looks: list[tuple[float, str | None]], pauses: list[float]
) -> None:
    settling = Settling(quiet=0.5)
    found = []
    for now, content in looks:
        settling.see({A: content}, now)
        found.append(settling.pause(now))
    assert found == pauses


def loaded(content: str, now: float = 0.0) -> Settling:
    settling = Settling(quiet=0.5)
    settling.see({A: content}, now)
    assert settling.loading() == {A: content}
    return settling


def test_what_is_loaded_is_not_loaded_again() -> None:
    settling = loaded("x")
    settling.see({A: "x"}, 5.0)
    assert settling.pause(5.0) is None


def test_a_change_that_is_taken_back_before_it_is_loaded_was_none() -> None:
    settling = loaded("x")
    settling.see({A: "y"}, 5.0)
    settling.see({A: "x"}, 5.25)
    assert settling.pause(5.25) is None


def test_an_input_that_was_not_looked_at_before_the_load_leads_to_another() -> None:
    settling = loaded("x")
    settling.see({A: "x", B: "y"}, 5.0)
    assert settling.pause(5.0) == 0.5


def test_a_load_can_be_forced_and_what_has_been_quiet_for_long_is_loaded_at_once() -> None:
    settling = loaded("x")
    settling.force()
    assert settling.pause(5.0) == -4.5


def test_a_forced_load_waits_for_a_change_under_way() -> None:
    settling = loaded("x")
    settling.force()
    settling.see({A: "y"}, 5.0)
    assert settling.pause(5.0) == 0.5


# What to tell.


def test_a_new_generation_is_told_and_the_same_one_is_not() -> None:
    news = News[Config]("1")
    assert news.of_load(Config("1")) is None
    assert news.of_load(Config("2")) == Reloaded(Config("2"))
    assert news.of_load(Config("2")) is None
    assert news.of_load(Config("1")) == Reloaded(Config("1"))


def test_after_a_failure_even_the_same_generation_is_told() -> None:
    news = News[Config]("1")
    news.of_failure(problem("p"), {A: "x"}, asked=False)
    assert news.of_load(Config("1")) == Reloaded(Config("1"))
    assert news.of_load(Config("1")) is None


@pytest.mark.parametrize(
    ("contents", "text", "asked", "told"),
    [
        pytest.param({A: "x"}, "p", False, False, id="all-the-same"),
        pytest.param({A: "x"}, "p", True, True, id="asked-for"),
        pytest.param({A: "y"}, "p", False, True, id="another-content"),
        pytest.param({A: None}, "p", False, True, id="gone"),
        pytest.param({A: "x"}, "q", False, True, id="another-problem"),
        pytest.param({A: "x", B: "y"}, "p", False, False, id="an-input-more"),
        pytest.param({}, "p", False, False, id="an-input-less"),
    ],
)
def test_a_failure_is_told_once_for_each_content(
    contents: dict[Path, str | None],
    text: str,
    asked: bool,  # noqa: FBT001 - a column of the table
    told: bool,  # noqa: FBT001 - a column of the table
) -> None:
    news = News[Config]("1")
    assert news.of_failure(problem("p"), {A: "x"}, asked=False) == LoadFailed(problem("p"))
    again = news.of_failure(problem(text), contents, asked=asked)
    assert again == (LoadFailed(problem(text)) if told else None)


# What is on disk.


def test_a_file_is_known_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a"
    disk = watch._InputFiles([path, path])
    assert disk.check(everything=False) == {path: None}
    path.write_text("x")
    first = disk.check(everything=False)[path]
    path.write_text("longer")
    second = disk.check(everything=False)[path]
    path.write_text("x")
    assert first != second
    assert disk.check(everything=False) == {path: first}
    path.unlink()
    assert disk.check(everything=False) == {path: None}


def test_what_a_stat_does_not_show_is_seen_when_everything_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("x")
    os.utime(path, (1, 1))
    disk = watch._InputFiles([path])
    before = disk.check(everything=False)
    path.write_text("y")
    os.utime(path, (1, 1))
    assert disk.check(everything=False) == before
    assert disk.check(everything=True) != before


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    pipe, link = tmp_path / "pipe", tmp_path / "link"
    os.mkfifo(pipe)
    link.symlink_to(link)
    paths = [pipe, link, tmp_path / "nul\0", pipe / "below"]
    assert watch._InputFiles(paths).check(everything=True) == dict.fromkeys(paths)


def test_a_folder_is_known_by_the_names_in_it(tmp_path: Path) -> None:
    (tmp_path / "one").write_text("1")
    disk = watch._InputFiles([tmp_path])
    before = disk.check(everything=False)
    (tmp_path / "one").write_text("changed")
    assert disk.check(everything=True) == before
    (tmp_path / "two").write_text("2")
    assert disk.check(everything=False) != before
    (tmp_path / "two").unlink()
    assert disk.check(everything=False) == before


# The whole, on real files and in real time.


class Files:
    """
    A folder with the file `routes`, which may name another file in its second line.

    Loading fails when a file is not there or holds the word bad.
    """

    def __init__(self, routes: Path) -> None:
        self.routes = routes
        self.on_load: Callable[[], object] = lambda: None
        """Called, in the thread of the load, when a load has read everything."""

    def load(self) -> Config:
        inputs = [self.routes]
        try:
            text = self.routes.read_text()
            for name in text.splitlines()[1:]:
                inputs.append(self.routes.parent / name)
                text += inputs[-1].read_text()
        except OSError:
            raise ConfigError(problem("gone"), inputs) from None
        finally:
            self.on_load()
        if "bad" in text:
            raise ConfigError(problem("bad"), inputs)
        return Config(text, tuple(inputs))


@pytest.fixture
def files(tmp_path: Path) -> Files:
    (tmp_path / "routes").write_text("one")
    return Files(tmp_path / "routes")


@pytest.fixture(params=["kernel", "stat"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the kernel's reports, and with nothing but a regular look."""
    if request.param == "stat":

        def broken(*_: object, **__: object) -> None:
            raise OSError("no inotify here")

        monkeypatch.setattr(watch, "awatch", broken)


class Follower:
    """Asks for the next outcome, and not for ever."""

    def __init__(self, outcomes: AsyncIterator[Reloaded[Config] | LoadFailed]) -> None:
        self._outcomes = outcomes

    async def next(self) -> str:
        async with asyncio.timeout(20):
            match await anext(self._outcomes):
                case Reloaded(config):
                    return config.generation
                case LoadFailed(diagnostics):
                    return f"failed: {diagnostics[0].message}"


@asynccontextmanager
async def following(
    files: Files, *, poll: float = 0.01, recheck: float = 30.0, nudge: asyncio.Event | None = None
) -> AsyncIterator[Follower]:
    first = files.load()
    outcomes = follow(files.load, first, poll=poll, quiet=0.02, recheck=recheck, nudge=nudge)
    async with aclosing(outcomes):
        yield Follower(outcomes)


def replace(path: Path, text: str) -> None:
    """As editors do: write a new file, and rename it over the old one."""
    new = path.with_name("new")
    new.write_text(text)
    new.rename(path)


def point(link: Path, target: str) -> None:
    """Let a symbolic link lead elsewhere, at once."""
    new = link.with_name("new-link")
    new.symlink_to(target)
    new.rename(link)


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
@pytest.mark.parametrize("write", [Path.write_text, replace], ids=["in-place", "renamed"])
async def test_every_change_of_the_file_is_followed(
    files: Files, write: Callable[[Path, str], object]
) -> None:
    async with following(files) as follower:
        for text in ("two", "three", "six"):
            write(files.routes, text)
            assert await follower.next() == text


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_change_before_the_watch_begins_is_not_missed(files: Files) -> None:
    first = files.load()
    files.routes.write_text("two")
    async with aclosing(follow(files.load, first, poll=0.01, quiet=0.02)) as outcomes:
        assert await Follower(outcomes).next() == "two"


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_half_written_file_fails_and_the_whole_one_is_followed(files: Files) -> None:
    async with following(files) as follower:
        with files.routes.open("w") as file:
            file.write("bad")
            file.flush()
            assert await follower.next() == "failed: bad"
            file.seek(0)
            file.write("good")
        assert await follower.next() == "good"


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_file_that_is_deleted_and_made_again(files: Files) -> None:
    async with following(files) as follower:
        files.routes.unlink()
        assert await follower.next() == "failed: gone"
        files.routes.write_text("one")
        assert await follower.next() == "one"


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_volume_of_kubernetes_is_updated_three_times(tmp_path: Path) -> None:
    for version in "1234":
        (tmp_path / f"..{version}").mkdir()
        (tmp_path / f"..{version}" / "routes").write_text(version)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "routes").symlink_to("..data/routes")
    async with following(Files(tmp_path / "routes")) as follower:
        for version in "234":
            point(tmp_path / "..data", f"..{version}")
            assert await follower.next() == version
            shutil.rmtree(tmp_path / f"..{int(version) - 1}")


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_link_to_a_file_is_pointed_elsewhere_and_its_target_edited(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    for name in ("one", "two"):
        (tmp_path / "far" / name).write_text(name)
    link = tmp_path / "routes"
    link.symlink_to("far/one")
    async with following(Files(link)) as follower:
        point(link, "far/two")
        assert await follower.next() == "two"
        replace(tmp_path / "far" / "two", "edited")
        assert await follower.next() == "edited"


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_link_to_a_folder_is_pointed_elsewhere(tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "routes").write_text(name)
    (tmp_path / "current").symlink_to("one")
    async with following(Files(tmp_path / "current" / "routes")) as follower:
        for name in ("two", "three"):
            point(tmp_path / "current", name)
            assert await follower.next() == name


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_folder_is_moved_away_and_made_anew(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "routes").write_text("one")
    async with following(Files(folder / "routes")) as follower:
        folder.rename(tmp_path / "old")
        assert await follower.next() == "failed: gone"
        folder.mkdir()
        (folder / "routes").write_text("two")
        assert await follower.next() == "two"


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_files_that_are_named_by_the_file_are_followed_too(files: Files) -> None:
    schema = files.routes.parent / "schema"
    async with following(files) as follower:
        files.routes.write_text("one\nschema\n")
        assert await follower.next() == "failed: gone"
        schema.write_text("1")
        assert await follower.next() == "one\nschema\n1"
        schema.write_text("bad")
        assert await follower.next() == "failed: bad"
        schema.write_text("2")
        assert await follower.next() == "one\nschema\n2"
        files.routes.write_text("two")
        assert await follower.next() == "two"


@pytest.mark.real_time
async def test_what_the_kernel_reports_is_not_waited_for_a_second(files: Files) -> None:
    nudge = asyncio.Event()
    async with following(files, poll=1000.0, nudge=nudge) as follower:
        # By then the folder is watched.
        nudge.set()
        files.routes.write_text("two")
        assert await follower.next() == "two"
        files.routes.write_text("three")
        assert await follower.next() == "three"


@pytest.mark.real_time
async def test_what_no_stat_shows_is_seen_by_the_recheck(files: Files) -> None:
    os.utime(files.routes, (1, 1))
    async with following(files, recheck=0.05) as follower:
        files.routes.write_text("two")
        os.utime(files.routes, (1, 1))
        assert await follower.next() == "two"
        files.routes.write_text("six")
        os.utime(files.routes, (1, 1))
        assert await follower.next() == "six"


@pytest.mark.real_time
async def test_a_nudge_loads_anew_and_tells_a_failure_again(files: Files) -> None:
    nudge = asyncio.Event()
    async with following(files, poll=1000.0, nudge=nudge) as follower:
        files.routes.write_text("bad")
        for _ in range(3):
            nudge.set()
            assert await follower.next() == "failed: bad"
            assert not nudge.is_set()
        files.routes.write_text("one")
        nudge.set()
        assert await follower.next() == "one"


@pytest.mark.real_time
async def test_a_nudge_that_brings_nothing_new_is_answered(files: Files) -> None:
    nudge, answered = asyncio.Event(), asyncio.Event()
    reasons: list[str] = []

    def nothing_new(reason: str) -> None:
        reasons.append(reason)
        answered.set()

    outcomes = follow(
        files.load, files.load(), poll=0.01, quiet=0.02, nudge=nudge, nothing_new=nothing_new
    )
    async with aclosing(outcomes):
        waiting = asyncio.ensure_future(Follower(outcomes).next())
        for _ in range(2):
            nudge.set()
            await answered.wait()
            answered.clear()
        files.routes.write_text("two")
        assert await waiting == "two"
    assert reasons == ["", ""]


@pytest.mark.real_time
async def test_loads_of_what_is_known_already_are_not_told(files: Files) -> None:
    nudge, loaded = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    async with following(files, nudge=nudge) as follower:
        files.on_load = lambda: loop.call_soon_threadsafe(loaded.set)
        waiting = asyncio.ensure_future(follower.next())
        for _ in range(4):
            loaded.clear()
            nudge.set()
            await loaded.wait()
        replace(files.routes, "two")
        assert await waiting == "two"


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_load_during_which_a_file_changes_does_not_count(files: Files) -> None:
    def change() -> None:
        files.on_load = lambda: None
        files.routes.write_text("three")

    async with following(files) as follower:
        files.on_load = change
        files.routes.write_text("two")
        assert await follower.next() == "three"


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_load_that_read_what_was_taken_back_at_once_does_not_count(files: Files) -> None:
    first = files.load()

    def load() -> Config:
        text = files.routes.read_text()
        if text != "two" or seen:
            return Config(text, first.inputs)
        seen.append(text)
        files.routes.write_text("half")
        half = files.load()
        files.routes.write_text("two")
        return half

    seen: list[str] = []
    async with aclosing(follow(load, first, poll=0.01, quiet=0.02)) as outcomes:
        files.routes.write_text("two")
        assert await Follower(outcomes).next() == "two"


@pytest.mark.real_time
async def test_a_fault_in_loading_is_a_failure_like_any_other(files: Files) -> None:
    def broken() -> Config:
        if files.routes.read_text() == "fault":
            raise ZeroDivisionError
        return files.load()

    async with aclosing(follow(broken, files.load(), poll=0.01, quiet=0.02)) as outcomes:
        files.routes.write_text("fault")
        failed = await anext(outcomes)
        assert isinstance(failed, LoadFailed)
        text = "a bug in lambdo-router prevented the load: ZeroDivisionError"
        assert str(failed.diagnostics[0]) == f"{files.routes}:1:1: {text} [internal-error]"
        files.routes.write_text("two")
        assert await Follower(outcomes).next() == "two"


@pytest.mark.real_time
async def test_the_loop_goes_on_while_a_load_takes_its_time(files: Files) -> None:
    going_on = threading.Event()

    def slow() -> Config:
        assert going_on.wait(20)
        return files.load()

    first = files.load()
    files.routes.write_text("two")
    async with aclosing(follow(slow, first, poll=0.01, quiet=0.02)) as outcomes:
        waiting = asyncio.ensure_future(Follower(outcomes).next())
        asyncio.get_running_loop().call_later(0.05, going_on.set)
        assert await waiting == "two"


def test_cancelled_it_ends_and_leaves_no_task_and_no_thread(files: Files) -> None:
    async def run() -> set[asyncio.Task[object]]:
        async def reading() -> None:
            async for _ in follow(files.load, files.load(), nudge=asyncio.Event(), quiet=0.02):
                started.set()

        started = asyncio.Event()
        task = asyncio.create_task(reading())
        await asyncio.sleep(0)
        files.routes.write_text("two")
        async with asyncio.timeout(20):
            await started.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        return asyncio.all_tasks() - {asyncio.current_task()}

    before = set(threading.enumerate())
    assert asyncio.run(run()) == set()
    for thread in set(threading.enumerate()) - before:
        thread.join(20)
        assert not thread.is_alive()


@pytest.mark.real_time
@pytest.mark.usefixtures("_way")
async def test_a_file_that_a_glob_begins_to_match_is_followed(tmp_path: Path) -> None:
    team, path = tmp_path / "routes.d", tmp_path / "routes.yaml"
    path.write_text(
        "{version: 1, include: [routes.d/*.yaml], queues: {q: {name: q}},"
        " defaults: {app: a, image: 'nginx:1', acknowledge: launch}, profiles: {p: {}},"
        " routes: [{name: first, queue: q, match: {body: {a: 1}}, profile: p}]}"
    )

    def load() -> LoadedRoutes:
        return load_routes(path, {})

    def part(name: str) -> str:
        return f"{{version: 1, routes: [{{name: {name}, queue: q, profile: p}}]}}"

    async with aclosing(follow(load, load(), poll=0.01, quiet=0.02)) as outcomes:

        async def names() -> list[str]:
            async with asyncio.timeout(20):
                change = await anext(outcomes)
            assert isinstance(change, Reloaded)
            return [route.name for route in change.loaded.table.routes]

        team.mkdir()
        (team / "notes.txt").write_text("not meant by the glob")
        replace(team / "b.yaml", part("b"))
        assert await names() == ["first", "b"]
        replace(team / "a.yaml", part("a"))
        assert await names() == ["first", "a", "b"]
        (team / "b.yaml").unlink()
        assert await names() == ["first", "a"]
