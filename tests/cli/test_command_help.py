"""What every command owes to who calls it for help, and the group to its commands."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lambdo_router.cli import COMMANDS, cli

_README = Path(__file__).parents[2] / "README.md"


def the_command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


@pytest.mark.parametrize("name", COMMANDS)
def test_help_says_what_a_command_does_by_example_and_how_it_ends(name: str) -> None:
    shown = CliRunner().invoke(cli, [name, "--help"])

    examples = re.findall(rf"^ +(?:\S.*)?lambdo-router {name}\b", shown.stdout, re.MULTILINE)
    assert shown.exit_code == 0
    assert examples
    assert re.search(r"Exit codes:\s+0 ", shown.stdout)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_explains_itself(name: str) -> None:
    options = [p for p in the_command(name).params if isinstance(p, click.Option)]

    told = {option.name for option in options if option.help}
    chosen = {option.name for option in options if isinstance(option.type, click.Choice)}
    assert {option.name for option in options} <= told | chosen


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_knows_every_command(name: str) -> None:
    assert re.search(rf"`(?:lambdo-router )?{name}\b", _README.read_text("utf-8"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_not_a_finding(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--no-such-option"])

    assert result.exit_code == (1 if name == "diff" else 2)
    assert "No such option" in result.stderr
