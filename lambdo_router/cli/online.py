"""
Checks with AWS and Fly what routes depend on, for `validate --online` and at the start of `run`.

The requests are concurrent and change nothing. `validate` waits for every answer. `run` has checked
its queues and apps already, and waits only a few seconds: a missing answer is no reason not to
start.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import structlog

from lambdo_router.adapters.fly import FlyMachines
from lambdo_router.adapters.fly.inspection import FlyFacts
from lambdo_router.adapters.sqs import SqsConnector, SqsSettings
from lambdo_router.adapters.sqs.inspection import QueueFacts
from lambdo_router.cli.output.printing import print_diagnostics
from lambdo_router.config.lint.suppress import not_ignored
from lambdo_router.config.load import Examined, LoadedRoutes
from lambdo_router.core.errors import LaunchError, QueueError
from lambdo_router.core.routing import Queue, RoutingTable
from lambdo_router.service.online import Answers, Questions, findings, questions
from lambdo_router.service.online_fly import FlyAnswers
from lambdo_router.service.running import fly_machines
from lambdo_router.service.settings import Settings

CHECKED: Final = ("queues", "apps", "regions")
NOT_CHECKED: Final = "not checked: images and sizes, which Fly validates only in a create request"
_AT_START: Final = 4.0
"""Seconds that the start of `run` may take longer."""
_REPORTED: Final = frozenset({"queue-not-inspected", "fly-not-checked"})
"""Problems that `run` reports itself before."""

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
    answers = await _answers(asked, sqs, fly, await _apps(asked, fly))
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
        found = not_ignored(findings(loaded.places, loaded.table, answers), loaded.sources)
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
    looks = asyncio.gather(*(_look(sqs, queue) for queue in asked.queues))
    if fly is None:
        return Answers(dict(await looks))
    facts, missing, queues = await asyncio.gather(_facts(fly), _missing(asked, fly), looks)
    return Answers(dict(queues), FlyAnswers(apps, missing, facts))


async def _look(sqs: SqsConnector, queue: Queue) -> tuple[str, QueueFacts | QueueError]:
    try:
        return queue.name, await sqs.inspect(queue)
    except QueueError as error:
        return queue.name, error


async def _facts(fly: FlyMachines) -> FlyFacts | None:
    try:
        return await fly.inspect()
    except LaunchError:
        return None  # the check of the apps reports it


async def _apps(
    asked: Questions, fly: FlyMachines | None
) -> Mapping[str, LaunchError | str | None]:
    if fly is None:
        return {}
    outcomes = await asyncio.gather(*map(fly.check, asked.apps), return_exceptions=True)
    found: dict[str, LaunchError | str | None] = {}
    for app, outcome in zip(asked.apps, outcomes, strict=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, LaunchError):
            raise outcome
        found[app] = outcome
    return found


async def _missing(asked: Questions, fly: FlyMachines) -> frozenset[str]:
    """Return the missing apps of images; an app that the token cannot read counts as existing."""

    async def is_missing(app: str) -> bool:
        try:
            await fly.check(app)
        except LaunchError as error:
            return error.code == "app_not_found"
        return False

    answers = await asyncio.gather(*map(is_missing, asked.image_apps))
    pairs = zip(asked.image_apps, answers, strict=True)
    return frozenset(app for app, missing in pairs if missing)
