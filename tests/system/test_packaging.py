"""What is released: wheel and sdist are built, and the wheel is installed and used. No network."""

import ast
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator, Sequence
from email import message_from_string
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from pages import ROOT

import lambdo_router
from lambdo_router.local.runtimes import RUNTIMES

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
VERSION = lambdo_router.__version__


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sdist, and the wheel that was made of it and of nothing else."""
    folder = tmp_path_factory.mktemp("dist")
    ran(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT))
    return folder


@pytest.fixture(scope="session")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    [wheel] = built.glob("*.whl")
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    ran(sys.executable, *pip, "--no-deps", "--no-index", "--target", str(folder), str(wheel))
    return folder


def ran(*command: str, folder: Path | None = None, imports: Path | None = None) -> str:
    """What a command prints; AssertionError, with what it said, if it fails."""
    environment = {"PATH": "/usr/bin:/bin"} | (
        {} if imports is None else {"PYTHONPATH": str(imports)}
    )
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def git_files(*paths: str) -> set[str]:
    """The files that git has, or would take; without a repository, those that there are."""
    listed = ("ls-files", "--cached", "--others", "--exclude-standard", "--", *paths)
    done = subprocess.run(
        ["git", *listed],  # noqa: S607 - the one on the path
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        pytest.skip("not in a git repository")
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


def test_the_wheel_has_every_file_of_the_package_and_the_example(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    example = git_files("routes.example.yaml", "examples", "schemas")

    assert git_files("lambdo_router") <= names
    assert {f"lambdo_router/example/{name}" for name in example} <= names
    for runtime in RUNTIMES:
        assert f"lambdo_router/runtimes/{runtime.name}/{runtime.file}" in names
    assert "lambdo_router/py.typed" in names
    assert {name.split("/")[0] for name in names} == {
        "lambdo_router",
        f"lambdo_router-{VERSION}.dist-info",
    }


def test_the_sdist_has_every_file_of_the_repository(built: Path) -> None:
    [sdist] = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert git_files() - names == set()
    assert names - git_files() == {"PKG-INFO"}


def test_what_is_built_is_called_by_the_one_version(built: Path) -> None:
    assert sorted(path.name for path in built.iterdir()) == [
        f"lambdo_router-{VERSION}-py3-none-any.whl",
        f"lambdo_router-{VERSION}.tar.gz",
    ]
    assert PROJECT["dynamic"] == ["version"]
    assert "version" not in PROJECT


def test_the_wheel_tells_what_it_is_and_needs(built: Path) -> None:
    [wheel] = built.glob("*.whl")
    text = zipfile.ZipFile(wheel).read(f"lambdo_router-{VERSION}.dist-info/METADATA").decode()
    metadata = message_from_string(text)

    assert metadata["Requires-Python"] == PROJECT["requires-python"]
    assert metadata["License-Expression"] == "MIT"
    needed = [need for need in metadata.get_all("Requires-Dist", []) if "extra ==" not in need]
    assert sorted(map(_normal, needed)) == sorted(map(_normal, PROJECT["dependencies"]))
    assert metadata.get_payload().startswith("# lambdo-router")  # type: ignore[union-attr] # text


def _normal(requirement: str) -> str:
    return str(Requirement(requirement))


def test_what_is_installed_has_all_it_needs_to_work(installed: Path, tmp_path: Path) -> None:
    def command(*arguments: str) -> str:
        python = (sys.executable, "-P", "-m", "lambdo_router")
        return ran(*python, *arguments, folder=tmp_path, imports=installed)

    where = ran(
        *(sys.executable, "-P", "-c", "import lambdo_router; print(lambdo_router.__file__)"),
        folder=tmp_path,
        imports=installed,
    )
    assert where.strip() == str(installed / "lambdo_router" / "__init__.py")
    assert command("--version").startswith(f"lambdo-router {VERSION} (")
    command("init", "--fly", "--ci", "github", "--source", "you/lambdo-router")
    assert "checked:" in command("validate", "--strict")
    assert "3 tests, all passed" in command("test")
    assert "unused-queue" in command("validate", "--explain-code", "unused-queue")
    assert command("schema") == (ROOT / "schemas" / "routes.schema.json").read_text()
    example = installed / "lambdo_router" / "example" / "routes.example.yaml"
    assert "routes" in command("validate", str(example))
    assert (installed / "bin" / "lambdo-router").exists()


def test_everything_that_is_imported_is_a_declared_dependency() -> None:
    declared = {canonicalize_name(Requirement(it).name) for it in _declared()}
    belongs = packages_distributions()
    undeclared = {
        f"{file}: {module}"
        for file, module in _imported()
        if not {canonicalize_name(it) for it in belongs.get(module, [module])} & declared
    }

    assert undeclared == set()


def _declared() -> Sequence[str]:
    extras = [it for extra in PROJECT.get("optional-dependencies", {}).values() for it in extra]
    return [*PROJECT["dependencies"], *extras, "botocore"]  # boto3 is botocore, and pins it


def _imported() -> Iterator[tuple[str, str]]:
    """Each module from outside, with the file that imports it; not those for type checkers."""
    for file in sorted((ROOT / "lambdo_router").rglob("*.py")):
        for name in _names(ast.parse(file.read_text())):
            module = name.partition(".")[0]
            if module not in sys.stdlib_module_names and module != "lambdo_router":
                yield file.relative_to(ROOT).as_posix(), module


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.If(test=ast.Name(id="TYPE_CHECKING"), orelse=others):
            for other in others:
                yield from _names(other)
            return
        case ast.Import(names=names):
            yield from (it.name for it in names)
        case ast.ImportFrom(module=str(module), level=0):
            yield module
    for child in ast.iter_child_nodes(node):
        yield from _names(child)
