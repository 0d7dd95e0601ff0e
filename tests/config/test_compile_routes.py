from pathlib import Path

import pytest
from routes_files import DEFAULTS, QUEUES, compiled, reported, route_of

from lambdo_router.core.message import Attribute, Message
from lambdo_router.core.profile import SIZES, Guest, Overrides
from lambdo_router.core.routing import Match, Routed, RoutingTable, decide

SCHEMAS = Path(__file__).parents[1] / "routes/schemas"


def test_what_is_not_written_has_its_default() -> None:
    route = route_of("profile: p")

    assert route.name == "r"
    assert route.queues == ("orders",)
    assert route.profile.name == "p"
    assert route.match == Match()
    assert route.schema is None
    assert route.on_invalid == "reject"
    assert route.overrides == Overrides()


def test_routes_are_equal_if_the_file_says_the_same() -> None:
    keys = (
        "match: {body: {a: [1]}}, schema: order.schema.json, profile: p, overrides: {command: true}"
    )

    assert route_of(keys, folder=SCHEMAS) == route_of(keys, folder=SCHEMAS)
    assert hash(route_of(keys, folder=SCHEMAS)) == hash(route_of(keys, folder=SCHEMAS))
    assert route_of(keys, folder=SCHEMAS) != route_of(keys.replace("1", "2"), folder=SCHEMAS)


def test_a_profile_written_in_a_route_varies_the_one_it_extends() -> None:
    route = route_of(
        "profile: {extends: p, size: shared-cpu-2x}", "p: {image: redis, batch_size: 5}"
    )

    assert route.profile.name == "r"
    assert route.profile.image == "redis"
    assert route.profile.batch_size == 5
    assert route.profile.guest == Guest("shared", 2, 512)


def test_routes_of_one_profile_share_it() -> None:
    result = compiled(f"""{QUEUES}{DEFAULTS}
profiles: {{p: {{}}}}
routes:
  - {{name: a, queue: orders, match: {{body: {{x: [1]}}}}, profile: p}}
  - {{name: b, queue: orders, profile: p}}
""")

    assert result.routes[0].profile is result.routes[1].profile


@pytest.mark.parametrize(
    ("keys", "overrides"),
    [
        pytest.param(
            "{image: ['registry.fly.io/acme:*', 'ghcr.io/acme/*']}",
            Overrides(image=("registry.fly.io/acme:*", "ghcr.io/acme/*")),
            id="image",
        ),
        pytest.param("{image: ['*']}", Overrides(image=("*",)), id="any-image"),
        pytest.param("{image: ['*/acme/x']}", Overrides(image=("*/acme/x",)), id="any-registry"),
        pytest.param(
            "{image: ['localhost/x:1', 'host:5000/x@sha256:*']}",
            Overrides(image=("localhost/x:1", "host:5000/x@sha256:*")),
            id="registries-without-a-period",
        ),
        pytest.param("{size: [shared-cpu-1x]}", Overrides(size=("shared-cpu-1x",)), id="size"),
        pytest.param("{command: true}", Overrides(command=True), id="any-command"),
        pytest.param(
            "{command: [[node, a.js], [date]]}",
            Overrides(command=(("node", "a.js"), ("date",))),
            id="commands",
        ),
    ],
)
def test_overrides_are_taken_over(keys: str, overrides: Overrides) -> None:
    assert route_of(f"profile: p, overrides: {keys}").overrides == overrides


def test_a_sender_may_name_every_size_that_a_route_lists() -> None:
    assert route_of(
        f"profile: p, overrides: {{size: [{', '.join(SIZES)}]}}"
    ).overrides.size == tuple(SIZES)


def test_a_profile_may_be_without_an_image_if_senders_name_one() -> None:
    text = QUEUES + (
        "routes:\n  - {name: r, queue: orders, profile: {app: acme, acknowledge: launch}, "
        "overrides: {image: ['ghcr.io/acme/*']}}\n"
    )
    result = compiled(text)

    assert reported(result) == []
    assert result.routes[0].profile.image == ""


@pytest.mark.parametrize(
    ("match", "matches"),
    [
        pytest.param("{body: {kind: [a, {prefix: b}]}}", True, id="body"),
        pytest.param("{body: {kind: a}}", True, id="scalar"),
        pytest.param("{body: {kind: z}}", False, id="another-body"),
        pytest.param("{attributes: {tenant: [acme]}}", True, id="attributes"),
        pytest.param("{attributes: {tenant: [{exists: false}]}}", False, id="other-attributes"),
        pytest.param("{system: {SenderId: [{prefix: AROA}]}}", True, id="system"),
        pytest.param("{system: {SenderId: ['']}}", False, id="another-sender"),
        pytest.param("{body: {kind: a}, attributes: {tenant: other}}", False, id="all-parts-count"),
    ],
)
def test_compiled_routes_decide(match: str, *, matches: bool) -> None:
    text = f"{QUEUES}{DEFAULTS}routes: [{{name: r, queue: orders, match: {match}, profile: {{}}}}]"
    result = compiled(text)
    table = RoutingTable("", result.queues, result.routes)
    message = Message(
        "1", "", '{"kind": "a"}', {"tenant": Attribute("String", "acme")}, {"SenderId": "AROA1"}
    )

    assert isinstance(decide(table, result.queues["orders"], message), Routed) is matches


def test_a_schema_that_several_routes_name_is_compiled_once() -> None:
    result = compiled(
        f"""{QUEUES}{DEFAULTS}
routes:
  - {{name: a, queue: orders, match: {{body: {{x: 1}}}}, schema: order.schema.json, profile: {{}}}}
  - {{name: b, queue: orders, schema: order.schema.json, profile: {{}}}}
""",
        folder=SCHEMAS,
    )

    assert reported(result) == []
    assert result.routes[0].schema is result.routes[1].schema
    assert result.routes[0].schema is not None
    assert result.routes[0].schema.problems({"id": "1"}) == ()


def test_a_profile_that_fills_the_create_request_is_refused() -> None:
    text = f"{QUEUES}{DEFAULTS}routes: [{{name: r, queue: orders, profile: {{env: {{A: {{}}}}}}}}]"

    assert reported(compiled(text.replace("{}", "x" * 890_000))) == []
    assert reported(compiled(text.replace("{}", "x" * 899_500))) == ["7:44 no-room-for-events"]


def test_nothing_is_called_unused_while_a_reference_is_wrong_or_open() -> None:
    text = (
        f"{QUEUES}{DEFAULTS}profiles: {{p: {{}}}}\nroutes: [{{name: r, queue: %s, profile: %s}}]\n"
    )

    assert reported(compiled(text % ("orders", "{}"))) == ["7:12 unused-profile"]
    assert reported(compiled(text % ("order", "{}"))) == ["8:27 unknown-queue"]
    assert reported(compiled(text % ("orders", "'${P}'"), missing="warning")) == []
    assert reported(compiled(text % ("['${Q}']", "p"), missing="warning")) == []


@pytest.mark.parametrize(
    ("match", "texts"),
    [
        pytest.param('body: {a: [">", 5]}', [">"], id="sign-and-number"),
        pytest.param('body: {a: {b: "> 5"}}', ["> 5"], id="in-one-text"),
        pytest.param('attributes: {a: [b, "=-1.5"]}', ["=-1.5"], id="in-a-list"),
        pytest.param('body: {$or: [{a: ["<= 5"]}, {b: [1]}]}', ["<= 5"], id="in-an-alternative"),
        pytest.param('body: {a: [">", true], b: [">"], c: ["> b"], d: [5, ">"]}', [], id="text"),
        pytest.param('body: {a: [{numeric: [">", 5]}, {anything-but: ["> 5"]}]}', [], id="numeric"),
    ],
)
def test_a_comparison_that_is_only_a_text_is_warned_of(match: str, texts: list[str]) -> None:
    routes = f"routes: [{{name: r, queue: orders, profile: p, match: {{{match}}}}}]\n"
    found = compiled(f"{QUEUES}{DEFAULTS}profiles: {{p: {{}}}}\n{routes}").diagnostics

    assert [d.message for d in found if d.code == "comparison-as-text"] == [
        f'the text "{text}" is not a comparison; it matches exactly this text' for text in texts
    ]
