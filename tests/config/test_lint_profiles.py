import pytest
from routes_files import QUEUES, compiled, reported

from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.lint.profiles import known_regions

DEFAULTS = "defaults: {app: acme, image: nginx:1, acknowledge: launch}\n"


def lint(text: str, **env: str) -> list[Diagnostic]:
    """The warnings about a file, in which nothing is wrong."""
    result = compiled(text, env, missing="warning")
    assert [d for d in result.diagnostics if d.severity == "error"] == []
    return list(result.diagnostics)


def profile(keys: str, **env: str) -> list[Diagnostic]:
    return lint(
        f"{QUEUES}{DEFAULTS}routes: [{{name: r, queue: orders, profile: {{{keys}}}}}]", **env
    )


def overrides(keys: str, of: str = "", **env: str) -> list[Diagnostic]:
    route = f"{{name: r, queue: orders, profile: {{{of}}}, overrides: {{{keys}}}}}"
    return lint(f"{QUEUES}{DEFAULTS}routes: [{route}]", **env)


@pytest.mark.parametrize(
    ("keys", "positions"),
    [
        pytest.param("app: [a, b], machine: {mounts: [{volume: v, path: /d}]}", [50], id="several"),
        pytest.param("app: [a], machine: {mounts: [{volume: v, path: /d}]}", [], id="one"),
        pytest.param("app: [a, b], machine: {mounts: [{path: /d, name: n}]}", [], id="by-no-id"),
        pytest.param("app: [a, b]", [], id="no-volume"),
    ],
)
def test_a_volume_is_of_one_app(keys: str, positions: list[int]) -> None:
    found = [it for it in profile(keys) if it.code == "volume-of-one-app"]

    assert [it.column for it in found] == positions


def test_mounts_of_the_wrong_shape_are_told_and_no_more() -> None:
    keys = "app: [a, b], machine: {mounts: [5, {volume: v, path: /d}, null]}"
    text = f"{QUEUES}{DEFAULTS}routes: [{{name: r, queue: orders, profile: {{{keys}}}}}]"

    assert {it.code for it in compiled(text).diagnostics} == {"wrong-type", "volume-of-one-app"}


def test_the_known_regions_are_dated() -> None:
    assert known_regions().as_of == "2026-08"
    assert {"iad", "fra", "any", "us", "usa", "na", "eu", "apac", "sa"} < known_regions().names
    assert not known_regions().closed & known_regions().names


@pytest.mark.parametrize("region", ["iad", "iad,us,any", "eu, apac", "${R}", "any"])
def test_a_region_that_there_is_or_that_is_not_known_is_fine(region: str) -> None:
    assert [w for w in profile(f"region: '{region}'") if w.code == "unknown-region"] == []


def test_a_region_that_there_was_not_is_a_warning_with_a_suggestion() -> None:
    [warning] = profile("region: 'iat,us'")

    assert (warning.severity, warning.code) == ("warning", "unknown-region")
    assert warning.message == ("Fly has no region `iat`, as of 2026-08")
    assert warning.hint.startswith("did you mean `iad`? allowed are: ams, any, apac, arn, bom,")


def test_every_region_of_a_list_is_looked_at() -> None:
    assert [w.code for w in profile("region: 'qqq,us,xxx'")] == ["unknown-region"] * 2


def test_a_closed_region_is_called_so_and_nothing_is_suggested() -> None:
    [warning] = profile("region: mia")

    assert warning.hint.startswith("it was closed; allowed are: ams, ")


def test_the_region_that_a_variable_holds_is_not_printed() -> None:
    [warning] = profile("region: '${R}'", R="qqq")

    assert "qqq" not in str(warning)
    assert warning.message.startswith("Fly has no region of `${R}`, as of")


@pytest.mark.parametrize(
    ("image", "codes"),
    [
        pytest.param("nginx", ["image-without-tag"], id="name"),
        pytest.param("localhost:5000/app", ["image-without-tag"], id="port"),
        pytest.param("nginx:latest", [], id="latest-by-name"),
        pytest.param("ghcr.io/acme/app:1.2", [], id="tag"),
        pytest.param(f"nginx@sha256:{'0' * 64}", [], id="digest"),
        pytest.param("${IMAGE}", [], id="not-known"),
    ],
)
def test_an_image_without_a_tag_moves(image: str, codes: list[str]) -> None:
    assert [warning.code for warning in profile(f"image: '{image}'")] == codes


def test_an_image_without_a_tag_is_told_where_it_is_written() -> None:
    result = compiled(
        f"{QUEUES}{DEFAULTS}profiles: {{a: {{image: nginx}}, b: {{extends: a}}}}\n"
        "routes: [{name: r, queue: orders, profile: b}]"
    )

    assert reported(result) == ["7:23 image-without-tag"]
    [warning] = result.diagnostics
    assert warning.message == (
        '`image` is the text "nginx", without tag or digest: it runs whatever `latest` is by then'
    )


@pytest.mark.parametrize(
    ("glob", "whose"),
    [
        ("*", "any registry"),
        ("*/acme/app:1", "every registry that matches its `*`"),
        ("ghcr*/a:*", "every registry that matches its `*`"),
        ("*.example.com/app:*", "every registry that matches its `*`"),
    ],
)
def test_a_glob_without_a_whole_host_lets_in_other_registries(glob: str, whose: str) -> None:
    [warning] = overrides(f"image: ['{glob}']")

    assert (warning.code, warning.message) == (
        "any-registry",
        f"`{glob}` lets senders run images of {whose}",
    )


@pytest.mark.parametrize(
    ("glob", "hint"),
    [
        (
            "registry.fly.io*",
            "a `*` before the first `/` is part of the registry; write registry.fly.io/*",
        ),
        ("nginx*", "references are matched in full; write docker.io/library/nginx*"),
    ],
)
def test_a_glob_that_has_no_part_behind_the_host_matches_nothing(glob: str, hint: str) -> None:
    route = f"{{name: r, queue: orders, profile: {{}}, overrides: {{image: ['{glob}']}}}}"
    [error] = compiled(f"{QUEUES}{DEFAULTS}routes: [{route}]").diagnostics

    assert (error.code, error.hint) == ("never-matches", hint)


@pytest.mark.parametrize("glob", ["registry.fly.io/acme-*", "docker.io/library/nginx:*", "a.b/*"])
def test_a_glob_with_its_host_does_not(glob: str) -> None:
    assert overrides(f"image: ['{glob}']") == []


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        pytest.param(
            "image: ['ghcr.io/a/b:1', 'ghcr.io/a/*', 'ghcr.io/a/c*']",
            [
                "`ghcr.io/a/b:1` allows nothing that `ghcr.io/a/*` does not",
                "`ghcr.io/a/c*` allows nothing that `ghcr.io/a/*` does not",
            ],
            id="globs-in-a-wider-one",
        ),
        pytest.param(
            "size: [performance-2x, shared-cpu-1x, performance-2x]",
            ["`performance-2x` is listed twice"],
            id="a-size-twice",
        ),
        pytest.param(
            "command: [[node, a.js], [node], [python], [node, b.js]]",
            [
                "item 1 of `command` allows nothing that item 2 of `command` does not",
                "item 4 of `command` allows nothing that item 2 of `command` does not",
            ],
            id="commands-that-begin-like-a-shorter-one",
        ),
        pytest.param("command: true", [], id="any-command"),
    ],
)
def test_an_entry_that_another_one_makes_needless_is_told(keys: str, found: list[str]) -> None:
    assert [warning.message for warning in overrides(keys)] == found


@pytest.mark.parametrize(
    ("keys", "of", "found"),
    [
        pytest.param(
            "image: ['docker.io/library/nginx:1']",
            "",
            ["the only image that senders may name is the profile's own"],
            id="image",
        ),
        pytest.param(
            "size: [performance-2x]",
            "size: performance-2x",
            ["the only size that senders may name is the profile's own"],
            id="size",
        ),
        pytest.param("size: [shared-cpu-1x]", "memory: 1gb", [], id="it-takes-memory-away"),
        pytest.param("size: [shared-cpu-1x, performance-1x]", "", [], id="a-choice"),
        pytest.param("image: ['docker.io/library/nginx:*']", "", [], id="another-tag"),
    ],
)
def test_overrides_that_leave_no_choice_have_no_effect(
    keys: str, of: str, found: list[str]
) -> None:
    assert [warning.message for warning in overrides(keys, of)] == found


def test_what_depends_on_a_variable_is_passed_over() -> None:
    assert overrides("image: ['${A}', 'ghcr.io/a/*'], size: ['${B}']", "image: '${C}'") == []


def big_profile(keys: str, kilobytes: int) -> list[Diagnostic]:
    return profile(f"{keys}, env: {{A: {'x' * kilobytes * 1024}}}")


@pytest.mark.parametrize(
    ("keys", "kilobytes", "hints"),
    [
        pytest.param("batch_bytes: 640kb", 1, [], id="room-for-all"),
        pytest.param("batch_bytes: 640kb", 40, ["has room for 627kb of events"], id="too-little"),
        pytest.param("batch_bytes: 600kb", 40, [], id="enough-for-less"),
        pytest.param("batch_size: 5", 400, [], id="the-default-was-not-chosen"),
    ],
)
def test_a_batch_that_never_gets_as_large_as_allowed_is_told(
    keys: str, kilobytes: int, hints: list[str]
) -> None:
    warnings = big_profile(keys, kilobytes)

    assert [warning.code for warning in warnings] == ["batch-bytes-never-fill"] * len(hints)
    assert [
        warning.hint[-len(hint) :] for warning, hint in zip(warnings, hints, strict=True)
    ] == hints


def test_what_is_reached_from_no_route_is_unused() -> None:
    result = compiled(
        """
        version: 1
        queues:
          read: {name: read, reject_to: written}
          written: {name: written, reject_to: further}
          further: {name: further}
          unread: {name: unread, reject_to: beyond}
          beyond: {name: beyond}
        defaults: {app: acme, image: nginx:1, acknowledge: launch}
        profiles:
          parent: {}
          named: {extends: parent}
          inline: {}
          grandparent: {}
          unnamed: {extends: grandparent}
        routes:
          - {name: a, queue: read, match: {body: {a: 1}}, profile: named}
          - {name: b, queue: read, profile: {extends: inline}}
        """
    )

    assert reported(result) == [
        "7:3 unused-queue",
        "8:3 unused-queue",
        "14:3 unused-profile",
        "15:3 unused-profile",
    ]
