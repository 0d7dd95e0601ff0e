"""Which files are read for whom: links that lead out, pipes, and files of the kernel's."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lambdo_router.cli import cli
from lambdo_router.config.load import examine_routes, load_routes
from lambdo_router.config.read.files import link_out, read_regular

SECRET = "s3cr3t-of-the-disk"
ROOT = """\
version: 1
include: [INCLUDED]
queues: {orders: {name: orders}}
defaults: {app: acme, acknowledge: launch}
profiles: {worker: {image: "nginx:1"}}
routes:
  - {name: first, queue: orders, SCHEMA profile: worker}
"""
TEAM = """\
version: 1
routes: [{name: team, queue: orders, match: {body: {a: 1}}, profile: worker}]
"""
TESTS = """\
ROUTES
tests:
  - {name: an order, message: {MESSAGE}, expect: {route: first}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkout, beside which lies what is nobody's business."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret.yaml").write_text(f"{SECRET}: [\n")
    (tmp_path / "outside/secret.json").write_text(f'{{"{SECRET}": 1, "$ref": "{SECRET}"}}')
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    return checkout


def write(folder: Path, included: str = "", schema: str = "") -> Path:
    path = folder / "routes.yaml"
    text = ROOT.replace("include: [INCLUDED]\n", "") if not included else ROOT
    path.write_text(
        text.replace("INCLUDED", included).replace("SCHEMA", f"schema: {schema}," if schema else "")
    )
    return path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


@pytest.mark.parametrize("form", ["text", "json", "github", "sarif", "junit"])
@pytest.mark.parametrize("included", ["team.yaml", "te*.yaml", "linked/secret.yaml", "li*/*.yaml"])
def test_an_include_that_a_link_leads_out_shows_nothing_of_what_is_there(
    folder: Path, included: str, form: str
) -> None:
    (folder / "team.yaml").symlink_to("../outside/secret.yaml")
    (folder / "linked").symlink_to(folder.parent / "outside")
    path = write(folder, included)

    [problem] = examine_routes(path, {}).diagnostics
    link = "team.yaml" if "te" in included else "linked"
    assert (problem.code, problem.line, problem.column) == ("include-not-allowed", 2, 11)
    assert problem.message == f"the link `{link}` leads out of the folder of this file"
    result = run("validate", str(path), "--format", form)
    assert result.exit_code == 1
    assert SECRET not in result.output


@pytest.mark.parametrize("named", ["order.json", "linked/secret.json", "../checkout/order.json"])
def test_a_schema_that_a_link_leads_out_shows_nothing_of_what_is_there(
    folder: Path, named: str
) -> None:
    (folder / "order.json").symlink_to("../outside/secret.json")
    (folder / "linked").symlink_to("../outside")
    path = write(folder, schema=named)

    [problem] = examine_routes(path, {}).diagnostics
    assert (problem.code, problem.line) == ("schema-not-readable", 6)
    assert "leads out of its folder" in problem.message
    assert SECRET not in run("validate", str(path)).output


def test_a_way_back_through_a_link_is_a_way_out(folder: Path) -> None:
    (folder.parent / "outside/inner").mkdir()
    (folder / "inner").symlink_to("../outside/inner")
    path = write(folder, schema="inner/../secret.json")

    assert [it.code for it in examine_routes(path, {}).diagnostics] == ["schema-not-readable"]
    assert SECRET not in run("validate", str(path)).output


def test_a_reference_of_a_schema_that_a_link_leads_out_shows_nothing(folder: Path) -> None:
    (folder / "order.json").write_text('{"$ref": "part.json"}')
    (folder / "part.json").symlink_to("../outside/secret.json")
    path = write(folder, schema="order.json")

    [problem] = examine_routes(path, {}).diagnostics
    assert problem.code == "schema-not-readable"
    assert SECRET not in run("validate", str(path)).output


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ("", "file: link.json"),
        ("", "queue: orders, body_file: link.json"),
        ("routes: link.yaml", "queue: orders"),
    ],
)
def test_what_tests_name_and_a_link_leads_out_shows_nothing(
    folder: Path, routes: str, message: str
) -> None:
    (folder / "link.json").symlink_to("../outside/secret.json")
    (folder / "link.yaml").symlink_to("../outside/secret.yaml")
    write(folder)
    tests = folder / "routes.test.yaml"
    tests.write_text(TESTS.replace("ROUTES", routes).replace("MESSAGE", message))

    result = run("test", str(folder))
    assert "leads out of the folder of the path" in result.output
    assert SECRET not in result.output


def test_a_file_with_tests_that_a_link_leads_out_shows_nothing(folder: Path) -> None:
    write(folder)
    (folder / "more.test.yaml").symlink_to("../outside/secret.yaml")

    result = run("test", str(folder))
    assert "the link more.test.yaml leads out of its folder" in result.output
    assert SECRET not in result.output


def test_a_message_of_a_folder_that_a_link_leads_out_shows_nothing(folder: Path) -> None:
    path = write(folder)
    (folder / "messages").mkdir()
    (folder / "messages/a.json").symlink_to("../../outside/secret.json")

    result = run("diff", str(path), str(path), "--messages", str(folder / "messages"))
    assert "a.json: the link leads out of the folder" in result.output
    assert SECRET not in result.output


def test_a_config_map_may_link_within_its_mount(tmp_path: Path) -> None:
    mount, data = tmp_path / "mount", tmp_path / "mount/..2024_01"
    data.mkdir(parents=True)
    path = write(data, "team.yaml", "order.json")
    (data / "team.yaml").write_text(TEAM)
    (data / "order.json").write_text('{"$ref": "part.json"}')
    (data / "part.json").write_text("{}")
    (mount / "..data").symlink_to("..2024_01")
    for name in ("routes.yaml", "team.yaml", "order.json", "part.json"):
        (mount / name).symlink_to(f"..data/{name}")
    (tmp_path / "current").symlink_to("mount")

    for path in (mount / "routes.yaml", tmp_path / "current/routes.yaml"):
        assert [route.name for route in load_routes(path, {}).table.routes] == ["first", "team"]


def test_a_schema_may_lie_in_a_folder_that_is_named_in_so_many_words(folder: Path) -> None:
    (folder.parent / "schemas").mkdir()
    (folder.parent / "schemas/order.json").write_text("{}")

    assert examine_routes(write(folder, schema="../schemas/order.json"), {}).errors == ()


def test_a_schema_may_be_a_link_to_elsewhere_in_the_folder_of_the_routes(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "shared.json").write_text("{}")
    (folder / "a/order.json").symlink_to("../shared.json")

    assert examine_routes(write(folder, schema="a/order.json"), {}).errors == ()


def test_what_is_no_regular_file_is_neither_read_nor_waited_for(folder: Path) -> None:
    os.mkfifo(folder / "pipe.yaml")
    os.mkfifo(folder / "pipe.json")
    path = write(folder, "pipe.yaml", "pipe.json")

    assert [(it.code, it.message) for it in examine_routes(path, {}).diagnostics] == [
        (
            "include-not-readable",
            "`pipe.yaml` cannot be included: the file cannot be read: this is not a regular file",
        ),
        ("schema-not-readable", "pipe.json: this is not a regular file"),
    ]
    [problem] = examine_routes(folder / "pipe.yaml", {}).diagnostics
    assert problem.message == "the file cannot be read: this is not a regular file"
    with pytest.raises(OSError, match="not a regular file"):
        read_regular(Path("/dev/zero"), 10)


def test_of_the_files_of_the_kernel_nothing_is_read() -> None:
    assert Path("/proc/self/environ").read_bytes() != b""
    assert read_regular(Path("/proc/self/environ"), 1000) == b""


def test_the_link_is_named_and_not_what_it_leads_to(folder: Path) -> None:
    (folder / "a").mkdir()
    (folder / "a/b").symlink_to(folder.parent / "outside")

    assert link_out(folder, folder / "a/b/secret.yaml") == "a/b"
    assert link_out(folder, folder / "a/c/secret.yaml") is None
    assert link_out(folder, folder / "a/b/secret.yaml", folder.parent / "outside") is None
