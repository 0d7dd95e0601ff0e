"""The page: what it shows of a status, in which words."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from building import profile, route, table
from page_scene import (
    BAD_IMAGE,
    CUT_OFF,
    HOSTILE,
    IMAGES,
    QUEUES,
    TABLE,
    Outline,
    Scene,
    failing,
    working,
)
from scenario import WALL

from lambdo_router.admin.page import wording
from lambdo_router.admin.page.rendering import ON_THE_MAP, Region, Renderer
from lambdo_router.admin.page.try_message import TryForm, try_message
from lambdo_router.admin.page.views import (
    announcement,
    concerns,
    figures,
    foremost,
    machine_groups,
    verdict,
)
from lambdo_router.core import journal
from lambdo_router.core.errors import (
    LaunchError,
    LaunchRejected,
    LaunchUnavailable,
    QueueUnavailable,
)
from lambdo_router.core.routing import Queue
from lambdo_router.core.snapshot import MachinesSnapshot, QueueSnapshot, Snapshot

# Words


@pytest.mark.parametrize(
    ("word", "value", "said"),
    [
        (wording.duration, 0.004, "0 s"),
        (wording.duration, 0.349, "0.35 s"),
        (wording.duration, 7.25, "7.2 s"),
        (wording.duration, 48, "48 s"),
        (wording.duration, 60, "1 min"),
        (wording.duration, 250, "4 min 10 s"),
        (wording.duration, 7500, "2 h 5 min"),
        (wording.duration, 273600, "3 d 4 h"),
        (wording.size, 0, "0 B"),
        (wording.size, 999, "999 B"),
        (wording.size, 4200, "4.2 kB"),
        (wording.size, 1_300_000, "1.3 MB"),
        (wording.moment, WALL, "14 Nov 22:13:20"),
        (wording.iso, WALL, "2023-11-14T22:13:20Z"),
        (wording.bars, [0, 5, 10], "M5 24v-12h4v12zM10 24v-24h4v24z"),
        (wording.bars, [1, 1000], "M0 24v-2h4v2zM5 24v-24h4v24z"),
        (wording.bars, [], ""),
        (wording.bars, [0, 0], ""),
    ],
)
def test_numbers_times_and_bars(word: Callable[[Any], str], value: object, said: str) -> None:
    assert word(value) == said


# What goes together


def test_the_figures_are_sums_over_the_last_minute_and_this_moment() -> None:
    shown = figures(failing(WALL).status())

    assert [shown[key] for key in ("waiting", "running", "launching")] == [19, 4, 1]
    assert shown["failures"] == 8


def test_machines_are_told_by_app_and_profile_and_those_of_no_route_come_last() -> None:
    scene = working(WALL)
    stranger = MachinesSnapshot("acme-jobs", "", 2, 0)
    scene.levels = replace(scene.levels, machines=(*scene.levels.machines, stranger))
    status = scene.status()
    groups = list(machine_groups(status, status.routes))

    assert [(group.profile, group.running, group.launching) for group in groups] == [
        ("thumbnailer", 3, 1),
        ("transcoder", 0, 0),
        ("ledger", 0, 0),
        ("mailer", 1, 0),
        ("archiver", 0, 0),
        ("", 2, 0),
    ]
    assert [end.state for end in groups[0].recent] == ["succeeded"] * 11 + ["running"]


def test_the_machines_of_a_profile_with_several_apps_are_one_card() -> None:
    scene = working(WALL)
    first, *others = scene.status().routes
    levels = (
        MachinesSnapshot("b", "thumbnailer", 4, 0),
        MachinesSnapshot("acme-jobs", "thumbnailer", 3, 1),
    )
    several = replace(first, apps=("acme-jobs", "b", "c"))
    status = replace(scene.status(), routes=(several, *others), machines=levels)
    group, *_ = groups = list(machine_groups(status, status.routes))
    regions = Renderer().regions(status)

    assert len(groups) == 5
    assert (group.apps, group.running, group.launching) == (("acme-jobs", "b", "c"), 7, 1)
    assert [end.state for end in group.recent] == ["succeeded"] * 11 + ["running"]
    assert 'data-group="=acme-jobs,b,c/thumbnailer"' in regions["routes"]["=image-uploads"]
    card = regions["machines"]["=acme-jobs,b,c/thumbnailer"]
    assert '<span title="acme-jobs, b, c">acme-jobs and 2 more</span>' in card


def test_a_profile_that_fly_refuses_is_in_trouble_and_a_batch_of_it_is_tried_again() -> None:
    status = failing(WALL).status()
    groups = {group.profile: group for group in machine_groups(status, status.routes)}

    assert [name for name, group in groups.items() if group.trouble] == ["transcoder"]
    assert {wording.batch_state(end) for end in groups["transcoder"].recent} == {"retrying"}


def test_of_many_routes_those_that_fail_are_shown_first_then_the_busy_ones_in_file_order() -> None:
    status = failing(WALL).status()

    def names(most: int) -> list[str]:
        return [shown.name for shown in foremost(status.routes, most)]

    assert names(2) == ["video-uploads", "order-paid"]
    assert names(3) == ["image-uploads", "video-uploads", "order-paid"]
    assert len(names(5)) == 5


# What fails


def test_all_is_well_where_nothing_fails() -> None:
    status = working(WALL).status()

    assert verdict(status) == ("All is well", "good")
    assert announcement(status) == "All is well."


def test_each_thing_that_fails_says_what_to_do_and_where_to_read_on() -> None:
    status = failing(WALL).status()
    found = {f"{it['kind']} {it['name']}": it for it in concerns(status)}

    assert verdict(status) == ("Ready, but 3 things fail", "bad")
    assert announcement(status) == (
        "Ready, but 3 things fail: route video-uploads, route order-paid, the routes file."
    )
    videos = found["Route video-uploads"]
    assert videos["concern"].place == "routes.yaml:23"
    assert videos["concern"].why == f"launch: {BAD_IMAGE}"
    assert videos["anchor"] == "route-video-uploads"
    assert videos["advice"].startswith("This will not resolve itself. Fix the profile")
    assert videos["next_try"] == WALL + 24
    assert found["Route order-paid"]["advice"].startswith("Its Machines are failing.")
    assert found["The routes file "]["anchor"] == "reloads"


def test_a_queue_that_is_not_reached_makes_the_router_not_ready_and_is_named() -> None:
    scene = working(WALL)
    scene.tell(journal.QueueFailed("signups", "receive", CUT_OFF, 4.0))
    scene.at += 40
    [concern] = concerns(scene.status())

    assert verdict(scene.status()) == ("Not ready", "bad")
    assert (concern["kind"], concern["name"]) == ("Queue", "signups")
    assert concern["concern"].fatal
    assert concern["advice"] == "It will be retried; no message is lost."


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        pytest.param(
            LaunchRejected("401 unauthorized", code="bad_token"),
            {
                "Fly app": "Create a new token: fly tokens create deploy -a acme-jobs",
                "Route": "The app is failing, not this route; the route recovers with its app.",
            },
            id="a-refused-token",
        ),
        pytest.param(
            LaunchUnavailable("422 could not find a candidate host", code="region_capacity"),
            {
                "Route": "It will be retried; its messages wait. More regions in its profile help, "
                "for example region: iad,us,any"
            },
            id="a-full-region",
        ),
    ],
)
def test_what_to_do_about_a_launch_that_fails(error: LaunchError, advice: dict[str, str]) -> None:
    scene = working(WALL)
    scene.tell(journal.LaunchFailed(scene.batch(IMAGES, "uploads", 1), error, 4, None))

    assert {it["kind"]: it["advice"] for it in concerns(scene.status())} == advice


def test_a_router_that_stops_or_starts_does_not_look_broken() -> None:
    scene = working(WALL)
    scene.tell(journal.Stopping(25.0))

    assert verdict(scene.status()) == ("Stopping", "busy")
    assert verdict(Scene(WALL).status()) == ("Starting", "busy")


# The HTML


def regions_of(scene: Scene) -> dict[str, Region]:
    return dict(Renderer().regions(scene.status()))


def test_every_queue_route_and_profile_has_its_card() -> None:
    regions = regions_of(working(WALL))

    assert list(regions["queues"]) == [f"={name}" for name in QUEUES]
    assert list(regions["routes"]) == [f"={made.name}" for made in TABLE.routes]
    assert list(regions["machines"]) == [
        f"=acme-jobs/{name}"
        for name in ("thumbnailer", "transcoder", "ledger", "mailer", "archiver")
    ]


def test_a_card_says_what_flows_to_it_and_from_it() -> None:
    html = regions_of(working(WALL))["routes"]["=image-uploads"]
    [(_, card)] = [element for element in Outline(html).elements if element[0] == "li"]

    assert json.loads(card["data-flows"] or "") == [["=uploads", 42]]
    assert card["data-group"] == "=acme-jobs/thumbnailer"
    assert card["data-launches"] == "6"


def test_a_route_that_reads_several_queues_has_a_flow_from_each() -> None:
    scene = working(WALL)
    html = regions_of(scene)["routes"]["=order-mail"]
    [(_, card)] = [element for element in Outline(html).elements if element[0] == "li"]

    assert json.loads(card["data-flows"] or "") == [["=orders", 4], ["=signups", 2]]


def test_a_failing_route_says_why_since_when_and_where_it_is_written() -> None:
    regions = regions_of(failing(WALL))

    for region in ("routes", "route-rows"):
        html = regions[region]["=video-uploads"]
        words = " ".join(Outline(html).words.split())
        assert "failing" in words
        assert str(BAD_IMAGE) in words
        assert "routes.yaml:23" in words
        assert 'class="is-bad"' in html or 'class="card is-bad"' in html


def test_a_batch_names_its_messages_how_often_they_came_and_its_machine() -> None:
    scene = working(WALL)
    batch = next(b for b in scene.status().batches if any(e.receives > 1 for e in b.events))
    words = " ".join(Outline(regions_of(scene)["batch-rows"][f"={batch.id}"]).words.split())

    assert all(event.message_id in words for event in batch.events)
    assert "received 2 times" in words
    assert str(batch.machine_id) in words


def test_a_reload_shows_what_is_different_and_a_refused_one_every_problem() -> None:
    refused, accepted = regions_of(failing(WALL))["reloads"].values()

    assert "no profile is called `hevy`" in Outline(refused).words
    assert "unknown key `que`" in Outline(refused).words
    assert "generation 5f1c09d2aa31 instead of 77aa11bb22cc" in Outline(accepted).words
    assert '<li class="wrap added">+ route `audit`' in accepted


def test_nothing_at_all_is_said_to_be_nothing() -> None:
    regions = regions_of(Scene(WALL))

    assert {name: list(region) for name, region in regions.items() if "note" in region} == {
        name: ["note"]
        for name in (
            *("queues", "routes", "machines", "route-rows", "queue-rows"),
            *("batch-rows", "failure-rows", "reloads"),
        )
    }


def test_of_a_thousand_routes_the_page_shows_some_and_says_how_many_more_there_are() -> None:
    scene = Scene(WALL)
    made = table(*(route(f"r{number}") for number in range(1000)))
    scene.start(made, ["q"])
    regions = regions_of(scene)

    assert len(regions["routes"]) == ON_THE_MAP + 1
    assert Outline(regions["routes"]["note"]).words == "and 970 more in the table below"
    assert Outline(regions["route-rows"]["note"]).words == "and 800 more; /status has them all"
    assert sum(len(html) for region in regions.values() for html in region.values()) < 400_000


def test_text_from_elsewhere_stays_text_wherever_it_is_shown() -> None:
    scene = Scene(WALL)
    hostile = route(HOSTILE, queues=(HOSTILE,), profile=profile(name=HOSTILE, app=HOSTILE))
    scene.start(table(hostile, queues=(Queue(HOSTILE),)), [HOSTILE])
    scene.run(scene.batch(hostile, HOSTILE, 1), HOSTILE)
    scene.refuse(scene.batch(hostile, HOSTILE, 1), LaunchRejected(HOSTILE, code="bad_image"), 9.0)
    scene.tell(
        journal.QueueFailed(HOSTILE, "receive", QueueUnavailable(HOSTILE), 4.0),
        journal.ReloadFailed((HOSTILE,)),
        journal.RoutesLoaded("g1", (HOSTILE,), {HOSTILE: HOSTILE}, (HOSTILE,)),
    )
    level = MachinesSnapshot(HOSTILE, HOSTILE, 1, 0)
    scene.levels = Snapshot("g1", (QueueSnapshot(HOSTILE, "reading"),), (level,))
    html = "".join(part for region in regions_of(scene).values() for part in region.values())
    outline = Outline(html)

    assert outline.words.count(HOSTILE) >= 20
    assert outline.tags() & {"img", "script"} == set()


def test_no_value_of_a_profiles_environment_is_on_the_page() -> None:
    html = "".join(it for region in regions_of(working(WALL)).values() for it in region.values())
    form = TryForm("uploads", "kind=image", "{}")

    assert "s3cret" not in html
    assert "s3cret" not in repr(try_message(TABLE, form, WALL))
