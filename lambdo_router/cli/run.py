"""`run`: the service."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lambdo_router import __version__
from lambdo_router.cli.output.printing import print_error, print_warning
from lambdo_router.cli.source import RoutesPlace, Source, source_of
from lambdo_router.core.errors import (
    LaunchError,
    LaunchUnavailable,
    QueueError,
    QueueUnavailable,
    SettingsError,
)
from lambdo_router.core.journal import all_of
from lambdo_router.core.prices import read_prices
from lambdo_router.core.routing import RoutingTable
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.router import Router
from lambdo_router.service.open_files import raise_limit
from lambdo_router.service.remote_routes.address import Address
from lambdo_router.service.running import EndedAtOnce, fly_machines, signals
from lambdo_router.service.settings import Settings, read_settings, without_secrets
from lambdo_router.telemetry.logs import Logs, configure_logs
from lambdo_router.telemetry.tracing import traces

if TYPE_CHECKING:  # imported where they are used: they are slow to load
    from lambdo_router.adapters.fly import FlyMachines
    from lambdo_router.adapters.sqs import SqsConnector, SqsQueue

_PATIENCE = 10.0
"""Seconds that a queue or an app may take to answer before the router starts without it."""


@click.command()
@click.argument("routes", required=False, type=RoutesPlace(), envvar="LAMBDO_ROUTES")
@click.option(
    "--grace",
    type=click.FloatRange(0, 300),
    help="Seconds that a stop may take (LAMBDO_GRACE, else 25). Fly's kill_timeout must be longer.",
)
@click.option(
    "--admin/--no-admin",
    default=True,
    help="Whether to serve /healthz, /readyz, /status and /metrics, and take Machines' reports.",
)
def command(routes: Path | Address | None, grace: float | None, *, admin: bool) -> None:
    """
    Run the router: read the queues of ROUTES (default: routes.yaml) and create Machines.

    ROUTES is a path, or an address: s3://bucket/key or https://host/path. The file and all that
    it refers to are watched and taken over when they change; SIGHUP reloads too. From an address
    the last good copy is kept on disk, for a start at which the address does not answer.
    SIGTERM or SIGINT stops: what is under way is finished, the rest goes back to its queue.

    \b
      lambdo-router run
      lambdo-router run deploy/routes.yaml --grace 50
      lambdo-router run s3://acme-config/router/routes.yaml

    \b
    Environment:
      LAMBDO_FLY_TOKEN, FLY_API_TOKEN   a deploy token of the app that Machines are created in; of
                                        several apps the tokens, joined by commas
      LAMBDO_FLY_APP, FLY_APP_NAME      the app of profiles that name none
      LAMBDO_FLY_REGION, FLY_REGION     the region of profiles that name none
      FLY_API_HOSTNAME                  another Machines API than https://api.machines.dev
      HTTPS_PROXY, NO_PROXY, ...        the way there, if it is not a private address;
                                        SSL_CERT_FILE: certificates to trust instead
      AWS_REGION, AWS_ROLE_ARN, ...     as for every AWS client; AWS_ENDPOINT_URL: another SQS
      LAMBDO_ROUTES                     ROUTES, where it is not on the command line
      LAMBDO_ROUTES_CACHE               where copies of routes from an address are kept
      LAMBDO_ROUTES_POLL                seconds between two looks at an address; default 30
      LAMBDO_SQS_QUEUE_URL              without a routes file: the queue of the original contract
      LAMBDO_SQS_LONG_POLL_SECONDS      0 to 20, default 20
      LAMBDO_EVENTS_PER_MACHINE         batch size of the original contract, default 5
      LAMBDO_LAUNCH_RATE, ..._BURST     creates per second and app, and at once; default 1 and 3
      LAMBDO_MAX_MACHINES               Machines of ours that may run at once in an app
      LAMBDO_ADMIN_PORT, ..._HOST       where its own server listens; default 9091, every address
      LAMBDO_ADMIN_TOKEN                what POST /-/reload there asks for; without it that is off
      LAMBDO_ADMIN_HOSTS                names it may be called by, beside private ones
      LAMBDO_REPORT_URL                 how Machines reach it; on Fly its private address
      LAMBDO_PRICES                     a JSON file of prices, for the metrics of what it costs
      LAMBDO_LOG_FORMAT, ..._LEVEL      text or json; debug, info, warning or error
      OTEL_EXPORTER_OTLP_ENDPOINT, ...  where traces go, with the extra `otel`; default: nowhere

    Exit codes: 0 stopped as told, 1 the routes file, AWS or Fly say no, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    settings = read_settings(os.environ)
    if grace is not None:
        settings = replace(settings, limits=replace(settings.limits, grace=grace))
    raise_limit()
    logs = configure_logs(settings.log_format, settings.log_level)
    try:
        running = _run(settings, source_of(routes, settings), logs, admin=admin)
        raise SystemExit(asyncio.run(running))
    except EndedAtOnce as ended:
        raise SystemExit(ended.exit_code) from None


async def _run(settings: Settings, source: Source, logs: Logs, *, admin: bool) -> int:
    from lambdo_router.service.observers import Observers, listen

    stop, reload = asyncio.Event(), asyncio.Event()
    with signals(stop, reload):
        async with AsyncExitStack() as ends:
            ends.push_async_callback(source.aclose)
            first = await source.first()
            table = first if isinstance(first, RoutingTable) else first.table
            logs.started(__version__, table, without_secrets(settings))
            sqs, fly = await _connect(settings, ends)
            reports = FailureReports(fly, settings.report_url if admin else None)
            prices = read_prices(settings.prices)
            traced = await ends.enter_async_context(traces(os.environ))
            observe = all_of(logs.observe, *traced.observers)
            lookout = Observers(first, reload, observe, prices=prices)
            router = Router(
                *(table, sqs.open, fly, lookout.observe),
                limits=settings.limits,
                reports=reports,
                trace_of=traced.trace_of,
            )
            lookout.look_at(router.snapshot)
            if admin:
                await listen(ends, settings, reports, lookout)
            if not await _all_reachable(table, sqs, fly, lookout.overview.cannot_start):
                return 1
            if not isinstance(first, RoutingTable):
                from lambdo_router.cli.online import warn_online

                await warn_online(first, sqs, fly)
            nothing_new = lookout.reloading.nothing_new
            await router.run(stop, source.changes(reload, lookout.observe, nothing_new))
    return 0


async def _connect(settings: Settings, ends: AsyncExitStack) -> "tuple[SqsConnector, FlyMachines]":
    from lambdo_router.adapters.sqs import SqsConnector, SqsSettings

    if settings.fly_token is None:
        raise SettingsError(
            "no Fly token; set LAMBDO_FLY_TOKEN (or FLY_API_TOKEN) to one made by: "
            "fly tokens create deploy -a APP"
        )
    sqs = SqsConnector(SqsSettings(wait_seconds=settings.long_poll_seconds))
    ends.push_async_callback(sqs.aclose)
    fly = fly_machines(settings, settings.fly_token)
    ends.push_async_callback(fly.aclose)
    return sqs, fly


async def _all_reachable(
    table: RoutingTable, sqs: "SqsConnector", fly: "FlyMachines", tell: Callable[[str], None]
) -> bool:
    """
    Ask for every queue and app once, before anything is taken; `tell` hears of problems at once.

    At the start somebody is looking on: a typo is said at once, with all others, and is the end.
    What does not answer is only warned of: a router that starts during an outage is there when it
    is over, and one that is silent delays the others no longer than that. Later both are logged and
    tried again.
    """
    used = {queue.name for queue in table.sources()}
    used |= {queue.reject_to for queue in table.sources() if queue.reject_to is not None}
    apps = sorted({app for route in table.routes for app in route.profile.apps})
    questions = [
        *((f"queue `{name}`", _notes_of(sqs.open(table.queues[name]))) for name in sorted(used)),
        *((f"app `{app}`", _notes(fly.check(app))) for app in apps),
    ]
    fine = True
    answers = (_telling(whose, question, tell) for whose, question in questions)
    for answer in await asyncio.gather(*answers, return_exceptions=True):
        if isinstance(answer, QueueUnavailable | LaunchUnavailable):
            print_warning(f"{answer}; it is asked again while the router runs")
        elif isinstance(answer, QueueError | LaunchError):
            print_error(str(answer))
            fine = False
        elif isinstance(answer, BaseException):
            raise answer
        else:
            for note in answer:
                print_warning(note)
    return fine


async def _telling(
    whose: str, question: Awaitable[tuple[str, ...]], tell: Callable[[str], None]
) -> tuple[str, ...]:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await question
    except TimeoutError:
        raise QueueUnavailable(f"{whose} does not answer within {_PATIENCE:.0f} s") from None
    except (QueueError, LaunchError) as error:
        if not isinstance(error, QueueUnavailable | LaunchUnavailable):
            tell(str(error))
        raise


async def _notes_of(opening: "Awaitable[SqsQueue]") -> tuple[str, ...]:
    return (await opening).notes


async def _notes(checking: Awaitable[str | None]) -> tuple[str, ...]:
    note = await checking
    return () if note is None else (note,)
