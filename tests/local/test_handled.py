"""What stands in for the CMD of an image that is built on a runtime."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

import pytest

import lambdo_router
from lambdo_router.local.machines_server import Exit, MachineRecord, ProcessRunner
from lambdo_router.local.runtimes import RUNTIMES, Handled, handled_in, runtime_for

_CHECKOUT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("handler", "name"),
    [
        ("index.js", "node"),
        ("src/a.mjs", "node"),
        ("a.cjs", "node"),
        ("/app/index.php", "php"),
        ("jobs/main.py", "python"),
        ("main.rb", None),
        ("index", None),
        ("", None),
    ],
)
def test_a_file_is_for_the_runtime_of_its_ending(handler: str, name: str | None) -> None:
    runtime = runtime_for(handler)

    assert (runtime.name if runtime else None) == name


@pytest.mark.parametrize(
    ("files", "env", "expected"),
    [
        pytest.param((), {}, None, id="nothing"),
        pytest.param(("handler.py", "index.html"), {}, None, id="no-file-of-a-runtime"),
        pytest.param(("index.js",), {}, ("node", "index.js"), id="node"),
        pytest.param(("index.mjs",), {}, ("node", "index.mjs"), id="es-module"),
        pytest.param(("index.php",), {}, ("php", "index.php"), id="php"),
        pytest.param(("main.py",), {}, ("python3", "main.py"), id="python"),
        pytest.param(
            ("index.js", "other.php"),
            {"LAMBDO_HANDLER": "other.php"},
            ("php", "other.php"),
            id="the-named-one",
        ),
        pytest.param(
            ("a.py",), {"LAMBDO_HANDLER": "/app/a.py"}, ("python3", "a.py"), id="as-in-the-image"
        ),
        pytest.param((), {"LAMBDO_HANDLER": "b.js"}, ("node", "b.js"), id="named-and-missing"),
        pytest.param(("index.js",), {"LAMBDO_HANDLER": "run.sh"}, None, id="for-no-runtime"),
    ],
)
def test_a_folder_runs_the_function_that_it_has(
    files: tuple[str, ...],
    env: Mapping[str, str],
    expected: tuple[str, str] | None,
    tmp_path: Path,
) -> None:
    for name in files:
        (tmp_path / name).touch()
    handled = handled_in(tmp_path, env)

    assert (handled and (handled.command[0], handled.handler)) == expected


@pytest.mark.parametrize("runtime", RUNTIMES, ids=lambda runtime: runtime.name)
def test_a_runtime_is_found_in_the_checkout_and_beside_an_installed_package(
    runtime: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [it] = [each for each in RUNTIMES if each is runtime]
    package = tmp_path / "lambdo_router"
    in_checkout = handled_in(tmp_path, {"LAMBDO_HANDLER": it.handlers[0]})
    (package / "runtimes").mkdir(parents=True)
    monkeypatch.setattr(lambdo_router, "__file__", str(package / "__init__.py"))
    installed = handled_in(tmp_path, {"LAMBDO_HANDLER": it.handlers[0]})

    file = Path("runtimes", it.name, it.file)
    assert (_CHECKOUT / file).is_file()
    assert in_checkout == Handled((it.interpreter, str(_CHECKOUT / file)), it.handlers[0])
    assert installed == Handled((it.interpreter, str(package / file)), it.handlers[0])


@pytest.mark.real_time
async def test_a_machine_without_a_command_calls_the_function_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text("def handler(event, context): print('hello,', event['name'])")
    lines: list[str] = []
    content = base64.b64encode(json.dumps([{"name": "you"}]).encode()).decode()
    machine = MachineRecord(
        id="3d8d7000c52d78",
        app="jobs",
        name="job-1",
        region="iad",
        version="01",
        private_ip="fdaa::2",
        created_at=0.0,
        updated_at=0.0,
        config={
            "image": "registry.fly.io/jobs:1",
            "guest": {"memory_mb": 256},
            "env": {"EVENTS_PATH": "/tmp/events.json"},
            "files": [{"guest_path": "/tmp/events.json", "raw_value": content}],
        },
    )
    runner = ProcessRunner(tmp_path)
    end = await runner.run(machine, lambda *said: lines.append(said[2]))

    assert (end, lines[0]) == (Exit(0), "hello, you")
