"""A table's values in the words of a routes file, and what of them may be shown."""

from dataclasses import fields

import pytest
from building import profile, route

from lambdo_router.config.diagnostics import Place
from lambdo_router.config.explain.resolved import (
    duration_text,
    profile_values,
    queue_values,
    route_values,
    unresolved,
)
from lambdo_router.config.read.places import Origin
from lambdo_router.config.read.units import parse_duration
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.profile import Overrides, Profile
from lambdo_router.core.routing import Match, Queue, Route
from lambdo_router.core.strict_json import WideNumber

_PLACE = Place("routes.yaml", 1, 1)


@pytest.mark.parametrize("text", ["0s", "250ms", "1500ms", "5s", "90s", "2m", "1h", "12h"])
def test_durations_are_spelled_as_they_are_read(text: str) -> None:
    assert duration_text(parse_duration(text)) == text


def test_everything_that_a_queue_has_is_there() -> None:
    way = {"region": "eu-west-1", "role_arn": "arn", "endpoint": "http://localhost"}
    queue = Queue("q", url="u", lookup="l", **way, visibility=90.0, reject_to="r")  # type: ignore[arg-type]

    assert queue_values(queue) == {
        "url": "u",
        "name": "l",
        **way,
        "envelope": "none",
        "visibility": "90s",
        "max_waiting": 1000,
        "reject_to": "r",
        "on_unmatched": "leave",
    }
    assert len(queue_values(queue)) == len(fields(Queue)) - 2  # its name, and how it is shown


def test_everything_that_a_profile_has_is_there() -> None:
    made = profile(
        env=(("A", "1"),),
        machine='{"metadata":{"x":"y"},"mounts":[]}',
        command=("run",),
        region="iad",
        max_attempts=3,
        batch_window=0.5,
    )
    values = profile_values(made)

    assert values["env.A"] == "1"
    assert (values["machine.metadata.x"], values["machine.mounts"]) == ("y", [])
    assert (values["command"], values["batch_window"]) == (["run"], "500ms")
    assert values["batch_bytes"] == "512kb"
    keys = {key.partition(".")[0] for key in values}
    unset = {field.name for field in fields(Profile) if getattr(made, field.name) is None}
    assert (
        keys == {field.name for field in fields(Profile)} - {"name", "guest", "more_apps"} - unset
    )


def test_several_apps_are_a_list_as_in_the_file() -> None:
    assert profile_values(profile(app="a"))["app"] == "a"
    assert profile_values(profile(app="a", more_apps=("b", "c")))["app"] == ["a", "b", "c"]


def test_a_route_speaks_for_itself_and_not_for_its_profile() -> None:
    made = route(
        queues=("a", "b"),
        match=Match(
            body=compile_pattern(
                {"a": {"b": ["x"]}, "a.c": [WideNumber("1e400"), 0.1]}, scalars=True
            )
        ),
        overrides=Overrides(image=("x*",), size=("shared-cpu-1x",), command=(("node",),)),
    )

    assert route_values(made) == {
        "queue": ["a", "b"],
        "match.body.a.b": ["x"],
        "match.body.a.c": ["1e400", 0.1],
        "overrides.image": ["x*"],
        "overrides.size": ["shared-cpu-1x"],
        "overrides.command": [["node"]],
    }
    assert {field.name for field in fields(Route)} == {
        "name", "queues", "profile", "match", "schema", "on_invalid", "overrides"
    }  # fmt: skip


def origin(value: object, written: object) -> Origin:
    return Origin(value, _PLACE, "defaults", written)


def test_what_depends_on_an_unset_variable_is_named() -> None:
    origins = {
        "size": origin("${SIZE}", "${SIZE}"),
        "command": origin(["a", "${B}"], ["a", "${B}"]),
        "app": origin(["a", "${B}"], ["${A}", "${B}"]),
        "image": origin("x:1", "x:${TAG}"),
        "env.LITERAL": origin("${X}", "$${X}"),
        "batch_size": origin(10, 10),
    }

    assert unresolved(origins) == {
        "size": "${SIZE}",
        "command": '["a", "${B}"]',
        "app": '["${A}", "${B}"]',
    }
