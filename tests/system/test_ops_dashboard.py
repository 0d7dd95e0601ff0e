"""The Grafana dashboard: what its panels ask for exists, and Prometheus understands it."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alert_rules import LABELS_OF, OPS, needs_promtool, promtool
from promql import named

DASHBOARD: dict[str, Any] = json.loads((OPS / "grafana.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def expressions() -> Iterator[tuple[str, str]]:
    for panel in PANELS:
        for target in panel["targets"]:
            yield f"{panel['title']} {target['refId']}", target["expr"]
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


@pytest.mark.parametrize("expression", [pytest.param(e, id=name) for name, e in expressions()])
def test_a_panel_asks_for_series_and_labels_that_exist(expression: str) -> None:
    asked = named(expression, LABELS_OF)

    assert asked.series
    assert asked.wrong == ()


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_legend_shows_labels_that_its_query_keeps(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for label in re.findall(r"{{(\w+)}}", target.get("legendFormat", "")):
            kept = re.search(r"\bby \(([^)]*)\)", target["expr"])
            assert label == "instance" or (kept and label in kept[1].split(", "))


def test_the_choices_are_of_labels_that_exist() -> None:
    asked = [it["definition"] for it in DASHBOARD["templating"]["list"] if it["type"] == "query"]

    assert len(asked) == 2
    for definition in asked:
        found = re.fullmatch(r"label_values\((\w+)(?:\{.*\})?, (\w+)\)", definition)
        assert found is not None
        assert found[2] in LABELS_OF[found[1]]


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    every = DASHBOARD["panels"]
    assert len({panel["id"] for panel in every}) == len(every)
    cells = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in every
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(set(cells)) == len(cells)
    assert max(x for x, _ in cells) == 23


@needs_promtool
def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expression)}
        for number, (_, expression) in enumerate(expressions())
    ]
    file = tmp_path / "rules.json"  # JSON is YAML
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))

    checked = promtool("check", "rules", file)
    assert checked.returncode == 0, checked.stdout + checked.stderr
