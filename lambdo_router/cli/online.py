"""
Checks with AWS and Fly what routes depend on, for `validate --online` and at the start of `run`.

The requests are concurrent and change nothing. `validate` waits for every answer. `run` has checked
its queues and apps already and asks while it routes messages, and only for a few seconds: a missing
answer changes nothing.
"""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Final, TypeVar

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.sqs import SqsConnector, SqsSettings
from lambdo_router.cli.output.printing import print_diagnostics
from lambdo_router.config.lint.suppress import not_ignored
from lambdo_router.config.load import Examined, LoadedRoutes
from lambdo_router.core.errors import LaunchError, QueueError
from lambdo_router.core.routing import RoutingTable
from lambdo_router.core.structured_log import structlog
from lambdo_router.service.online import Answers, Questions, findings, questions
from lambdo_router.service.online_fly import FlyAnswers
from lambdo_router.service.running import fly_machines
from lambdo_router.service.settings import Settings

CHECKED: Final = ("queues", "apps", "regions")
NOT_CHECKED: Final = "not checked: images and sizes, which Fly validates only in a create request"
_AT_START: Final = 4.0
"""Seconds that `run` waits for answers."""
_REPORTED: Final = frozenset({"queue-not-inspected", "fly-not-checked"})
"""Problems that `run` reports itself before."""

T = TypeVar("T")
E = TypeVar("E", bound=Exception)
log = structlog.get_logger()


def examined_online(files: Sequence[Examined], settings: Settings) -> list[Examined]:
    """
    Add the problems that AWS and Fly report for each file without errors of its own.

    Raises SettingsError for an invalid token or address.
    """
    return asyncio.run(_examined_online(files, settings))


async def _examined_online(files: Sequence[Examined], settings: Settings) -> list[Examined]:
    sqs = SqsConnector(SqsSettings(wait_seconds=0))
    fly = None
    try:
        if settings.fly_token is not None:
            fly = fly_machines(settings, settings.fly_token)
        return [await _with_answers(one, sqs, fly) for one in files]
    finally:
        await sqs.aclose()
        if fly is not None:
            await fly.aclose()


async def _with_answers(examined: Examined, sqs: SqsConnector, fly: FlyMachines | None) -> Examined:
    compiled, places = examined.compiled, examined.places
    if compiled is None or places is None or examined.errors:
        return examined
    table = RoutingTable(examined.generation, compiled.queues, compiled.routes)
    asked = questions(table)
    answers = await _answers(asked, sqs, fly, await _checked(fly, asked.apps))
    found = not_ignored(findings(places, table, answers), examined.sources)
    return replace(
        examined,
        diagnostics=tuple(sorted((*examined.diagnostics, *found))),
        checked=(*examined.checked, *(CHECKED if fly is not None else CHECKED[:1])),
    )


async def warn_online(loaded: LoadedRoutes, sqs: SqsConnector, fly: FlyMachines) -> None:
    """
    Print the problems that AWS and Fly report for the routes, as warnings. Never fails.

    The router has already checked queues and apps, and reported those that do not answer.
    """
    asked = questions(loaded.table)
    try:
        async with asyncio.timeout(_AT_START):
            answers = await _answers(asked, sqs, fly, dict.fromkeys(asked.apps))
        # In a thread: with thousands of routes it takes a while, and messages are on their way.
        found = await asyncio.to_thread(
            lambda: not_ignored(findings(loaded.places, loaded.table, answers), loaded.sources)
        )
    except TimeoutError:
        log.info("checks.given_up", seconds=_AT_START)
        return
    except Exception:
        log.exception("checks.crashed")  # a bug here is no reason not to route messages
        return
    new = [one for one in found if one.code not in _REPORTED]
    warnings = [replace(one, severity="warning") for one in new]
    print_diagnostics(warnings, loaded.sources)


async def _answers(
    asked: Questions,
    sqs: SqsConnector,
    fly: FlyMachines | None,
    apps: Mapping[str, LaunchError | str | None],
) -> Answers:
    queues = asyncio.gather(*(_outcome(sqs.inspect(queue), QueueError) for queue in asked.queues))
    names = [queue.name for queue in asked.queues]
    if fly is None:
        return Answers(dict(zip(names, await queues, strict=True)))
    images = _checked(fly, asked.image_apps)
    found, image_apps, facts = await asyncio.gather(
        queues, images, _outcome(fly.inspect(), LaunchError)
    )
    # An app that the token cannot read counts as existing.
    missing = {
        app
        for app, it in image_apps.items()
        if isinstance(it, LaunchError) and it.code == "app_not_found"
    }
    # If `inspect` fails, the check of the apps reports it.
    known = None if isinstance(facts, LaunchError) else facts
    fly_answers = FlyAnswers(apps, frozenset(missing), known)
    return Answers(dict(zip(names, found, strict=True)), fly_answers)


async def _checked(
    fly: FlyMachines | None, apps: Sequence[str]
) -> dict[str, LaunchError | str | None]:
    if fly is None:
        return {}
    outcomes = await asyncio.gather(*(_outcome(fly.check(app), LaunchError) for app in apps))
    return dict(zip(apps, outcomes, strict=True))


async def _outcome(call: Awaitable[T], expected: type[E]) -> T | E:
    """Return an expected error as a value."""
    try:
        return await call
    except expected as error:
        return error
