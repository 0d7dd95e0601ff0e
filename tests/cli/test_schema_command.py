"""`schema`: letter by letter what `validate` and `test` check with."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from lambdo_router.cli import cli

_SCHEMAS = Path(__file__).parents[2] / "schemas"


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        pytest.param([], "routes.schema.json", id="routes"),
        pytest.param(["--tests"], "tests.schema.json", id="tests"),
    ],
)
def test_the_schema_is_printed_as_it_is(arguments: list[str], file: str) -> None:
    result = CliRunner().invoke(cli, ["schema", *arguments])

    assert (result.exit_code, result.stdout) == (0, (_SCHEMAS / file).read_text("utf-8"))
