from pathlib import Path

import pytest

from lambdo_router.config.read.files import expand, is_glob, refusal


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.yaml", "a.yaml", "A.yaml", "10.yaml", "9.yaml", ".hidden.yaml", "notes.txt"):
        (tmp_path / name).touch()
    for team in ("video", "audio", ".git"):
        (tmp_path / "teams" / team).mkdir(parents=True)
        (tmp_path / "teams" / team / "routes.yaml").touch()
    (tmp_path / "teams" / "empty").mkdir()
    (tmp_path / "folder.yaml").mkdir()
    return tmp_path


def files(folder: Path, text: str) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in expand(folder, text).files]


def watched(folder: Path, text: str) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in expand(folder, text).watched}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("a.yaml", ["a.yaml"], id="a-name"),
        pytest.param("nowhere/c.yaml", ["nowhere/c.yaml"], id="a-name-of-nothing"),
        pytest.param(
            "*.yaml", ["10.yaml", "9.yaml", "A.yaml", "a.yaml", "b.yaml"], id="files-by-name"
        ),
        pytest.param("./?.yaml", ["9.yaml", "A.yaml", "a.yaml", "b.yaml"], id="one-character"),
        pytest.param("[!a-z].yaml", ["9.yaml", "A.yaml"], id="a-set"),
        pytest.param(".h*.yaml", [".hidden.yaml"], id="a-period-that-is-written"),
        pytest.param(
            "teams/*/routes.yaml",
            ["teams/audio/routes.yaml", "teams/video/routes.yaml"],
            id="level",
        ),
        pytest.param("nowhere/*.yaml", [], id="no-folder"),
        pytest.param("a.yaml/*", [], id="below-a-file"),
    ],
)
def test_a_glob_means_files_sorted_by_name(folder: Path, text: str, found: list[str]) -> None:
    assert files(folder, text) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        pytest.param("a.yaml", {"a.yaml"}, id="a-name"),
        pytest.param("nowhere/*.yaml", {"nowhere"}, id="no-folder"),
        pytest.param(
            "teams/*/routes.yaml",
            {
                "teams",
                "teams/audio/routes.yaml",
                "teams/video/routes.yaml",
                "teams/empty/routes.yaml",
            },
            id="what-may-come",
        ),
    ],
)
def test_what_could_change_the_files_is_watched(folder: Path, text: str, found: set[str]) -> None:
    assert watched(folder, text) == found


def test_links_are_followed(folder: Path) -> None:
    (folder / "..data").mkdir()
    (folder / "..data/team.yaml").touch()
    (folder / "linked.yaml").symlink_to("..data/team.yaml")
    (folder / "dangling.yaml").symlink_to("..data/gone.yaml")

    assert files(folder, "*ed.yaml") == ["linked.yaml"]
    assert files(folder, "d*.yaml") == []
    assert "dangling.yaml" in watched(folder, "d*.yaml")


@pytest.mark.parametrize("text", ["*", "a?.yaml", "[ab].yaml", "*/routes.yaml"])
def test_a_glob_is_told_by_its_characters(text: str) -> None:
    assert is_glob(text)
    assert not is_glob("routes.d/team-a_1.yaml")


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        pytest.param("routes.d/*.yaml", None, id="glob"),
        pytest.param("./a..b.yaml", None, id="periods-in-a-name"),
        pytest.param("/etc/*.yaml", "write a path relative to this file, with `/`", id="absolute"),
        pytest.param("~/a.yaml", "write a path relative to this file, with `/`", id="home"),
        pytest.param("c:/a.yaml", "write a path relative to this file, with `/`", id="drive"),
        pytest.param("a\\*.yaml", "write a path relative to this file, with `/`", id="backslash"),
        pytest.param(
            "../a.yaml", "included files must be in the folder of this file or below", id="above"
        ),
        pytest.param(
            "a/../../b.yaml", "included files must be in the folder of this file or below", id="out"
        ),
        pytest.param(
            "**/*.yaml",
            "write each level of folders by itself, like teams/*/*.yaml",
            id="any-depth",
        ),
        pytest.param("routes.d/", "name files, like routes.d/*.yaml", id="a-folder"),
        pytest.param(".", "name files, like routes.d/*.yaml", id="this-folder"),
    ],
)
def test_a_glob_stays_below_its_file(text: str, hint: str | None) -> None:
    assert refusal(text) == hint
