"""docs/testing-routes.md: its examples run, and print what it says that they print."""

import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner
from pages import ROOT, Block, read_page

from lambdo_router.cli import cli

PAGE = read_page(ROOT / "docs" / "testing-routes.md")
EXAMPLES = [block for block in PAGE.blocks if block.language == "yaml"]
CALLS = [block for block in PAGE.blocks if block.language == "console"]


def write(folder: Path, *blocks: Block) -> None:
    """Each example as the file that the comment above it names."""
    for block in blocks:
        name = block.remark.removeprefix("an example of ")
        assert name.endswith(".yaml")
        (folder / name).write_text(block.text, "utf-8")


def run(call: str) -> tuple[int, str]:
    program, *words = shlex.split(call)
    assert program == "lambdo-router"
    result = CliRunner().invoke(cli, words, catch_exceptions=False)
    return result.exit_code, result.output


@pytest.mark.parametrize("block", CALLS, ids=lambda block: str(block.line))
def test_a_command_prints_what_the_page_shows(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call, _, expected = block.text.removeprefix("$ ").partition("\n")
    # What is shown further down is not there yet, but what a command names is.
    shown = [it for it in EXAMPLES if it.line < block.line and "wrong" not in it.remark]
    write(tmp_path, *shown, *(it for it in EXAMPLES if it.remark.split()[-1] in call))
    monkeypatch.chdir(tmp_path)

    assert run(call)[1] == expected


@pytest.mark.parametrize(
    "block",
    [it for it in EXAMPLES if "routes.yaml" not in it.remark],
    ids=lambda block: str(block.remark.split()[-1]),
)
def test_every_example_passes_but_the_one_that_is_to_fail(
    block: Block, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, EXAMPLES[0], block)
    monkeypatch.chdir(tmp_path)
    name = block.remark.split()[-1]

    assert run(f"lambdo-router test {name}")[0] == (1 if name == "wrong.test.yaml" else 0)


def test_the_routes_of_the_page_have_no_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, EXAMPLES[0])
    monkeypatch.chdir(tmp_path)
    told = CliRunner().invoke(cli, ["validate", "routes.yaml"]).stderr.splitlines()

    assert [it for it in told if it.endswith("]") and not it.endswith("[missing-variable]")] == []


def test_every_key_of_a_test_is_in_the_tables() -> None:
    import json

    from lambdo_router.config.read.shape import schema_text
    from lambdo_router.config.route_tests import TESTS_SCHEMA

    definitions = json.loads(schema_text(TESTS_SCHEMA))["$defs"]
    written = {
        row[0].strip("`").removesuffix(": true")
        for table in PAGE.tables
        if table.header[0] == "key"
        for row in table.rows
    }

    assert {*definitions["test_message"]["properties"]} <= written
    assert {*definitions["test_expect"]["properties"]} <= written
