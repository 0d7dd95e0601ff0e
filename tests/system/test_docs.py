"""The documentation: whatever can be run is run, whatever can be checked is checked."""

import doctest
import json
import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pages import PAGES, ROOT, Block, Table, read_page, span
from routes_fragments import completed, kind_of, write_the_files_beside

from lambdo_router.cli import COMMANDS, cli
from lambdo_router.config.load import examine_routes
from lambdo_router.config.messages import attribute
from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.core.message import Attribute, attribute_document, system_document
from lambdo_router.core.patterns import Pattern, PatternError, compile_pattern
from lambdo_router.core.patterns.operators import OPERATORS
from lambdo_router.core.strict_json import parse_json

_PAGES = {path: read_page(path) for path in PAGES}
_BLOCKS = [block for page in _PAGES.values() for block in page.blocks]
_TABLES = [table for page in _PAGES.values() for table in page.tables]


def of(language: str) -> list[object]:
    """
    The blocks of a language, as cases.

    Not those that docs/codes.md calls examples of a code: half of them are wrong on purpose, and
    test_codes.py runs them all.
    """
    blocks = [b for b in _BLOCKS if not b.remark.startswith("an example of ")]
    return [pytest.param(b, id=b.name) for b in blocks if b.language == language]


# Markdown


@pytest.mark.parametrize("table", _TABLES, ids=lambda table: f"{table.page}:{table.line}")
def test_every_row_of_a_table_has_as_many_cells_as_its_header(table: Table) -> None:
    assert [row for row in table.rows if len(row) != len(table.header)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: _PAGES[path].name)
def test_every_relative_link_leads_somewhere(path: Path) -> None:
    broken = []
    for link in _PAGES[path].links:
        if re.match(r"[a-z]+:", link):
            continue
        target, _, anchor = link.partition("#")
        file = (path.parent / target).resolve() if target else path
        if not file.exists() or (anchor and anchor not in _PAGES[file].anchors):
            broken.append(link)
    assert broken == []


def test_every_page_can_be_reached_from_the_readme() -> None:
    reached, ahead = set(), [ROOT / "README.md"]
    while ahead:
        path = ahead.pop()
        if path in reached or path not in _PAGES:
            continue
        reached.add(path)
        links = {link.partition("#")[0] for link in _PAGES[path].links} - {""}
        targets = [path.parent / link for link in links]
        for target in map(Path.resolve, targets):
            ahead += sorted(target.glob("*.md")) if target.is_dir() else [target]
    assert sorted(set(_PAGES) - reached) == []


@pytest.mark.parametrize("block", of("mermaid"))
def test_every_drawing_is_of_a_kind_that_mermaid_knows(block: Block) -> None:
    kind, *rest = block.text.split("\n", 1)

    assert kind.split()[0] in {"flowchart", "sequenceDiagram", "stateDiagram-v2"}
    assert rest[0].strip()


@pytest.mark.parametrize("block", of("json"))
def test_every_piece_of_json_is_json(block: Block) -> None:
    json.loads(block.text)


@pytest.mark.parametrize("block", of("python"))
def test_every_piece_of_python_does_what_it_shows(block: Block) -> None:
    if ">>>" not in block.text:
        compile(block.text, block.name, "exec")
        return
    session = doctest.DocTestParser().get_doctest(block.text, {}, block.name, block.page, 0)
    told: list[str] = []
    assert doctest.DocTestRunner().run(session, out=told.append).failed == 0, "".join(told)


# Routes files


@pytest.mark.parametrize("block", of("yaml"))
def test_every_piece_of_yaml_is_right(block: Block, tmp_path: Path) -> None:
    value = read_document(block.text, block.name).value
    kind = kind_of(value)
    if kind != "routes":
        assert kind in ("workflow", "pre-commit", "GitLab", "Kubernetes")
        return
    assert isinstance(value, dict)
    file = tmp_path / "routes.yaml"
    file.write_text(block.text if "version" in value else completed(value))
    write_the_files_beside(value, tmp_path)
    examined = examine_routes(file, {}, missing="warning", default_app="acme-jobs")
    wrong = examined.errors if "version" not in value else examined.diagnostics
    assert [str(it) for it in wrong if it.code != "missing-variable"] == []
    if "version" in value and "tests" in value:
        tested = CliRunner().invoke(cli, ["test", str(file)])
        assert (tested.exit_code, tested.stderr) == (0, "")


@pytest.mark.parametrize(
    ("page", "mistake"),
    [
        pytest.param("README.md", ("profile: thumbnails", "profle: thumbnails"), id="readme"),
        pytest.param(
            "docs/patterns.md", ("[image, {prefix: img-}]", "{prefix: img-}"), id="patterns"
        ),
    ],
)
def test_a_page_shows_what_validate_prints(
    page: str, mistake: tuple[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = _PAGES[ROOT / page].blocks
    [printed] = [b.text for b in blocks if b.language == "text" and b.text.startswith("routes.")]
    [whole] = [b.text for b in blocks if b.language == "yaml" and "\nqueues:" in b.text]
    (tmp_path / "routes.yaml").write_text(whole.replace(*mistake))
    monkeypatch.chdir(tmp_path)

    assert printed in CliRunner().invoke(cli, ["validate"]).stderr


# Commands


def _command_lines() -> Iterator[tuple[str, str]]:
    for block in _BLOCKS:
        if block.language in ("sh", "console", "yaml", "toml", "dockerfile"):
            lines = block.text.replace("\\\n", " ").splitlines()
            typed = [it for it in lines if block.language != "console" or it.startswith("$ ")]
            for line in typed:
                for call in re.finditer(r"(?<![\w/.-])lambdo-router ([^`]*)", line):
                    yield block.name, call[1]
    for page in _PAGES.values():
        for code in page.code:
            if code.startswith("lambdo-router "):
                yield page.name, code.removeprefix("lambdo-router ")


def _words(call: str) -> list[str]:
    """The words of a call up to the end of the command, without `...` and without brackets."""
    lexer = shlex.shlex(re.sub(r"[\[\]…]", " ", call), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words: list[str] = []
    try:
        for word in lexer:
            if set(word) <= set("();<>|&"):
                break
            words.append(word)
    except ValueError:  # the quote around the whole call ends after it
        words = call.rstrip("\"'").split()
    return [word for word in words if word != "..."]


@pytest.mark.parametrize(
    "call", [pytest.param(call, id=f"{where}: {call}") for where, call in _command_lines()]
)
def test_every_command_line_is_one_that_the_command_takes(call: str) -> None:
    command: click.Command = cli
    context = click.Context(cli)
    words = _words(call)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        context, command = click.Context(found, context, name), found
    try:
        values, rest, given = command.make_parser(context).parse_args(words)
    except click.BadOptionUsage:  # prose may leave the option's value out
        values, rest, given = command.make_parser(context).parse_args([*words, "..."])
    for parameter in given:
        if isinstance(parameter.type, click.Choice) and parameter.name in values:
            parameter.type_cast_value(context, values[parameter.name])
    assert rest == []


def test_the_readme_has_a_line_for_every_command() -> None:
    [table] = [t for t in _PAGES[ROOT / "README.md"].tables if t.header[0] == "command"]

    assert [re.split(r"[` ]", row[0])[1] for row in table.rows] == list(COMMANDS)


# Patterns

_KINDS: Mapping[tuple[str, ...], str] = {
    ("pattern", "event", "matches"): "event",
    ("pattern", "attributes", "matches"): "attributes",
    ("pattern", "system attributes", "matches"): "system",
    ("pattern", "event", "why not"): "event",
}


@dataclass(frozen=True, slots=True)
class Example:
    """A line of a table of patterns."""

    name: str
    pattern: str
    document: Mapping[str, object]
    expected: str


def _examples(header: str) -> Iterator[object]:
    for table in _TABLES:
        kind = _KINDS.get(table.header)
        if kind is None or table.header[2] != header:
            continue
        pattern = ""
        for line, (written, document, expected) in enumerate(table.rows, table.line + 2):
            pattern = span(written) if written else pattern
            name = f"{table.page}:{line}"
            yield pytest.param(
                Example(name, pattern, _document(kind, span(document)), expected), id=name
            )


def _document(kind: str, text: str) -> Mapping[str, object]:
    value = parse_json(text)
    assert isinstance(value, dict)
    match kind:
        case "attributes":
            return attribute_document({name: _attribute(name, it) for name, it in value.items()})
        case "system":
            return system_document(value)
        case _:
            return value


def _attribute(name: str, written: object) -> Attribute:
    match written:
        case str():
            return attribute(name, "String", written)
        case list():
            return attribute(name, "String.Array", json.dumps(written))
        case {"type": str(kind), "value": str(value)}:
            return attribute(name, kind, value)
        case _:
            return attribute(name, "Number", json.dumps(written))


def _compiled(text: str) -> Pattern:
    """The pattern as a routes file has it."""
    return compile_pattern(read_document(text, "routes.yaml").value, scalars=True)


@pytest.mark.parametrize("example", list(_examples("matches")))
def test_an_event_matches_as_the_table_says(example: Example) -> None:
    answer = re.match(r"(yes|no)(: .+)?$", example.expected)

    assert answer is not None
    assert _compiled(example.pattern).matches(example.document) is (answer[1] == "yes")


@pytest.mark.parametrize("example", list(_examples("why not")))
def test_an_event_is_refused_with_the_words_of_the_table(example: Example) -> None:
    assert _compiled(example.pattern).why_not(example.document) == span(example.expected)


def _refusals() -> Iterator[object]:
    for block in _BLOCKS:
        if block.language == "refused":
            for at, entry in enumerate(block.text.split("\n\n"), 1):
                pattern, *told = entry.strip("\n").splitlines()
                assert all(line.startswith("    ") for line in told)
                yield pytest.param(pattern, " ".join(map(str.strip, told)), id=f"{block.name}:{at}")


@pytest.mark.parametrize(("pattern", "told"), list(_refusals()))
def test_a_pattern_is_refused_with_the_words_of_the_page(pattern: str, told: str) -> None:
    with pytest.raises(PatternError) as refused:
        _compiled(pattern)
    assert str(refused.value) == told


def test_every_operator_has_examples_that_match_and_that_do_not() -> None:
    answers = {
        (operator, row[2][:2])
        for table in _TABLES
        if table.header == ("pattern", "event", "matches")
        for row in _filled(table)
        for operator in [*OPERATORS, "$or"]
        if re.search(rf"(?<![\w-]){re.escape(operator)}:", row[0])
    }

    assert {(o, a) for o in [*OPERATORS, "$or"] for a in ("ye", "no")} - answers == set()


def _filled(table: Table) -> Iterator[tuple[str, ...]]:
    above = ""
    for first, *others in table.rows:
        above = first or above
        yield (above, *others)
