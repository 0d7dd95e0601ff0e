"""`run`: the service."""

import asyncio
import gc
import os
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lambdo_router import __version__
from lambdo_router.cli.output.printing import print_error, print_warning
from lambdo_router.cli.source import open_routes, path_or_address
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.core.errors import (
    LaunchError,
    LaunchUnavailable,
    QueueError,
    QueueUnavailable,
    SettingsError,
)
from lambdo_router.core.journal import Dispatch
from lambdo_router.core.prices import read_prices
from lambdo_router.core.routing import RoutingTable
from lambdo_router.engine.failure_reports import FailureReports
from lambdo_router.engine.router import Router
from lambdo_router.service.open_files import raise_limit
from lambdo_router.service.remote_routes.address import RoutesAddress
from lambdo_router.service.running import fly_machines, signals
from lambdo_router.service.settings import Settings, read_settings, without_secrets
from lambdo_router.telemetry.logs import Logs, configure_logs
from lambdo_router.telemetry.tracing import traces

if TYPE_CHECKING:  # imported where they are used: they are slow to load
    from lambdo_router.adapters.fly import FlyMachines
    from lambdo_router.adapters.sqs import SqsConnector

_PATIENCE = 10.0
"""Seconds that a queue or an app may take to answer before the router starts without it."""
_POLLS_FIRST = 1.0
"""Seconds from the start in which nothing else happens."""
_CERTIFICATES = "SSL_CERT_FILE"
_RETRIED = "the router keeps trying while it runs"


@click.command()
@click.argument(
    "routes", required=False, type=click.Path(), callback=path_or_address, envvar="LAMBDO_ROUTES"
)
@click.option(
    "--grace",
    type=click.FloatRange(0, 300),
    help="Seconds that a stop may take (LAMBDO_GRACE, else 25). Fly's kill_timeout must be longer.",
)
@click.option(
    "--admin/--no-admin",
    default=True,
    help="Serve /healthz, /readyz, /status and /metrics, and accept reports from Machines.",
)
def command(routes: Path | RoutesAddress | None, grace: float | None, *, admin: bool) -> None:
    """
    Run the router: read the queues of ROUTES (default: routes.yaml) and create Machines.

    ROUTES is a path, or an address: s3://bucket/key or https://host/path. The file and all that
    it refers to are watched, and changes are loaded as they happen; SIGHUP reloads too. The last
    good copy from an address is cached on disk, for starts when the address is unreachable.
    SIGTERM or SIGINT stops the router: it finishes current launches, and releases everything else.

    \b
      lambdo-router run
      lambdo-router run deploy/routes.yaml --grace 50
      lambdo-router run s3://acme-config/router/routes.yaml

    \b
    Environment:
      LAMBDO_FLY_TOKEN, FLY_API_TOKEN   a deploy token for the app to create Machines in; for
                                        several apps their tokens, separated by commas
      LAMBDO_FLY_APP, FLY_APP_NAME      the app of profiles that name none
      LAMBDO_FLY_REGION, FLY_REGION     the region of profiles that name none
      FLY_API_HOSTNAME                  a Machines API other than https://api.machines.dev
      HTTPS_PROXY, NO_PROXY, ...        the proxy for it, if it is not a private address;
                                        SSL_CERT_FILE: certificates to trust instead
      AWS_REGION, AWS_ROLE_ARN, ...     as for every AWS client; AWS_ENDPOINT_URL: another SQS
      LAMBDO_ROUTES                     ROUTES, if it is not on the command line
      LAMBDO_ROUTES_CACHE               the folder for cached routes from an address
      LAMBDO_ROUTES_POLL                seconds between two polls of an address; default 30
      LAMBDO_SQS_QUEUE_URL              without a routes file: the queue of the original contract
      LAMBDO_SQS_LONG_POLL_SECONDS      0 to 20, default 20
      LAMBDO_EVENTS_PER_MACHINE         batch size of the original contract, default 5
      LAMBDO_LAUNCH_RATE, ..._BURST     creates per second and app, and at once; default 1 and 3
      LAMBDO_MAX_MACHINES               Machines of this router that may run at once in an app
      LAMBDO_ADMIN_PORT, ..._HOST       where its own server listens; default 9091, every address
      LAMBDO_ADMIN_TOKEN                the token for POST /-/reload, which is off without one
      LAMBDO_ADMIN_HOSTS                host names to accept, besides private ones
      LAMBDO_REPORT_URL                 its URL for Machines; on Fly its private address
      LAMBDO_PRICES                     a JSON file of prices, for the cost metrics
      LAMBDO_LOG_FORMAT, ..._LEVEL      text or json; debug, info, warning or error
      OTEL_EXPORTER_OTLP_ENDPOINT, ...  where to send traces, with the extra `otel`; default: none

    Exit codes: 0 stopped on request, 1 an error in the routes file or from AWS or Fly, 2 wrong
    usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    settings = read_settings(os.environ)
    if grace is not None:
        settings = replace(settings, limits=replace(settings.limits, grace=grace))
    raise_limit()
    logs = configure_logs(settings.log_format, settings.log_level)
    raise SystemExit(asyncio.run(_run(settings, routes, logs, admin=admin)))


async def _run(
    settings: Settings, routes: Path | RoutesAddress | None, logs: Logs, *, admin: bool
) -> int:
    from lambdo_router.service.observers import Observers, listen

    stop, reload = asyncio.Event(), asyncio.Event()
    with signals(stop, reload):
        async with AsyncExitStack() as ends:
            first, changes = await open_routes(routes, settings, ends)
            table = first if isinstance(first, RoutingTable) else first.table
            logs.started(__version__, table, without_secrets(settings))
            sqs, fly = await _connect(settings, ends)
            reports = FailureReports(fly, settings.report_url if admin else None)
            prices = read_prices(settings.prices)
            traced = await ends.enter_async_context(traces(os.environ))
            observe = Dispatch(logs.observe, *traced.observers)
            observers = Observers(first, reload, observe, prices=prices)
            router = Router(
                *(table, sqs.open, fly, observers.observe),
                limits=settings.limits,
                reports=reports,
                trace_of=traced.trace_of,
            )
            observers.watch(router.snapshot)
            if admin:
                await listen(ends, settings, reports, observers)
            if not await _all_reachable(table, sqs, fly, observers.overview.cannot_start):
                return 1
            nothing_new = observers.reloading.nothing_new
            async with asyncio.TaskGroup() as beside:
                later = beside.create_task(_once_started(first, sqs, fly))
                await router.run(stop, changes(reload, observers.observe, nothing_new))
                later.cancel()
    return 0


async def _once_started(
    first: LoadedRoutes | RoutingTable, sqs: "SqsConnector", fly: "FlyMachines"
) -> None:
    """Do what must not delay the first messages."""
    await asyncio.sleep(_POLLS_FIRST)
    gc.collect()
    gc.freeze()  # what there is now stays for good: collections need not look at it again
    if not isinstance(first, RoutingTable):
        from lambdo_router.cli.online import warn_online

        await warn_online(first, sqs, fly)


async def _connect(settings: Settings, ends: AsyncExitStack) -> "tuple[SqsConnector, FlyMachines]":
    with _without_certificates():
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


@contextmanager
def _without_certificates() -> Iterator[None]:
    """
    Show nobody where the system's certificates are.

    When aiohttp is imported it reads them twice, for connections that nobody makes: adapters/http
    has its own context for every server. That would be a tenth of a start.
    """
    given = os.environ.get(_CERTIFICATES)
    os.environ[_CERTIFICATES] = os.devnull
    try:
        yield
    finally:
        del os.environ[_CERTIFICATES]
        if given is not None:
            os.environ[_CERTIFICATES] = given


async def _all_reachable(
    table: RoutingTable, sqs: "SqsConnector", fly: "FlyMachines", report: Callable[[str], None]
) -> bool:
    """
    Check every queue and app once before the start; `report` gets each error at once.

    A refusal, such as for a misspelled name, ends the start, with all other refusals. A queue or
    app that does not answer only gets a warning: a router that starts during an outage works as
    soon as the outage is over.
    """
    used = {queue.name for queue in table.sources()}
    used |= {queue.reject_to for queue in table.sources() if queue.reject_to is not None}
    apps = sorted({app for route in table.routes for app in route.profile.apps})

    async def notes_of(name: str) -> Sequence[str]:
        return (await sqs.open(table.queues[name])).notes

    async def note_of(app: str) -> Sequence[str]:
        note = await fly.check(app)
        return () if note is None else (note,)

    checks = [
        *(_check(f"queue `{name}`", notes_of(name), report) for name in sorted(used)),
        *(_check(f"app `{app}`", note_of(app), report) for app in apps),
    ]
    results = await asyncio.gather(*checks)
    for is_fine, texts in results:
        for text in texts:
            (print_warning if is_fine else print_error)(text)
    return all(is_fine for is_fine, _ in results)


async def _check(
    whose: str, check: Awaitable[Sequence[str]], report: Callable[[str], None]
) -> tuple[bool, Sequence[str]]:
    """Return (True, warnings), or (False, errors)."""
    try:
        async with asyncio.timeout(_PATIENCE):
            return True, await check
    except TimeoutError:
        return True, (f"{whose} does not answer within {_PATIENCE:.0f} s; {_RETRIED}",)
    except (QueueUnavailable, LaunchUnavailable) as error:
        return True, (f"{error}; {_RETRIED}",)
    except (QueueError, LaunchError) as error:
        report(str(error))
        return False, (str(error),)
