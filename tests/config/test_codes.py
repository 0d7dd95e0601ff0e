import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from codes_page import page

import lambdo_router
from lambdo_router.config.codes import ONLINE, Explanation, catalogue, explained, likely
from lambdo_router.config.load import examine_routes, load_routes
from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.config.route_tests import (
    NOUN,
    check_names,
    no_routes,
    routes_of,
)
from lambdo_router.config.route_tests.reading import read_tests_file

PACKAGE = Path(lambdo_router.__file__).parent
MODULES = sorted(
    [
        *PACKAGE.glob("config/**/*.py"),
        *PACKAGE.glob("core/schemas/**/*.py"),
        *PACKAGE.glob("service/online*.py"),
    ]
)
OF_THE_CATALOGUE = {"likely", "_explanation"}
CODE = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")


def test_the_catalogue_has_every_code_of_the_package_and_no_other() -> None:
    assert codes_in_the_source() == {*catalogue()}


def codes_in_the_source() -> set[str]:
    """Every text that is handed to something that takes a `code`, or is called one."""
    trees = [ast.parse(module.read_text("utf-8")) for module in MODULES]
    everywhere = takers_of_codes(*trees)
    known = [{**everywhere, **takers_of_codes(tree)} for tree in trees]
    return {
        text.value
        for tree, takers in zip(trees, known, strict=True)
        for node in ast.walk(tree)
        for part in parts_with_codes(node, takers)
        for text in ast.walk(part)
        if isinstance(text, ast.Constant) and isinstance(text.value, str)
        if CODE.fullmatch(text.value)
    }


def takers_of_codes(*trees: ast.AST) -> dict[str, set[int]]:
    """Functions and classes with a parameter or a field `code`, and which argument that is."""
    takers: dict[str, set[int]] = {}
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ClassDef):
            name, taken = node.name, fields(node)
        elif isinstance(node, ast.FunctionDef):
            name, taken = node.name, parameters(node)
        else:
            continue
        if "code" in taken and name not in OF_THE_CATALOGUE:
            takers.setdefault(name, set()).add(taken.index("code"))
    return takers


def fields(of: ast.ClassDef) -> list[str]:
    """What the class takes, in order."""
    for method in of.body:
        if isinstance(method, ast.FunctionDef) and method.name == "__init__":
            return parameters(method)
    annotated = [one.target for one in of.body if isinstance(one, ast.AnnAssign)]
    return [target.id for target in annotated if isinstance(target, ast.Name)]


def parameters(function: ast.FunctionDef) -> list[str]:
    names = [argument.arg for argument in function.args.args]
    return names[1:] if names[:1] in (["self"], ["cls"]) else names


def parts_with_codes(node: ast.AST, takers: Mapping[str, set[int]]) -> Iterator[ast.AST]:
    match node:
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in takers:
            yield from (argument for at in takers[name] for argument in node.args[at : at + 1])
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "code")
        case ast.Assign(targets=[ast.Name(id="code")]):
            yield node.value
        case ast.Assign(targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])], value=ast.Tuple()):
            yield node.value.elts[0]  # type: ignore[attr-defined] # mypy does not look into match
        case ast.Yield(value=ast.Tuple(elts=[_, ast.Constant() as code, _])):
            yield code  # keywords.py has no class for what it finds
        case ast.Return(value=ast.Tuple(elts=[ast.Constant() as code, _])):
            yield code  # nor has syntax.py


BASE = {
    "version": "version: 1\n",
    "queues": "queues:\n  orders: {name: orders}\n",
    "profiles": "profiles:\n  worker: {app: acme-jobs, image: 'registry.fly.io/acme-jobs:1',"
    " acknowledge: launch}\n",
    "routes": "routes:\n  - {name: orders, queue: orders, profile: worker}\n",
}
"""What an example does not show."""
NOTHING_TO_SHOW = {
    *("file-not-found", "file-is-a-folder", "file-not-readable", "file-too-large", "empty-file"),
    *("not-utf-8", "byte-order-mark", "character-not-allowed", "tab", "alias"),
    *("too-deep", "too-many-values", "schema-too-deep", "schema-too-large", "include-too-many"),
    *("variable-not-utf-8", "no-app", "defined-twice", "only-in-root", "internal-error"),
    *("no-room-for-events", "batch-bytes-never-fill", "unindexed-route"),
    *("include-not-listed", "schema-outside"),
    *(code for code, it in catalogue().items() if it.section == ONLINE),
}
"""Codes whose examples would be invisible, huge, or not in the file."""
NOTHING_RIGHT = {
    *("several-documents", "schema-not-a-file", "schema-not-readable"),
    *("include-not-readable", "include-not-allowed", "include-matches-nothing"),
}
"""Codes without a second example, for it would only show that something is not there."""

SHOWN_WITH = {
    "cannot-ignore": ["unknown-queue"],
    "unknown-code": ["unused-queue"],
    "malformed-ignore": ["unused-queue"],
}
"""What a comment does not take away."""


def examples() -> list[Explanation]:
    return [one for one in catalogue().values() if one.code not in NOTHING_TO_SHOW]


@pytest.mark.parametrize("code", examples(), ids=lambda one: str(one.code))
def test_the_wrong_example_gets_its_code_and_the_right_one_nothing(
    code: Explanation, tmp_path: Path
) -> None:
    assert codes_of(code.bad, code, tmp_path) == {code.code, *SHOWN_WITH.get(code.code, ())}
    if code.code not in NOTHING_RIGHT:
        assert codes_of(code.good, code, tmp_path) == set()


def codes_of(example: str, of: Explanation, folder: Path) -> set[str]:
    assert example
    if of.example == "test":
        return codes_of_tests(example, folder)
    sections = dict(BASE)
    if of.example == "schema":
        (folder / "order.schema.json").write_text(example, "utf-8")
        sections["routes"] = (
            "routes:\n"
            "  - {name: orders, queue: orders, schema: order.schema.json, profile: worker}\n"
        )
        example = ""
    missing = [t for name, t in sections.items() if not re.search(f"(?m)^{name}:", example)]
    file = folder / "routes.yaml"
    file.write_text("".join([*missing, example]), "utf-8")
    examined = examine_routes(file, {}, missing="warning")
    assert all(one.severity in catalogue()[one.code].severities for one in examined.diagnostics)
    return {one.code for one in examined.diagnostics}


def codes_of_tests(example: str, folder: Path) -> set[str]:
    routes = folder / "routes.yaml"
    queues = "queues:\n  orders: {name: orders, reject_to: rejected}\n  rejected: {name: r}\n"
    routes.write_text("".join({**BASE, "queues": queues}.values()), "utf-8")
    file = read_document(example, str(folder / "routes.test.yaml"), noun=NOUN)
    if routes_of(file) is None:
        return {no_routes(file).code}
    tests, problems = read_tests_file(file, {})
    names = check_names(tests, load_routes(routes, {}).table)
    return {one.code for one in (*problems, *names)}


def test_every_code_has_examples_unless_they_would_show_nothing() -> None:
    without_bad = {one.code for one in catalogue().values() if not one.bad}
    without_good = {one.code for one in catalogue().values() if one.bad and not one.good}

    assert without_bad == NOTHING_TO_SHOW
    assert without_good == NOTHING_RIGHT


@pytest.mark.parametrize("code", catalogue().values(), ids=lambda one: str(one.code))
def test_an_explanation_reads_well(code: Explanation) -> None:
    assert re.fullmatch("([a-z`]|AWS |Fly |SQS |Machines ).*[^.]", code.title)
    for text in (code.means, code.fix):
        assert re.fullmatch(r"(?s)[A-Z`].*[.`]", text)
        assert "  " not in text
    for text in (code.bad, code.good):
        assert all(len(line) <= 100 for line in text.splitlines())


def test_the_page_of_codes_is_made_from_the_catalogue() -> None:
    written = PACKAGE.parent / "docs" / "codes.md"

    assert written.read_text("utf-8") == page(), "make pages"


def test_an_explanation_fits_a_terminal() -> None:
    text = explained(catalogue()["nowhere-to-reject"])

    assert text == (
        "nowhere-to-reject (error)\n"
        "\n"
        "Messages are to be rejected, but the queue has no `reject_to`.\n"
        "\n"
        "`reject` moves a message to the queue named by `reject_to`, which is missing here.\n"
        "Without it a message can only be left on its queue or dropped.\n"
        "\n"
        "Name the queue for rejected messages in `reject_to`, or write `leave` or `drop`.\n"
        "\n"
        "Wrong:\n"
        "\n"
        "    queues:\n"
        "      orders: {name: orders, on_unmatched: reject}\n"
        "\n"
        "Right:\n"
        "\n"
        "    queues:\n"
        "      orders: {name: orders, reject_to: rejected, on_unmatched: reject}\n"
        "      rejected: {name: rejected}"
    )


@pytest.mark.parametrize(
    ("code", "said"),
    [
        pytest.param("unused-que", "did you mean `unused-queue`?", id="misspelt"),
        pytest.param("UNUSED-QUEUE", "did you mean `unused-queue`?", id="upper-case"),
        pytest.param(
            "x",
            "codes appear in brackets at the end of a message, for example unused-queue",
            id="nothing-like-it",
        ),
    ],
)
def test_a_code_that_is_none_gets_a_suggestion(code: str, said: str) -> None:
    assert likely(code) == said
