"""`run`: the service."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lambdo_router.cli.printing import print_diagnostics, print_error, print_warning
from lambdo_router.cli.running import EndedAtOnce, no_changes, signals, tables
from lambdo_router.config.load import LoadedRoutes, load_routes
from lambdo_router.config.original import original_table
from lambdo_router.errors import LaunchError, QueueError, SettingsError
from lambdo_router.reports import Reports
from lambdo_router.router import Router
from lambdo_router.routing import RoutingTable
from lambdo_router.settings import Settings, read_settings
from lambdo_router.telemetry import configure_logs, log_fact

if TYPE_CHECKING:  # imported where they are used: they are slow to load
    from lambdo_router.fly import FlyMachines
    from lambdo_router.sqs import SqsConnector, SqsQueue

_DEFAULT_FILE = Path("routes.yaml")


@click.command()
@click.argument("routes", required=False, type=click.Path(path_type=Path))
@click.option(
    "--grace",
    type=click.FloatRange(0, 300),
    help="Seconds that a stop may take (LAMBDO_GRACE, else 25). Fly's kill_timeout must be longer.",
)
def command(routes: Path | None, grace: float | None) -> None:
    """
    Run the router: read the queues of ROUTES (default: routes.yaml) and create Machines.

    The file and its schemas are watched and taken over when they change; SIGHUP reloads too.
    SIGTERM or SIGINT stops: what is under way is finished, the rest goes back to its queue.

    \b
      lambdo-router run
      lambdo-router run deploy/routes.yaml --grace 50

    \b
    Environment:
      LAMBDO_FLY_TOKEN, FLY_API_TOKEN   a deploy token of the app that Machines are created in
      LAMBDO_FLY_APP, FLY_APP_NAME      the app of profiles that name none
      LAMBDO_FLY_REGION, FLY_REGION     the region of profiles that name none
      FLY_API_HOSTNAME                  another Machines API than https://api.machines.dev
      AWS_REGION, AWS_ROLE_ARN, ...     as for every AWS client; AWS_ENDPOINT_URL: another SQS
      LAMBDO_SQS_QUEUE_URL              without a routes file: the queue of the original contract
      LAMBDO_SQS_LONG_POLL_SECONDS      0 to 20, default 20
      LAMBDO_EVENTS_PER_MACHINE         batch size of the original contract, default 5
      LAMBDO_LAUNCH_RATE, ..._BURST     creates per second and app, and at once; default 1 and 3
      LAMBDO_MAX_MACHINES               Machines of ours that may run at once in an app
      LAMBDO_ADMIN_PORT                 where Machines report to this router; default 9091
      LAMBDO_REPORT_URL                 how they reach it; on Fly its private address
      LAMBDO_LOG_FORMAT, ..._LEVEL      text or json; debug, info, warning or error

    Exit codes: 0 stopped as told, 1 the routes file, AWS or Fly say no, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    settings = read_settings(os.environ)
    if grace is not None:
        settings = replace(settings, limits=replace(settings.limits, grace=grace))
    configure_logs(settings.log_format, settings.log_level)
    load = _loader(routes, settings)
    try:
        raise SystemExit(asyncio.run(_run(settings, load)))
    except EndedAtOnce as ended:
        raise SystemExit(ended.exit_code) from None


def _loader(routes: Path | None, settings: Settings) -> Callable[[], LoadedRoutes] | RoutingTable:
    """How to load the routes file; or the table of the original contract, where there is none."""
    if routes is None and not _DEFAULT_FILE.exists():
        if settings.queue_url is None:
            raise SettingsError(
                f"there is no {_DEFAULT_FILE} here; name a routes file (lambdo-router run FILE), "
                "or set LAMBDO_SQS_QUEUE_URL to serve that queue by the original Lambdo's contract"
            )
        return original_table(
            settings.queue_url,
            app=settings.fly_app,
            region=settings.fly_region,
            batch_size=settings.events_per_machine,
        )
    path = routes or _DEFAULT_FILE

    def load() -> LoadedRoutes:
        return load_routes(
            path,
            os.environ,
            default_app=settings.fly_app,
            default_region=settings.fly_region,
        )

    return load


async def _run(settings: Settings, source: Callable[[], LoadedRoutes] | RoutingTable) -> int:
    stop, reload = asyncio.Event(), asyncio.Event()
    with signals(stop, reload):
        async with AsyncExitStack() as ends:
            if isinstance(source, RoutingTable):
                table, changes = source, no_changes()
            else:
                first = source()
                print_diagnostics(first.warnings, first.sources)
                table = first.table
                changes = tables(source, first, reload, log_fact)
            sqs, fly = await _connect(settings, ends)
            if not await _all_reachable(table, sqs, fly):
                return 1
            reports = Reports(fly, settings.report_url)
            if settings.report_url is not None:
                await ends.enter_async_context(_listening(settings, reports))
            router = Router(table, sqs.open, fly, log_fact, limits=settings.limits, reports=reports)
            await router.run(stop, changes)
    return 0


@asynccontextmanager
async def _listening(settings: Settings, reports: Reports) -> AsyncIterator[None]:
    """The router's own server, where Machines can reach it."""
    from lambdo_router.admin import admin_app
    from lambdo_router.serving import serve

    try:
        serving = serve(admin_app(reports), settings.admin_host, settings.admin_port)
        async with serving:
            yield
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {settings.admin_host} port {settings.admin_port} "
            f"({error.strerror}); set LAMBDO_ADMIN_PORT to a free one"
        ) from error


async def _connect(settings: Settings, ends: AsyncExitStack) -> "tuple[SqsConnector, FlyMachines]":
    from lambdo_router.fly import FlyMachines
    from lambdo_router.sqs import SqsConnector, SqsSettings

    if settings.fly_token is None:
        raise SettingsError(
            "no Fly token; set LAMBDO_FLY_TOKEN (or FLY_API_TOKEN) to one made by: "
            "fly tokens create deploy -a APP"
        )
    sqs = SqsConnector(SqsSettings(wait_seconds=settings.long_poll_seconds))
    ends.push_async_callback(sqs.aclose)
    fly = FlyMachines(
        token=settings.fly_token.reveal(),
        base_url=settings.fly_api,
        rate=settings.limits.launch_rate,
        burst=settings.limits.launch_burst,
    )
    ends.push_async_callback(fly.aclose)
    return sqs, fly


async def _all_reachable(table: RoutingTable, sqs: "SqsConnector", fly: "FlyMachines") -> bool:
    """
    Ask for every queue and app once, before anything is taken.

    At the start somebody is looking on: a typo is said at once, with all others. Later the same
    failures are logged and tried again.
    """
    used = {queue.name for queue in table.sources()}
    used |= {queue.reject_to for queue in table.sources() if queue.reject_to is not None}
    apps = sorted({route.profile.app for route in table.routes})
    questions = [
        *(_notes_of(sqs.open(table.queues[name])) for name in sorted(used)),
        *(_notes(fly.check(app)) for app in apps),
    ]
    fine = True
    for answer in await asyncio.gather(*questions, return_exceptions=True):
        if isinstance(answer, QueueError | LaunchError):
            print_error(str(answer))
            fine = False
        elif isinstance(answer, BaseException):
            raise answer
        else:
            for note in answer:
                print_warning(note)
    return fine


async def _notes_of(opening: "Awaitable[SqsQueue]") -> tuple[str, ...]:
    return (await opening).notes


async def _notes(checking: Awaitable[str | None]) -> tuple[str, ...]:
    note = await checking
    return () if note is None else (note,)
