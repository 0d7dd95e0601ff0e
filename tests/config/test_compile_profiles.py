import json

import pytest
from routes_files import DEFAULTS, QUEUES, ROUTES, compiled, reported

from lambdo_router.config.compile.profiles import Fallbacks
from lambdo_router.core.profile import Guest, Profile


def profile_of(profiles: str, defaults: str = "", fallbacks: Fallbacks | None = None) -> Profile:
    """Profile `p` as a route gets it."""
    text = f"{QUEUES}defaults: {{{defaults}}}\nprofiles:\n{profiles}\n{ROUTES}"
    result = compiled(text, fallbacks=fallbacks)
    assert [d for d in result.diagnostics if d.severity == "error"] == []
    return result.routes[0].profile


LEAST = "app: acme, image: nginx:1, acknowledge: launch"


def test_what_is_not_written_has_its_default() -> None:
    assert profile_of(f"  p: {{{LEAST}}}") == Profile(
        name="p",
        app="acme",
        image="nginx:1",
        size="shared-cpu-1x",
        guest=Guest("shared", 1, 256),
        region=None,
        command=None,
        env=(),
        batch_size=10,
        batch_window=0.0,
        batch_bytes=512 * 1024,
        acknowledge="launch",
        max_attempts=None,
        machine="{}",
    )


def test_every_key_is_taken_over() -> None:
    profile = profile_of("""
  p:
    app: acme-jobs
    region: iad, us,any
    image: registry.fly.io/acme:1
    size: performance-2x
    memory: 8gb
    command: [node, index.js]
    env: {B: "2", A: "1"}
    batch_size: 25
    batch_window: 250ms
    batch_bytes: 64kb
    acknowledge: launch
    max_attempts: 5
    machine: {stop_config: {timeout: 10s}, metadata: {team: a}}
""")

    assert profile == Profile(
        name="p",
        app="acme-jobs",
        image="registry.fly.io/acme:1",
        size="performance-2x, 8192 MB",
        guest=Guest("performance", 2, 8192),
        region="iad,us,any",
        command=("node", "index.js"),
        env=(("A", "1"), ("B", "2")),
        batch_size=25,
        batch_window=0.25,
        batch_bytes=64 * 1024,
        acknowledge="launch",
        max_attempts=5,
        machine='{"metadata":{"team":"a"},"stop_config":{"timeout":"10s"}}',
    )


@pytest.mark.parametrize(
    ("keys", "size", "guest"),
    [
        pytest.param("size: shared-cpu-8x", "shared-cpu-8x", Guest("shared", 8, 2048), id="name"),
        pytest.param(
            "size: shared-cpu-8x, memory: 4gb",
            "shared-cpu-8x, 4096 MB",
            Guest("shared", 8, 4096),
            id="name-and-memory",
        ),
        pytest.param(
            "memory: 1gb", "shared-cpu-1x, 1024 MB", Guest("shared", 1, 1024), id="memory-alone"
        ),
        pytest.param(
            "size: performance-1x, memory: 2gb",
            "performance-1x",
            Guest("performance", 1, 2048),
            id="the-usual-memory",
        ),
        pytest.param(
            "size: {cpu_kind: performance, cpus: 16, memory_mb: 131072}",
            "performance 16 CPUs, 131072 MB",
            Guest("performance", 16, 131072),
            id="in-full",
        ),
    ],
)
def test_a_size_is_expanded_into_cpus_and_memory(keys: str, size: str, guest: Guest) -> None:
    profile = profile_of(f"  p: {{{LEAST}, {keys}}}")

    assert (profile.size, profile.guest) == (size, guest)


@pytest.mark.parametrize(
    ("defaults", "keys", "apps"),
    [
        pytest.param("", "app: a", ("a",), id="one"),
        pytest.param("", "app: [a]", ("a",), id="a-list-of-one"),
        pytest.param("", "app: [b, a, c]", ("b", "a", "c"), id="in-the-files-order"),
        pytest.param("app: [a, b], ", "batch_size: 1", ("a", "b"), id="of-the-defaults"),
        pytest.param("app: [a, b], ", "app: [c, d]", ("c", "d"), id="a-list-is-replaced"),
        pytest.param("app: [a, b], ", "app: c", ("c",), id="by-one"),
        pytest.param("", "batch_size: 1", ("of-fly",), id="of-the-environment"),
    ],
)
def test_a_profile_may_have_several_apps(defaults: str, keys: str, apps: tuple[str, ...]) -> None:
    profile = profile_of(
        f"  p: {{image: nginx:1, {keys}}}", f"{defaults}region: iad", Fallbacks(app="of-fly")
    )

    assert profile.apps == apps


def test_an_app_whose_variable_is_not_set_is_called_as_it_is_written() -> None:
    text = f"{QUEUES}profiles: {{p: {{image: nginx:1, app: ['${{A}}', '${{B:-b}}']}}}}\n{ROUTES}"
    result = compiled(text, missing="warning")

    assert result.routes[0].profile.apps == ("${A}", "b")


def test_later_layers_win_over_earlier_ones() -> None:
    profile = profile_of(
        """
  grandparent: {image: grandparent, region: ord, batch_size: 2}
  parent: {extends: grandparent, image: parent, max_attempts: 3}
  p: {extends: parent, image: own}
""",
        f"{LEAST}, region: iad, batch_size: 1, batch_window: 1s",
    )

    assert profile.image == "own"
    assert profile.max_attempts == 3
    assert profile.region == "ord"
    assert profile.batch_size == 2
    assert profile.batch_window == 1.0


def test_env_and_machine_are_merged_key_by_key_and_lists_are_replaced() -> None:
    profile = profile_of(
        """
  parent: {env: {B: parent, C: parent}, machine: {dns: {hostname: a, searches: [b]}}}
  p: {extends: parent, env: {C: own}, machine: {dns: {searches: [c]}, metadata: {team: d}}}
""",
        f"{LEAST}, env: {{A: default, B: default}}, machine: {{metadata: {{cost: e}}}}",
    )

    assert dict(profile.env) == {"A": "default", "B": "parent", "C": "own"}
    assert json.loads(profile.machine) == {
        "dns": {"hostname": "a", "searches": ["c"]},
        "metadata": {"cost": "e", "team": "d"},
    }


def test_a_size_in_full_leaves_inherited_memory_behind() -> None:
    profile = profile_of(
        "  p: {size: {cpu_kind: shared, cpus: 2, memory_mb: 512}}", f"{LEAST}, memory: 2gb"
    )

    assert profile.guest == Guest("shared", 2, 512)


def test_a_command_of_null_is_the_images_own_though_one_is_inherited() -> None:
    assert profile_of("  p: {command: null}", f"{LEAST}, command: [a]").command is None


def test_the_order_of_profiles_in_the_file_does_not_matter() -> None:
    profile = profile_of("  p: {extends: a}\n  a: {extends: b}\n  b: {image: b}", LEAST)

    assert profile.image == "b"


def test_a_chain_of_a_thousand_parents_is_followed() -> None:
    chain = "\n".join(f"  p{i}: {{extends: p{i + 1}}}" for i in range(1000))

    assert (
        profile_of(f"  p: {{extends: p0}}\n{chain}\n  p1000: {{image: far}}", LEAST).image == "far"
    )


def test_the_environment_fills_in_what_no_layer_says() -> None:
    fallbacks = Fallbacks("from-env", "lhr")
    bare = "image: nginx:1, acknowledge: launch"

    assert profile_of("  p: {}", bare, fallbacks).app == "from-env"
    assert profile_of("  p: {}", bare, fallbacks).region == "lhr"
    assert profile_of("  p: {app: acme, region: iad}", bare, fallbacks).app == "acme"
    assert profile_of("  p: {app: acme, region: iad}", bare, fallbacks).region == "iad"


def test_a_profile_without_an_app_is_a_mistake_only_where_the_file_is_to_be_run() -> None:
    text = f"{QUEUES}profiles: {{p: {{image: nginx:1, acknowledge: launch}}}}\n{ROUTES}"

    assert reported(compiled(text)) == ["6:12 no-app"]
    assert reported(compiled(text, fallbacks=Fallbacks(app_required=False))) == []


def test_a_profile_that_no_route_uses_need_not_be_complete() -> None:
    text = f"{QUEUES}profiles: {{base: {{batch_size: 5}}, p: {{extends: base, {LEAST}}}}}\n{ROUTES}"

    assert reported(compiled(text)) == []


@pytest.mark.parametrize(
    "profiles",
    [
        pytest.param("{p: {extends: nobody}}", id="the-parent-is-unknown"),
        pytest.param("{p: {extends: p}}", id="the-parent-is-itself"),
        pytest.param("{p: 5}", id="the-profile-is-broken"),
        pytest.param("5", id="all-profiles-are-broken"),
    ],
)
def test_what_may_be_written_where_nothing_can_be_read_is_not_missed(profiles: str) -> None:
    result = compiled(f"{QUEUES}profiles: {profiles}\n{ROUTES}")

    assert len(result.diagnostics) == 1


def test_a_wrong_value_is_reported_once_however_many_inherit_it() -> None:
    result = compiled(f"""{QUEUES}{DEFAULTS}
profiles:
  a: {{size: performance-2x, memory: 1gb}}
  b: {{extends: a}}
  p: {{extends: b}}
{ROUTES}""")

    assert reported(result) == ["9:37 memory-not-allowed"]
