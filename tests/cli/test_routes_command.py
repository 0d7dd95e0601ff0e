"""`routes`: the table, every effective value, and the graphs."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.config.explain.match_text import match_text
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.routing import Match

_SECRET = "planted-s3cr3t"
_ROUTES = """\
version: 1
queues:
  orders: {name: orders, reject_to: rejected}
  open: {name: open, on_unmatched: drop}
  rejected: {name: rejected}
defaults: {app: acme, acknowledge: launch}
profiles:
  base: {image: "registry.fly.io/acme:1", env: {LEVEL: info, KEY: "${KEY}"}}
  big: {extends: base, size: performance-2x, batch_size: 25, batch_window: 2s}
routes:
  - name: paid
    queue: [orders, open]
    match:
      attributes: {kind: [paid, {prefix: re}]}
      body: {total: [{numeric: [">", 0]}], "a.b": {c: x}}
    profile: big
  - name: theirs
    queue: orders
    profile: {batch_size: 1}
    overrides: {image: ["registry.fly.io/acme:*"], size: [shared-cpu-1x]}
"""
_TABLE = """\
QUEUE   ROUTE   PROFILE    IMAGE                   SIZE                           BATCH     MATCH
orders  paid    big        registry.fly.io/acme:1  performance-2x                 25 in 2s  \
attributes.kind = paid | re*, body.a.b.c = x, body.total > 0
orders  theirs  (its own)  the sender's            shared-cpu-1x or the sender's  1         \
everything
open    paid    big        registry.fly.io/acme:1  performance-2x                 25 in 2s  \
attributes.kind = paid | re*, body.a.b.c = x, body.total > 0

Not read by any route: rejected
"""
_RESOLVED = """\
route `paid`, on queues `orders`, `open`  (routes.yaml:11:5)
  queue                  ["orders", "open"]          routes.yaml:12:12
  match.attributes.kind  ["paid", {"prefix": "re"}]  routes.yaml:14:26
  match.body.a.b.c       ["x"]                       routes.yaml:15:55
  match.body.total       [{"numeric": [">", 0]}]     routes.yaml:15:21
  app                    acme                        defaults, routes.yaml:6:17
  region                 null                        default value
  image                  registry.fly.io/acme:1      profile base, routes.yaml:8:17
  size                   performance-2x              profile big, routes.yaml:9:30
"""
_MERMAID = """\
flowchart LR
    queue0[("orders")]
    queue1[("open<br/>unmatched: drop")]
    queue2[("rejected")]
    route0["paid<br/>attributes.kind = paid | re*, body.a.b.c = x, body.total #62; 0"]
    route1["theirs<br/>everything"]
    profile0(["big<br/>registry.fly.io/acme:1<br/>performance-2x"])
    profile1(["theirs<br/>image chosen by the sender<br/>shared-cpu-1x"])
    queue0 -->|"1"| route0
    queue0 -->|"2"| route1
    queue0 -.->|"rejected"| queue2
    queue1 -->|"1"| route0
    route0 --> profile0
    route1 --> profile1
"""
_DOT = """\
digraph routes {
    rankdir=LR;
    queue0 [shape=cylinder, label="orders"];
    queue1 [shape=cylinder, label="rejected"];
    route0 [shape=box, label="theirs\\neverything"];
    profile0 [shape=oval, label="theirs\\nimage chosen by the sender\\nshared-cpu-1x"];
    queue0 -> route0 [label="2"];
    queue0 -> queue1 [label="rejected", style=dotted];
    route0 -> profile0 [label=""];
}
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "routes.yaml").write_text(_ROUTES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEY", _SECRET)


def routes(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["routes", *arguments])


def test_the_table_has_the_routes_of_each_queue_in_their_order() -> None:
    result = routes()

    assert (result.exit_code, result.stdout) == (0, _TABLE)


def test_the_table_can_be_of_one_queue_or_one_route() -> None:
    of_queue, of_route = routes("--queue", "open"), routes("--route", "theirs")

    assert [line.split()[:2] for line in of_queue.stdout.splitlines()[1:]] == [["open", "paid"]]
    assert [line.split()[:2] for line in of_route.stdout.splitlines()[1:]] == [["orders", "theirs"]]


def test_every_effective_value_is_told_with_its_place() -> None:
    result = routes("--resolved", "--route", "paid")

    assert result.stdout.startswith(_RESOLVED)
    assert "  env.KEY                ${KEY}" in result.stdout
    assert "  batch_bytes            512kb" in result.stdout
    assert _SECRET not in result.output
    assert _SECRET in routes("--resolved", "--show-values").stdout


def test_an_app_of_the_environment_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLY_REGION", "fra")

    lines = routes("--resolved", "--route", "paid").stdout.splitlines()

    (region,) = (line.split() for line in lines if line.startswith("  region "))
    assert region == ["region", "fra", "environment"]


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param(["mermaid"], _MERMAID, id="mermaid"),
        pytest.param(["dot", "--route", "theirs"], _DOT, id="dot-of-one-route"),
    ],
)
def test_the_graph_leads_from_queues_to_machines(arguments: list[str], expected: str) -> None:
    assert routes("--graph", *arguments).stdout == expected


def test_labels_of_graphs_cannot_become_markup() -> None:
    Path("routes.yaml").write_text(
        _ROUTES.replace("c: x", 'c: "<b>\\"`&\\\\#\\e[2J"').replace("[paid, {prefix: re}]", "a")
    )

    mermaid, dot = routes("--graph", "mermaid").stdout, routes("--graph", "dot").stdout

    assert "<b>" not in mermaid
    assert "#34;#60;b#62;\\#34;#96;#38;\\\\#35;\\u001b[2J#34;" in mermaid
    assert 'body.a.b.c = \\"<b>\\\\\\"`&\\\\\\\\#\\\\u001b[2J\\"' in dot


def test_the_json_keeps_its_shape() -> None:
    told: dict[str, Any] = json.loads(routes("--format", "json").stdout)
    resolved: dict[str, Any] = json.loads(routes("--format", "json", "--resolved").stdout)

    assert list(told) == ["format_version", "routes_file", "queues", "routes"]
    assert told["format_version"] == "1.0"
    assert told["queues"][0]["routes"] == ["paid", "theirs"]
    paid, theirs = told["routes"]
    assert list(paid) == [
        "name", "file", "line", "column", "queues", "match", "schema", "on_invalid", "overrides",
        "profile", "values",
    ]  # fmt: skip
    assert (paid["line"], paid["profile"], theirs["profile"]) == (11, "big", None)
    assert paid["values"]["env.KEY"] == "${KEY}"
    assert paid["match"]["attributes"] == {"kind": ["paid", {"prefix": "re"}]}
    assert theirs["overrides"] == {"image": ["registry.fly.io/acme:*"], "size": ["shared-cpu-1x"]}
    assert resolved["routes"][0]["resolved"]["size"] == {
        "value": "performance-2x", "source": "profile big",
        "file": "routes.yaml", "line": 9, "column": 30,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["--queue", "order"],
            "routes.yaml has no queue 'order'; did you mean `orders`? allowed are: open, orders, ",
            id="unknown-queue",
        ),
        pytest.param(
            ["--route", "pad"],
            "routes.yaml has no route 'pad'; did you mean `paid`? allowed are: paid, theirs",
            id="unknown-route",
        ),
        pytest.param(["--graph", "dot", "--resolved"], "--graph cannot be combined", id="both"),
        pytest.param(
            ["gone.yaml"],
            "there is no file gone.yaml; name a routes file: lambdo-router routes FILE",
            id="no-file",
        ),
    ],
)
def test_wrong_usage_exits_with_2_and_says_what_is_right(arguments: list[str], said: str) -> None:
    result = routes(*arguments)

    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr


def test_a_routes_file_with_errors_shows_them() -> None:
    Path("routes.yaml").write_text(_ROUTES.replace("profile: big", "profile: bgi"))

    result = routes()

    assert (result.exit_code, result.stdout) == (1, "")
    assert "did you mean `big`?" in result.stderr


@pytest.mark.parametrize(
    ("asked", "text"),
    [
        pytest.param(["x"], "= x", id="text"),
        pytest.param(["x y", 5, None, True], '= "x y" | 5 | null | true', id="scalars"),
        pytest.param([{"prefix": "a"}, {"suffix": ".png"}], "= a* | *.png", id="ends"),
        pytest.param([{"wildcard": "a*b"}], "= a*b", id="wildcard"),
        pytest.param([{"equals-ignore-case": "A"}], "= A (any case)", id="any-case"),
        pytest.param([{"numeric": [">", 0, "<=", 5]}], "> 0 <= 5", id="numeric"),
        pytest.param([{"cidr": "10.0.0.0/8"}], "= 10.0.0.0/8", id="cidr"),
        pytest.param([{"exists": True}], "present", id="present"),
        pytest.param([{"exists": False}], "absent", id="absent"),
        pytest.param([{"exists": False}, "x"], "= absent | x", id="absent-or"),
        pytest.param([{"anything-but": ["a", "b"]}], "= not a | b", id="anything-but"),
        pytest.param([{"anything-but": {"prefix": "a"}}], "= not a*", id="anything-but-prefix"),
        pytest.param(
            [{"prefix": {"equals-ignore-case": "a"}}],
            '= {"prefix": {"equals-ignore-case": "a"}}',
            id="what-has-no-short-form",
        ),
        pytest.param(list("abcdef"), "= a | b | c | d | 2 more", id="many"),
    ],
)
def test_a_condition_in_short(asked: list[object], text: str) -> None:
    match = Match(body=compile_pattern({"a": {"b": asked}}))

    assert match_text(match) == f"body.a.b {text}"


def test_alternatives_of_fields_in_short() -> None:
    match = Match(system=compile_pattern({"$or": [{"a": ["x"]}, {"b": ["y"], "c": ["z"]}]}))

    assert match_text(match) == "(system.a = x or system.b = y, system.c = z)"
