"""Which tests a command line means."""

from pathlib import Path

import click
import pytest

from lambdo_router.cli.test.files import FoundTests, find_tests

TESTS = "tests: [{name: a, message: {queue: q}, expect: {route: r}}]\n"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with routes files, files with tests, and others."""
    monkeypatch.chdir(tmp_path)
    for name in ("routes.yaml", "prod.yaml", "notes.txt", "team/routes.yaml", "bare/other.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("version: 1\n", "utf-8")
    for name, routes in {
        "routes.test.yaml": "",
        "more.test.yml": "",
        "prod.test.yaml": "",
        "staging.test.yaml": "routes: prod.yaml\n",
        ".hidden.test.yaml": "",
        "team/a.test.yaml": "routes: ../routes.yaml\n",
        "team/b.test.yaml": "",
    }.items():
        (tmp_path / name).write_text(routes + TESTS, "utf-8")
    return tmp_path


def reported(found: FoundTests) -> dict[str, list[str]]:
    """For each routes file the files with its tests; `*` stands for those inside of it."""
    return {
        str(it.routes): ["*"] * it.inside + [str(file.path) for file in it.files]
        for it in found.suites
    }


WITHOUT_TEAM = {
    "routes.yaml": ["*", "more.test.yml", "routes.test.yaml"],
    "prod.yaml": ["prod.test.yaml", "staging.test.yaml"],
}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        pytest.param([], WITHOUT_TEAM, id="the-current-folder"),
        pytest.param(["."], WITHOUT_TEAM, id="a-folder"),
        pytest.param(
            ["routes.yaml"],
            {"routes.yaml": ["*", "more.test.yml", "routes.test.yaml"]},
            id="routes-file",
        ),
        pytest.param(
            ["prod.yaml"],
            {"prod.yaml": ["*", "prod.test.yaml", "staging.test.yaml"]},
            id="another-routes-file",
        ),
        pytest.param(
            ["staging.test.yaml"], {"prod.yaml": ["staging.test.yaml"]}, id="file-with-tests"
        ),
        pytest.param(
            ["team"],
            {
                "team/routes.yaml": ["*", "team/b.test.yaml"],
                "team/../routes.yaml": ["team/a.test.yaml"],
            },
            id="another-folder",
        ),
        pytest.param(
            ["team/a.test.yaml", "routes.test.yaml"],
            {"team/../routes.yaml": ["team/a.test.yaml", "routes.test.yaml"]},
            id="one-routes-file-under-two-names",
        ),
        pytest.param(
            ["**/*.test.yaml"],
            {
                "prod.yaml": ["prod.test.yaml", "staging.test.yaml"],
                "routes.yaml": ["routes.test.yaml", "team/a.test.yaml"],
                "team/routes.yaml": ["team/b.test.yaml"],
            },
            id="glob",
        ),
        pytest.param(
            ["staging.test.yaml", "prod.yaml", "./staging.test.yaml"],
            {"prod.yaml": ["*", "staging.test.yaml", "prod.test.yaml"]},
            id="named-twice",
        ),
        pytest.param(["nowhere.yaml"], {"nowhere.yaml": ["*"]}, id="routes-file-not-there"),
    ],
)
def test_what_arguments_mean(arguments: list[str], expected: dict[str, list[str]]) -> None:
    found = find_tests(arguments)

    assert reported(found) == expected
    assert found.problems == {}


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["bare"], "no routes.yaml and no *.test.yaml in bare", id="empty-folder"),
        pytest.param(["*.yml.test"], "no file matches '*.yml.test'", id="empty-glob"),
    ],
)
def test_arguments_that_mean_nothing_are_wrong_usage(arguments: list[str], said: str) -> None:
    with pytest.raises(click.UsageError) as refused:
        find_tests(arguments)
    assert said in refused.value.message


def test_a_file_that_cannot_be_read_is_a_problem(here: Path) -> None:
    (here / "folder.test.yaml").mkdir()
    (here / "folder.test.yaml" / "x").touch()
    found = find_tests(["nowhere.test.yaml"])

    assert [str(it) for it in found.problems[Path("nowhere.test.yaml")]] == [
        "nowhere.test.yaml:1:1: there is no such file [file-not-found]"
    ]
    assert found.suites == []


def test_a_file_without_its_routes_file_is_a_problem(here: Path) -> None:
    (here / "lost.test.yaml").write_text(f"routes: gone.yaml\n{TESTS}", "utf-8")
    found = find_tests(["lost.test.yaml"])

    assert [it.code for it in found.problems[Path("lost.test.yaml")]] == ["no-routes-file"]
    assert found.sources["lost.test.yaml"][0] == "routes: gone.yaml"


def test_what_is_no_yaml_may_be_meant_and_is_a_problem(here: Path) -> None:
    (here / "x.test.yaml").write_text("tests: [", "utf-8")
    found = find_tests(["routes.yaml"])

    assert [it.code for it in found.problems[Path("x.test.yaml")]] == ["yaml-syntax"]


def test_what_is_wrong_in_tests_for_other_routes_is_no_problem(here: Path) -> None:
    (here / "x.test.yaml").write_text(f"routes: prod.yaml\nroutes: x\n{TESTS}", "utf-8")

    assert find_tests(["routes.yaml"]).problems == {}
    assert [it.code for it in find_tests(["prod.yaml"]).problems[Path("x.test.yaml")]] == [
        "duplicate-key"
    ]
