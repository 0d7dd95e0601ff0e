from pathlib import Path

import pytest

from lambdo_router.config.diagnostics import Place
from lambdo_router.config.load import LoadedRoutes, examine_routes, load_routes
from lambdo_router.config.read.places import Origin

ROOT = """\
version: 1
include: [team.yaml]
queues:
  orders: {name: orders}
defaults:
  app: acme
  acknowledge: launch
  env: {LEVEL: info, STAGE: test}
  machine: {stop_config: {signal: SIGTERM, timeout: 5s}}
profiles:
  base: {image: "nginx:1", size: performance-1x, memory: 4gb, env: {TOKEN: "${TOKEN}"}}
routes:
  - name: plain
    queue: orders
    match:
      body:
        size: [1, {prefix: a}]
    profile: base
"""
TEAM = """\
version: 1
profiles:
  child:
    extends: base
    env: {LEVEL: debug}
routes:
  - name: varied
    queue: orders
    profile:
      extends: child
      size: {cpu_kind: shared, cpus: 1, memory_mb: 512}
      command: null
      machine: {stop_config: {timeout: 9s}}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "routes.yaml").write_text(ROOT)
    (tmp_path / "team.yaml").write_text(TEAM)
    return tmp_path


@pytest.fixture
def loaded(folder: Path) -> LoadedRoutes:
    assert folder.is_dir()
    return load_routes(Path("routes.yaml"), {"TOKEN": "planted"}, default_region="iad")


@pytest.mark.parametrize(
    ("path", "place"),
    [
        pytest.param(("plain",), "routes.yaml:13:5", id="a-route"),
        pytest.param(("plain", "queue"), "routes.yaml:14:12", id="a-value"),
        pytest.param(("plain", "match"), "routes.yaml:15:5", id="a-key-whose-value-is-below"),
        pytest.param(
            ("plain", "match", "body", "size", 1, "prefix"), "routes.yaml:17:28", id="deep"
        ),
        pytest.param(
            ("plain", "match", "body", "weight", 0), "routes.yaml:16:7", id="the-nearest-thing"
        ),
        pytest.param(("plain", "schema"), "routes.yaml:13:5", id="what-is-not-written"),
        pytest.param(("varied", "profile", "size"), "team.yaml:11:13", id="in-an-included-file"),
    ],
)
def test_a_part_of_a_route_is_found_in_its_file(
    loaded: LoadedRoutes, path: tuple[str, ...], place: str
) -> None:
    assert str(loaded.place_of(*path)) == place


def test_a_place_says_where_it_ends_if_that_is_on_its_line(loaded: LoadedRoutes) -> None:
    assert loaded.place_of("plain", "queue") == Place("routes.yaml", 14, 12, 18)
    assert loaded.place_of("plain", "match", "body", "size").end_column is None


def test_a_route_that_there_is_not_has_no_place(loaded: LoadedRoutes) -> None:
    with pytest.raises(KeyError):
        loaded.place_of("none")
    with pytest.raises(KeyError):
        loaded.origins("none")


def shown(origins: dict[str, Origin]) -> dict[str, tuple[object, str, str]]:
    return {key: (o.value, o.source, str(o.place)) for key, o in origins.items()}


def test_every_value_of_a_profile_has_an_origin(loaded: LoadedRoutes) -> None:
    assert shown(dict(loaded.origins("plain"))) == {
        "app": ("acme", "defaults", "routes.yaml:6:8"),
        "region": ("iad", "environment", "routes.yaml:18:14"),
        "image": ("nginx:1", "profile base", "routes.yaml:11:17"),
        "size": ("performance-1x", "profile base", "routes.yaml:11:34"),
        "memory": ("4gb", "profile base", "routes.yaml:11:58"),
        "command": (None, "default value", "routes.yaml:18:14"),
        "env.LEVEL": ("info", "defaults", "routes.yaml:8:16"),
        "env.STAGE": ("test", "defaults", "routes.yaml:8:29"),
        "env.TOKEN": ("planted", "profile base", "routes.yaml:11:76"),
        "batch_size": (10, "default value", "routes.yaml:18:14"),
        "batch_window": ("0s", "default value", "routes.yaml:18:14"),
        "batch_bytes": ("512kb", "default value", "routes.yaml:18:14"),
        "acknowledge": ("launch", "defaults", "routes.yaml:7:16"),
        "timeout": ("15m", "default value", "routes.yaml:18:14"),
        "max_machines": (None, "default value", "routes.yaml:18:14"),
        "max_attempts": (None, "default value", "routes.yaml:18:14"),
        "machine.stop_config.signal": ("SIGTERM", "defaults", "routes.yaml:9:35"),
        "machine.stop_config.timeout": ("5s", "defaults", "routes.yaml:9:53"),
    }


def test_an_origin_is_the_layer_that_counts(loaded: LoadedRoutes) -> None:
    origins = shown(dict(loaded.origins("varied")))

    assert "memory" not in origins
    assert {
        key: origins[key][1:]
        for key in ("image", "size", "command", "env.LEVEL", "machine.stop_config.timeout")
    } == {
        "image": ("profile base", "routes.yaml:11:17"),
        "size": ("route", "team.yaml:11:13"),
        "command": ("route", "team.yaml:12:16"),
        "env.LEVEL": ("profile child", "team.yaml:5:18"),
        "machine.stop_config.timeout": ("route", "team.yaml:13:40"),
    }


def test_what_a_variable_stands_for_can_be_left_out(loaded: LoadedRoutes) -> None:
    origin = loaded.origins("plain")["env.TOKEN"]

    assert (origin.value, origin.written) == ("planted", "${TOKEN}")


def test_a_value_takes_the_place_of_a_mapping_and_the_other_way_round(folder: Path) -> None:
    (folder / "routes.yaml").write_text(
        ROOT.replace("memory: 4gb", "machine: {stop_config: {}, dns: {skip_registration: true}}")
    )
    (folder / "team.yaml").write_text(TEAM.replace("{timeout: 9s}", "null"))
    examined = examine_routes(Path("routes.yaml"), {})
    assert examined.places is not None

    assert {
        k: o.value for k, o in examined.places.origins("varied").items() if k.startswith("machine.")
    } == {
        "machine.dns.skip_registration": True,
        "machine.stop_config": None,
    }
    assert {
        k: o.value for k, o in examined.places.origins("plain").items() if k.startswith("machine.")
    } == {
        "machine.dns.skip_registration": True,
        "machine.stop_config.signal": "SIGTERM",
        "machine.stop_config.timeout": "5s",
    }


def test_a_file_that_is_no_yaml_has_no_places(folder: Path) -> None:
    (folder / "routes.yaml").write_text("a: [")

    assert examine_routes(Path("routes.yaml"), {}).places is None
