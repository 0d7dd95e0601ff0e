import json
import random
import re
import sys
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from threading import Timer
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lambdo_router.config.diagnostics import ConfigError
from lambdo_router.config.load import Examined, examine_routes, load_routes, sound
from lambdo_router.config.read.yaml_loader import read_document

TEXT = """
version: 1
queues: {orders: {url: "${URL:-https://sqs.us-east-1.amazonaws.com/1/orders}"}}
defaults: {image: nginx:1, acknowledge: launch, max_attempts: 3}
profiles: {p: {env: {LEVEL: "${LEVEL}"}}}
routes:
  - {name: r, queue: orders, schema: schemas/order.json, profile: p}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas/order.json").write_text('{"$ref": "parts/id.json"}')
    (tmp_path / "schemas/parts").mkdir()
    (tmp_path / "schemas/parts/id.json").write_text('{"type": "object"}')
    (tmp_path / "routes.yaml").write_text(TEXT)
    return tmp_path / "routes.yaml"


def generation(file: Path, level: str = "info", **options: Any) -> str:
    options = {"default_app": "acme", **options}
    return load_routes(file, {"LEVEL": level, "OTHER": str(options)}, **options).generation


def test_a_good_file_becomes_a_table(file: Path) -> None:
    loaded = load_routes(file, {"LEVEL": "info"}, default_app="acme", default_region="iad")

    assert loaded.table.queues["orders"].url == "https://sqs.us-east-1.amazonaws.com/1/orders"
    assert loaded.table.routes[0].profile.app == "acme"
    assert loaded.table.routes[0].profile.region == "iad"
    assert loaded.table.routes[0].profile.env == (("LEVEL", "info"),)
    assert loaded.generation == loaded.table.generation
    assert [warning.code for warning in loaded.warnings] == ["no-effect"]
    assert loaded.sources == {str(file): TEXT.split("\n")}


def test_every_file_that_was_read_is_an_input(file: Path) -> None:
    loaded = load_routes(file, {"LEVEL": "info"}, default_app="acme")
    folder = file.parent

    assert set(loaded.inputs) == {
        file,
        folder / "schemas/order.json",
        folder / "schemas/parts/id.json",
    }


def test_the_generation_is_twelve_hexadecimal_digits_and_stays_while_nothing_changes(
    file: Path,
) -> None:
    before = generation(file)
    file.touch()

    assert re.fullmatch(r"[0-9a-f]{12}", before)
    assert generation(file) == before


@pytest.mark.parametrize("name", ["routes.yaml", "schemas/order.json", "schemas/parts/id.json"])
def test_the_generation_changes_with_every_file(file: Path, name: str) -> None:
    before = generation(file)
    path = file.parent / name
    path.write_text(path.read_text() + "\n")

    assert generation(file) != before


def test_the_generation_changes_with_what_the_environment_gives(file: Path) -> None:
    same = generation(file)

    assert generation(file, "debug") != same
    assert generation(file, default_app="other") != same
    assert generation(file, default_region="iad") != same


def test_a_table_may_be_looked_at_without_its_variables(file: Path) -> None:
    loaded = load_routes(file, {}, missing="warning")

    assert [warning.code for warning in loaded.warnings] == ["no-effect", "missing-variable"]
    assert loaded.table.routes[0].profile.app == ""
    assert loaded.table.routes[0].profile.env == (("LEVEL", "${LEVEL}"),)


def test_a_missing_variable_and_a_missing_app_keep_a_file_from_running(file: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load_routes(file, {})

    errors = [d.code for d in caught.value.diagnostics if d.severity == "error"]
    assert errors == ["no-app", "missing-variable"]
    assert set(caught.value.inputs) >= {file, file.parent / "schemas/order.json"}


def test_a_schema_that_is_not_there_is_an_input_all_the_same(file: Path) -> None:
    (file.parent / "schemas/order.json").unlink()
    with pytest.raises(ConfigError) as caught:
        load_routes(file, {"LEVEL": "info"}, default_app="acme")

    assert caught.value.inputs == (file, file.parent / "schemas/order.json")
    assert [d.code for d in caught.value.diagnostics if d.severity == "error"] == [
        "schema-not-readable"
    ]


@pytest.mark.parametrize(
    ("name", "code"),
    [
        pytest.param("nowhere.yaml", "file-not-found", id="no-such-file"),
        pytest.param("nowhere/routes.yaml", "file-not-found", id="no-such-folder"),
        pytest.param("schemas", "file-is-a-folder", id="a-folder"),
        pytest.param("routes.yaml/x", "file-not-readable", id="below-a-file"),
        pytest.param("a\0b", "file-not-readable", id="no-name-of-a-file"),
    ],
)
def test_a_file_that_cannot_be_read_is_said_so(file: Path, name: str, code: str) -> None:
    path = file.parent / name
    with pytest.raises(ConfigError) as caught:
        load_routes(path, {})

    assert [(d.file, d.line, d.column, d.code) for d in caught.value.diagnostics] == [
        (str(path), 1, 1, code)
    ]
    assert caught.value.inputs == (path,)
    assert not examine_routes(path, {}).readable


@pytest.mark.parametrize(
    ("content", "code"),
    [
        pytest.param(b"", "empty-file", id="empty"),
        pytest.param(b"a: [", "yaml-syntax", id="half-written"),
        pytest.param(b"a: \xff", "not-utf-8", id="bytes"),
        pytest.param(b"#" * (4 * 1024 * 1024 + 1), "file-too-large", id="too-large"),
    ],
)
def test_a_file_that_is_no_yaml_is_readable_and_wrong(
    file: Path, content: bytes, code: str
) -> None:
    file.write_bytes(content)
    examined = examine_routes(file, {})

    assert examined.readable
    assert examined.checked == ("yaml",)
    assert [d.code for d in examined.errors] == [code]
    with pytest.raises(ConfigError) as caught:
        load_routes(file, {})
    assert caught.value.inputs == (file,)


def test_schemas_are_looked_for_beside_the_file_and_not_in_the_working_folder(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(file.parent / "schemas")

    assert load_routes(Path("../routes.yaml"), {"LEVEL": "a"}, default_app="b").inputs == (
        Path("../routes.yaml"),
        Path("../schemas/order.json"),
        Path("../schemas/parts/id.json"),
    )


SPLINTERS: tuple[Any, ...] = (
    *(None, True, False, 0, -1, 10.0, 2.5, 1e308, 10**30, "", "a", "x" * 300, "\n", "é"),
    *("5s", "512kb", "${SECRET}", "${SECRET:-5s}", "$${LITERAL}", "${", "orders.fifo", "a: b"),
    *([], [None], ["a"], [["a"]], [{}], {}, {"": 1}, {"a": {}}, {"prefix": "a"}, {"extends": "p"}),
)
KEYS = ("name", "queue", "url", "profile", "extends", "image", "size", "memory", "machine", "env")


def broken(value: Any, chance: random.Random) -> Any:
    """The value with a few of its parts replaced, added or taken away."""
    if chance.random() < 0.05:
        return chance.choice(SPLINTERS)
    if isinstance(value, list):
        return [broken(item, chance) for item in value if chance.random() < 0.97]
    if isinstance(value, dict):
        parts = {k: broken(v, chance) for k, v in value.items() if chance.random() < 0.97}
        more = {chance.choice(KEYS): chance.choice(SPLINTERS)} if chance.random() < 0.05 else {}
        return {**parts, **more}
    return value


@pytest.mark.parametrize("seed", range(8))
def test_whatever_is_written_is_answered_with_diagnostics_that_hold_no_secret(
    seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)  # noqa: S311 - the same mistakes at every run
    source = Path(__file__).parents[1] / "routes/valid/all-keys.yaml"
    value = read_document(source.read_text("utf-8"), "routes.yaml").value
    path = tmp_path / "routes.yaml"
    for _ in range(40):
        path.write_text(json.dumps(broken(value, chance)), "utf-8")
        examined = examine_routes(path, {"SECRET": "fm2_planted"})
        text = "\n".join(map(str, examined.diagnostics))

        assert examined.readable
        assert "planted" not in text
        if examined.compiled is not None and not examined.errors:
            assert load_routes(path, {"SECRET": "fm2_planted"}).table.routes


VALID = sorted((Path(__file__).parents[1] / "routes/valid").glob("*.yaml"))
INSERTED = st.sampled_from(
    [
        *("\n", "  ", "- ", ": ", ", ", "{", "}", "[", "]", "#", "'", '"', "${", "*", "&a ", "!"),
        *(
            "null",
            "true",
            "1e400",
            "1.00000000000000000001",
            "-",
            "\t",
            "\0",
            "\ufeff",
            "é",
            "<<: ",
        ),
        *(
            "<<: ",
            "include: [",
            "'*.yaml'",
            "tests: [",
            "$or: ",
            "# lambdo: ignore=x",
            "9" * 40,
            "\\",
        ),
    ]
)


@st.composite
def misspelt(draw: st.DrawFn) -> bytes:
    """A valid file with a few pieces cut out, moved, doubled or put in."""
    text = draw(st.sampled_from(VALID)).read_text("utf-8")
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(text)))
        end = draw(st.integers(start, min(len(text), start + 40)))
        piece = draw(st.sampled_from(["", text[start:end] * 2]) | INSERTED)
        text = text[:start] + piece + text[end:]
    return text.encode("utf-8", "surrogatepass")


@settings(max_examples=150, deadline=None)
@given(misspelt())
def test_a_file_is_loaded_or_refused_with_diagnostics(content: bytes) -> None:
    path = VALID[0].parent / "routes.yaml"
    try:
        loaded = load_routes(path, {"ORDERS_QUEUE_URL": "x"}, content=content)
    except ConfigError as error:
        problems = error.diagnostics
    else:
        problems = loaded.warnings
        for route in loaded.table.routes:
            assert loaded.place_of(route.name).line >= 1
            assert loaded.origins(route.name)["size"].place.line >= 1

    assert all(d.line >= 1 and d.column >= 1 and d.message and d.code for d in problems)


LARGE = """
version: 1
queues: {orders: {name: orders, on_unmatched: leave}}
defaults: {image: nginx:1, app: acme, acknowledge: launch}
routes:
"""
ROUTE = "  - {name: r, queue: orders, match: {body: {id: [r]}}, profile: {env: {NAME: r}}}\n"


@pytest.mark.parametrize(
    "mistake", ["", ROUTE.replace("orders", "nowhere"), ROUTE.replace("match", "mtch")]
)
def test_a_large_file_is_freed_in_pieces_whether_it_was_used_or_refused(
    mistake: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that is freed in one go stops the whole process meanwhile."""
    drops: list[Callable[[], object]] = []

    class Soon(Timer):
        def start(self) -> None:
            drops.append(partial(self.function, *self.args))

    monkeypatch.setattr("lambdo_router.config.read.freeing.Timer", Soon)
    file = tmp_path / "routes.yaml"
    routes = (ROUTE.replace("r,", f"r{n},").replace("[r]", f"[r{n}]") for n in range(1_100))
    file.write_text(LARGE + "".join(routes) + mistake)
    examined: Examined | None = examine_routes(file, {})
    assert examined is not None
    assert bool(examined.errors) == bool(mistake)
    loaded = None if mistake else sound(examined)
    blocks = [sys.getallocatedblocks()]
    examined = loaded = None
    blocks.append(sys.getallocatedblocks())
    for drop in drops:
        drop()
    blocks.append(sys.getallocatedblocks())
    at_once, in_pieces = (before - after for before, after in pairwise(blocks))

    assert in_pieces > 70_000
    assert at_once < in_pieces / 10
    assert loaded is examined is None


def test_a_small_file_is_not_worth_a_thread(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lambdo_router.config.read.freeing.Timer", None)
    assert load_routes(file, {"LEVEL": "info"}, default_app="acme").warnings


def test_a_refused_file_leaves_nothing_behind(file: Path) -> None:
    """Loads leave their values to reference counting: a cycle would hold the file for ever."""
    file.write_text(TEXT + "".join(ROUTE.replace("r,", f"r{n},") for n in range(100)) + "wrong: 1")
    blocks = []
    for _ in range(3):
        assert examine_routes(file, {"LEVEL": "info"}).errors
        blocks.append(sys.getallocatedblocks())

    assert blocks[2] - blocks[1] < 1_000
