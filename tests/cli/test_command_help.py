"""What every command owes to who calls it for help, and the group to its commands."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lambdo_router.cli import COMMANDS, cli, rejected

_README = Path(__file__).parents[2] / "README.md"
_ALL = [*COMMANDS, *(f"rejected {name}" for name in rejected.command.commands)]


@pytest.mark.parametrize("name", _ALL)
def test_help_explains_a_command_by_example_its_options_and_how_it_ends(name: str) -> None:
    command: click.Command = cli
    for part in name.split():
        assert isinstance(command, click.Group)
        found = command.get_command(click.Context(command), part)
        assert found is not None
        command = found
    shown = CliRunner().invoke(cli, [*name.split(), "--help"])

    examples = re.findall(rf"^ +(?:\S.*)?lambdo-router {name}\b", shown.stdout, re.MULTILINE)
    assert shown.exit_code == 0
    assert examples
    assert re.search(r"Exit codes:\s+0 ", shown.stdout)
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert [o.name for o in options if not o.help and not isinstance(o.type, click.Choice)] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_the_readme_knows_every_command(name: str) -> None:
    assert re.search(rf"`(?:lambdo-router )?{name}\b", _README.read_text("utf-8"))


@pytest.mark.parametrize("name", COMMANDS)
def test_a_wrong_option_is_not_a_finding(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--no-such-option"])

    assert result.exit_code == (1 if name == "diff" else 2)
    assert "No such option" in result.stderr
