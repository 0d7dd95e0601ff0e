"""
The runbook: whatever it names exists, and every alert leads to a section that says what to do.

test_docs.py holds its links and its command lines to what there is; test_incidents.py runs them.
"""

import re
from collections.abc import Iterator
from typing import Any

import botocore.session
import pytest
from alert_rules import LABELS_OF, rules
from botocore import xform_name
from logs_page import EVENTS
from pages import ROOT, read_page
from promql import named
from runbook import FILE, sections

from lambdo_router.adapters.fly import answers
from lambdo_router.telemetry.metrics.catalogue import DEFINITIONS

PAGE = read_page(FILE)
NIGHTS = (
    "queue-growing",
    "route-failing",
    "fly-at-capacity",
    "token-expired",
    "dlq-filling",
    "reload-refused",
    "lease-losses",
    "memory-growth",
    "duplicate-runs",
    "cost-jump",
)
FLY = {
    *("apps list", "deploy", "logs", "proxy", "platform regions", "ssh console", "status"),
    *("machine destroy", "machine list", "machine restart"),
    *("scale count", "scale memory", "scale vm"),
    *("secrets list", "secrets set", "tokens create", "tokens list"),
}
"""The commands of Fly's client that the runbook may name."""
SHELL = [block.text for block in PAGE.blocks if block.language == "sh"]
LINES = [line for text in SHELL for line in text.splitlines()]
TYPED = [*LINES, *PAGE.code]


def alternatives(pattern: str) -> Iterator[str]:
    """`a(b|c)`: `ab`, `ac`."""
    group = re.search(r"\(([^()]*)\)", pattern)
    if group is None:
        yield from pattern.split("|")
        return
    for one in group[1].split("|"):
        yield from alternatives(pattern[: group.start()] + one + pattern[group.end() :])


def searched(source: str) -> list[str]:
    """What is looked for, letter by letter, in the output of the commands that begin so."""
    found = [
        re.search(r"\| grep (?:-E )?('[^']+'|\S+)$", line)
        for line in LINES
        if line.startswith(source)
    ]
    return [one for it in found if it for one in alternatives(it[1].strip("'"))]


def test_there_is_a_section_for_each_of_the_ten_nights() -> None:
    assert tuple(sections()) == ("the-first-minute", *NIGHTS)
    assert set(sections()) <= PAGE.anchors


@pytest.mark.parametrize("night", NIGHTS)
def test_a_section_has_the_symptom_then_where_to_look_then_what_to_do(night: str) -> None:
    marks = re.findall(r"^\*\*(\w+)\.?\*\*", sections()[night], flags=re.MULTILINE)

    assert marks == ["Symptom", "Look", "Do"]


@pytest.mark.parametrize("night", NIGHTS)
def test_some_alert_leads_to_each_section(night: str) -> None:
    alerted = {rule["annotations"]["runbook"] for rule in rules()}  # type: ignore[index] # a rule

    assert f"ops/runbook.md#{night}" in alerted


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_is_a_symptom_of_the_section_that_it_leads_to(rule: dict[str, Any]) -> None:
    night = rule["annotations"]["runbook"].removeprefix("ops/runbook.md#")
    symptom, *_ = sections()[night].split("**Look**")

    assert f"`{rule['alert']}`" in symptom


def test_every_alert_that_the_runbook_names_exists() -> None:
    named_here = set(re.findall(r"`(Lambdo[A-Z]\w+)`", FILE.read_text()))

    assert named_here == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("span", [it for it in PAGE.code if "lambdo_" in it or "process_" in it])
def test_every_metric_in_the_prose_exists(span: str) -> None:
    labels = LABELS_OF | {it.name: frozenset(it.labels) for it in DEFINITIONS}
    of_machines = {"lambdo_messages", "lambdo_router"}  # names in a Machine's metadata
    wrong = named(span, labels).wrong if span not in of_machines else ()

    assert wrong == ()


@pytest.mark.parametrize("name", searched("curl"))
def test_every_metric_that_is_searched_for_exists(name: str) -> None:
    assert any(re.match(name, series) for series in LABELS_OF)


@pytest.mark.parametrize("pattern", searched("fly logs"))
def test_every_event_that_is_searched_for_exists(pattern: str) -> None:
    assert any(re.search(pattern, event) for event in EVENTS)


def test_every_event_in_the_prose_exists() -> None:
    written = {it for it in PAGE.code if re.fullmatch(r"[a-z]+\.[a-z_]+", it)}
    files = {it for it in written if it.endswith((".yaml", ".toml", ".json"))}

    assert written - files - set(EVENTS) == set()
    assert len(written - files) >= 10


def test_every_code_of_a_launch_that_fails_is_one_that_fly_gives() -> None:
    known = {row.code for row in answers._TABLE} | {"connection"}
    tables = [table for table in PAGE.tables if table.header[0].startswith("`code`")]
    ends = {"failed", "oom", "timeout", "never_ran", "stopped"}
    codes = {code for it in tables for row in it.rows for code in re.findall(r"`(\w+)`", row[0])}

    assert codes - ends - known == set()


def test_every_reason_is_one_that_rejected_messages_have() -> None:
    [table] = [table for table in PAGE.tables if table.header[0] == "reason"]
    [documented] = [
        row[1]
        for it in read_page(ROOT / "docs" / "rejected.md").tables
        for row in it.rows
        if row[0] == "`--reason REASON`"
    ]

    reasons = {row[0].strip("`") for row in table.rows}
    assert reasons == set(re.findall(r"`(\w+)`", documented)) - {"unknown"}


@pytest.mark.parametrize("line", [it for it in TYPED if it.startswith("aws ")])
def test_every_command_for_aws_is_one_of_its_model(line: str) -> None:
    _, service, operation, *words = line.split()
    model = botocore.session.get_session().get_service_model(service)
    names = {xform_name(name, "-"): name for name in model.operation_names}
    shape = model.operation_model(names[operation]).input_shape
    assert shape is not None

    options = {word.removeprefix("--") for word in words if word.startswith("--")}
    assert options <= {xform_name(name, "-") for name in shape.members}


def test_every_command_for_fly_is_a_known_one() -> None:
    calls = [call for it in TYPED for call in re.findall(r"\bfly ([a-z]+(?: [a-z]+)?)", it)]
    unknown = {call for call in calls if call not in FLY and call.split()[0] not in FLY}

    assert unknown == set()
