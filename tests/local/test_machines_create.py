import json
from collections.abc import Callable
from typing import Any

import pytest

from lambdo_router.local.machines_server.create import candidates, parse_create
from lambdo_router.local.machines_server.refusals import Refusal


def config(**more: object) -> dict[str, Any]:
    return {"image": "nginx", **more}


def guest(**more: object) -> dict[str, Any]:
    return config(guest={"cpu_kind": "shared", "cpus": 1, "memory_mb": 256} | more)


def file(**more: object) -> dict[str, Any]:
    return config(files=[{"guest_path": "/tmp/a", "raw_value": "YQ=="} | more])


def refusal(call: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(Refusal) as caught:
        call()
    return caught.value.http, caught.value.error


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        pytest.param("", ("lhr",), id="near-the-caller"),
        pytest.param("iad", ("iad",), id="one-code-alone"),
        pytest.param("ord, IAD,ord", ("ord", "iad"), id="each-once-in-order"),
        pytest.param("sa,eu", ("gru", "lhr", "ams", "arn", "cdg", "fra"), id="home-first-in-alias"),
        pytest.param("usa", ("dfw", "ewr", "iad", "lax", "ord", "sjc"), id="usa"),
    ],
)
def test_region_expressions(expression: str, expected: tuple[str, ...]) -> None:
    assert candidates(expression, home="lhr") == expected


def test_any_is_every_region_and_a_closed_one_is_none() -> None:
    assert len(candidates("any", home="iad")) == 18
    assert candidates("any", home="nrt")[0] == "nrt"
    assert refusal(lambda: candidates("iad,mia", home="iad")) == (
        400,
        "invalid_argument: unknown region 'mia'",
    )


@pytest.mark.parametrize(
    ("asked_for", "error"),
    [
        pytest.param({}, "invalid config.image", id="no-image"),
        pytest.param(config(image="No Image"), "invalid config.image", id="bad-image"),
        pytest.param(guest(cpus=5), "invalid config.guest.cpus", id="five-cpus"),
        pytest.param(guest(cpu_kind=None), "invalid config.guest.cpu_kind", id="no-cpu-kind"),
        pytest.param(
            guest(cpus=4, memory_mb=256),
            "invalid config.guest.memory_mb, minimum required 1024 MiB",
            id="too-little-memory",
        ),
        pytest.param(
            guest(memory_mb=4096),
            "invalid config.guest.memory_mb, cannot exceed 2048 MiB",
            id="too-much-memory",
        ),
        pytest.param(guest(memory_mb=300), "invalid config.guest.memory_mb", id="odd-memory"),
        pytest.param({"image": "a", "size": "a10"}, "invalid config.size", id="retired-size"),
        pytest.param(
            guest() | {"size": "shared-cpu-1x"},
            "invalid config: size and guest exclude each other",
            id="size-and-guest",
        ),
        pytest.param(
            file(guest_path="tmp/a"),
            "invalid config.files: guest_path 'tmp/a' must be absolute",
            id="relative-path",
        ),
        pytest.param(
            file(raw_value="*"), "invalid config.files: /tmp/a: illegal base64 data", id="base64"
        ),
        pytest.param(
            file(raw_value=None),
            "invalid config.files: /tmp/a needs raw_value or secret_name",
            id="no-content",
        ),
        pytest.param(
            config(env={"A": 1}),
            "json: cannot unmarshal number into Go struct field CreateMachineRequest.config.env.A "
            "of type string",
            id="env-of-numbers",
        ),
        pytest.param(
            config(init={"cmd": "node x.js"}),
            "json: cannot unmarshal string into Go struct field "
            "CreateMachineRequest.config.init.cmd of type array",
            id="command-as-text",
        ),
        pytest.param(
            config(restart={"policy": "never"}), "invalid config.restart.policy", id="policy"
        ),
        pytest.param(
            config(stop_config={"signal": "TERM"}),
            "invalid_argument: invalid signal 'TERM'",
            id="signal",
        ),
        pytest.param(
            config(stop_config={"timeout": "10"}),
            "invalid_argument: invalid duration '10'",
            id="duration",
        ),
    ],
)
def test_a_config_that_the_api_refuses(asked_for: dict[str, Any], error: str) -> None:
    body = json.dumps({"config": asked_for}).encode()

    assert refusal(lambda: parse_create(body)) == (400, error)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(b"", (400, "EOF"), id="empty"),
        pytest.param(b"[]", (400, None), id="no-object"),
        pytest.param(b"{", (400, None), id="no-json"),
        pytest.param(b"{}", (400, "invalid_argument: config is required"), id="no-config"),
        pytest.param(
            b'{"name": "A_b", "config": {}}',
            (400, "invalid_argument: invalid machine name 'A_b'"),
            id="name",
        ),
        pytest.param(b" " * 1_048_577, (413, "http: request body too large"), id="above-1-mib"),
    ],
)
def test_a_body_that_the_api_refuses(body: bytes, expected: tuple[int, str | None]) -> None:
    http, error = refusal(lambda: parse_create(body))

    assert (http, error if expected[1] else None) == expected


@pytest.mark.parametrize(
    ("asked_for", "expected"),
    [
        pytest.param({}, ("shared", 1, 256), id="default"),
        pytest.param({"size": "performance-2x"}, ("performance", 2, 4096), id="preset"),
        pytest.param(
            {"guest": {"cpu_kind": "performance", "cpus": 16, "memory_mb": 131072}},
            ("performance", 16, 131072),
            id="largest",
        ),
    ],
)
def test_sizes_are_expanded(asked_for: dict[str, Any], expected: tuple[str, int, int]) -> None:
    body = json.dumps({"config": {"image": "nginx", "env": None} | asked_for}).encode()
    got = parse_create(body).config

    assert tuple(got["guest"][key] for key in ("cpu_kind", "cpus", "memory_mb")) == expected
    assert set(got) == {"image", "guest"}
