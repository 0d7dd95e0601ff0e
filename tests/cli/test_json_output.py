"""docs/json-output.md: every key that is printed is described there."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from lambdo_router.cli import cli

_ROOT = Path(__file__).parents[2]
_EXAMPLE = str(_ROOT / "routes.example.yaml")
_MESSAGES = _ROOT / "examples" / "messages"
_OPEN = frozenset(
    {"attributes", "body", "system", "values", "resolved", "env", "other", "rejection", "unknown"}
)
"""Objects whose keys are somebody else's."""


def keys(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        yield from value
        for key, inner in value.items():
            if key not in _OPEN:
                yield from keys(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from keys(inner)


@pytest.mark.parametrize(
    ("arguments", "title"),
    [
        pytest.param(
            ["explain", _EXAMPLE, "--message", str(_MESSAGES / "job-own-size.json")],
            "explain",
            id="explain-batched",
        ),
        pytest.param(
            ["explain", _EXAMPLE, "--message", str(_MESSAGES / "order-invalid.json")],
            "explain",
            id="explain-rejected",
        ),
        pytest.param(
            ["routes", _EXAMPLE, "--resolved", "--route", "orders"], "routes", id="routes"
        ),
        pytest.param(["diff", _EXAMPLE, "other.yaml"], "diff", id="diff"),
    ],
)
def test_every_key_is_described(
    arguments: list[str], title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    example = Path(_EXAMPLE).read_text("utf-8")
    shutil.copytree(_ROOT / "schemas", tmp_path / "schemas")
    (tmp_path / "other.yaml").write_text(example.replace("name: orders", "name: bills"))

    result = CliRunner().invoke(cli, [*arguments, "--format", "json"])

    page = (_ROOT / "docs" / "json-output.md").read_text("utf-8")
    intro, *sections = re.split(r"^## ", page, flags=re.MULTILINE)
    section = next(text for text in sections if text.startswith(f"`{title}`"))
    described = set(re.findall(r"`([a-z_]+)`", intro + section))
    described |= {"file", "generation", "match"}  # "as above", and what `overrides` hold
    assert set(keys(json.loads(result.stdout))) - {"image", "size", "command"} <= described
