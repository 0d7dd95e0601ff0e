"""The rules for alerts: what they name exists, and each fires and is silent when it should."""

import pytest
from alert_rules import LABELS_OF, OPS, needs_promtool, promtool, rules
from pages import ROOT, read_page
from promql import named

from lambdo_router.config.read.yaml_loader import read_document


@needs_promtool
def test_promtool_finds_nothing_wrong_with_the_rules() -> None:
    checked = promtool("check", "rules", "alerts.yaml")

    assert (checked.returncode, checked.stderr) == (0, "")
    assert f"SUCCESS: {len(rules())} rules found" in checked.stdout


@needs_promtool
def test_each_alert_fires_and_is_silent_as_its_tests_say() -> None:
    tested = promtool("test", "rules", "alerts.test.yaml")

    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_each_alert_is_tested_to_fire_and_to_be_silent() -> None:
    value = read_document((OPS / "alerts.test.yaml").read_text(), "alerts.test.yaml").value
    tests = [rule for it in value["tests"] for rule in it["alert_rule_test"]]  # type: ignore[index]
    for fires in (True, False):
        tested = {it["alertname"] for it in tests if bool(it["exp_alerts"]) is fires}
        assert tested == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_asks_for_series_and_labels_that_exist(rule: dict[str, str]) -> None:
    asked = named(rule["expr"], LABELS_OF)

    assert asked.series
    assert asked.wrong == ()


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_how_grave_it_is_and_leads_to_the_runbook(
    rule: dict[str, dict[str, str]],
) -> None:
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook"}
    page, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in read_page(ROOT / page).anchors


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        pytest.param('lambdo_messages_held{queue="q"}', (), id="right"),
        pytest.param("sum by (le) (rate(lambdo_batch_events_bucket[5m]))", (), id="a bucket"),
        pytest.param("lambdo_no_such_total", ("lambdo_no_such_total",), id="no such series"),
        pytest.param("lambdo_batch_events", ("lambdo_batch_events",), id="a histogram as such"),
        pytest.param(
            'lambdo_messages_held{route="lambdo_x"}',
            ("lambdo_messages_held{route}",),
            id="no such label",
        ),
        pytest.param("sum by (rout) (lambdo_messages_batched)", ("rout",), id="grouping"),
    ],
)
def test_what_an_expression_names_wrongly_is_found(expression: str, wrong: tuple[str, ...]) -> None:
    assert named(expression, LABELS_OF).wrong == wrong
