import json
from pathlib import Path

import pytest
from routes_files import QUEUES, compiled, reported

from lambdo_router.config.compile.machine_config import is_owned_variable
from lambdo_router.config.read.shape import MACHINE_CONFIG_SCHEMA, schema_text
from lambdo_router.core.batch import Batch, BatchKey, Entry
from lambdo_router.core.machine import machine_request
from lambdo_router.core.message import Event, Message

SCHEMA = json.loads(schema_text(MACHINE_CONFIG_SCHEMA))


def with_machine(machine: str) -> str:
    return (
        f"{QUEUES}defaults: {{app: acme, image: nginx:1, acknowledge: launch}}\n"
        f"routes:\n  - name: r\n    queue: orders\n    profile: {{machine: {machine}}}\n"
    )


@pytest.mark.parametrize(
    "machine",
    [
        "{}",
        "{mounts: [{volume: vol_123, path: /data}]}",
        "{services: [{internal_port: 80, autostop: stop, ports: [{port: 443, handlers: [tls]}]}]}",
        "{services: [{autostop: false}]}",
        "{spot: {max_price_fraction: 0.50000000000000000001}}",
        "{checks: {alive: {type: tcp, port: 80, kind: readiness}}}",
        "{init: {entrypoint: [/bin/sh, -c], swap_size_mb: 512}, rootfs: {persist: never}}",
        "{files: [{guest_path: /a, secret_name: A, mode: 420}], spot: {max_price_fraction: 0.5}}",
        "{dns: {nameservers: [1.1.1.1], options: [{name: ndots, value: '1'}]}}",
        "{metadata: {team: a}, env: {A: b}, stop_config: {signal: SIGTERM, timeout: 30s}}",
        "{services: [{ports: [{http_options: {response: {headers: {a: b}}}}]}]}",
    ],
)
def test_what_the_api_takes_is_taken(machine: str) -> None:
    assert reported(compiled(with_machine(machine))) == []


@pytest.mark.parametrize("key", [k for k in SCHEMA["properties"] if k not in ("env", "metadata")])
def test_every_key_of_the_api_is_known(key: str) -> None:
    codes = {d.code for d in compiled(with_machine(f"{{{key}: null}}")).diagnostics}

    assert codes <= {"wrong-type", "owned-by-router"}
    assert len(codes) == 1


def test_what_the_router_puts_into_a_request_cannot_be_set() -> None:
    """Everything in a rendered config, one by one, is refused under `machine`."""
    route = compiled(with_machine("{}")).routes[0]
    message = Message("1", "", "{}", {}, {})
    batch = Batch(
        BatchKey("orders", route, route.profile), (Entry(message, Event("{}", {}, {}), 2, 2),)
    )
    config = json.loads(machine_request(batch, generation="0" * 12).body)["config"]
    config["init"] = {"cmd": ["a"]}
    pieces = [
        *({"env": {name: value}} for name, value in config.pop("env").items()),
        *({"metadata": {name: value}} for name, value in config.pop("metadata").items()),
        *({"files": [file]} for file in config.pop("files")),
        *({name: value} for name, value in config.items()),
    ]

    assert len(pieces) >= 15
    for piece in pieces:
        codes = [d.code for d in compiled(with_machine(json.dumps(piece))).diagnostics]
        assert codes == ["owned-by-router"], piece


@pytest.mark.parametrize(
    "path", ["/tmp/events.json", "//tmp//batch.json", "/a/../tmp/./events.json"]
)
def test_the_files_of_the_batch_cannot_be_written_over(path: str) -> None:
    machine = f"{{files: [{{guest_path: {path}, raw_value: a}}]}}"

    assert [d.code for d in compiled(with_machine(machine)).diagnostics] == ["owned-by-router"]


def test_what_is_not_set_yet_is_not_judged() -> None:
    machine = "{stop_config: {signal: '${SIGNAL}'}, files: [{guest_path: '${P}', raw_value: a}]}"

    assert reported(compiled(with_machine(machine), missing="warning")) == []
    assert reported(compiled(with_machine(machine), {"SIGNAL": "SIGTERM", "P": "/a"})) == []
    assert reported(compiled(with_machine(machine), {"SIGNAL": "no", "P": "/a"})) == [
        "10:47 not-allowed"
    ]


@pytest.mark.parametrize(
    ("name", "owned"),
    [
        *(
            (name, True)
            for name in ("LAMBDO_ROUTE", "LAMBDO_", "EVENTS_PATH", "TRACEPARENT", "TRACESTATE")
        ),
        *((name, False) for name in ("LAMBDO", "MY_LAMBDO_X", "EVENTS_PATHS", "lambdo_x", "PATH")),
        *((name, False) for name in ("LAMBDO_HANDLER", "LAMBDO_CONCURRENCY")),
    ],
)
def test_the_router_owns_its_names_in_the_environment(name: str, *, owned: bool) -> None:
    assert is_owned_variable(name) is owned


def test_the_schemas_and_the_regions_are_package_data() -> None:
    folder = Path(__file__).parents[2] / "lambdo_router/config"

    assert sorted(p.name for p in folder.glob("*.json")) == [
        "machine_config.schema.json",
        "regions.json",
        "routes.schema.json",
        "tests.schema.json",
    ]
