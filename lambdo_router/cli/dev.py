"""`dev`: the router on this machine, with its own SQS and Machines API, and a live view."""

import asyncio
import os
import re
import shlex
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

import click

from lambdo_router.admin import admin_app
from lambdo_router.cli.output.live import LiveView, console
from lambdo_router.cli.output.printing import print_diagnostics
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.load import LoadedRoutes, load_routes
from lambdo_router.config.messages import Sample, read_samples
from lambdo_router.core.profile import normalise_image
from lambdo_router.core.routing import RoutingTable
from lambdo_router.engine.router import Limits, Router
from lambdo_router.local.names import local_name
from lambdo_router.local.stack import Ports, Stack, StackError, local_stack
from lambdo_router.service.observers import Observers
from lambdo_router.service.running import signals, tables

_DEFAULT_FILE: Final = Path("routes.yaml")
# Fly's own rate, which shows how batches grow while they wait for a launch.
_LIMITS: Final = Limits(launch_rate=1.0, launch_burst=3, grace=5.0)
_APP: Final = "local"
_NAME: Final = re.compile(r"\$\{([A-Za-z0-9_]+)")
_PORT = click.IntRange(0, 65535)


@click.command()
@click.argument("routes", required=False, type=click.Path(path_type=Path))
@click.option(
    "--image",
    "images",
    multiple=True,
    metavar="IMAGE=DIR",
    help="A folder in place of an image: the commands of its Machines run there. Repeatable; "
    "default for all images: the folder of ROUTES.",
)
@click.option(
    "--messages",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Send the message files (*.json) in this folder at the start.",
)
@click.option("--sqs-port", type=_PORT, default=0, help="Port of its SQS; 0: a free one.")
@click.option(
    "--machines-port", type=_PORT, default=0, help="Port of its Machines API; 0: a free one."
)
@click.option(
    "--admin-port", type=_PORT, default=0, help="Port of the router's own server; 0: a free one."
)
@click.option("--open", "open_page", is_flag=True, help="Open the router's page in a browser.")
def command(
    routes: Path | None,
    images: tuple[str, ...],
    messages: Path | None,
    sqs_port: int,
    machines_port: int,
    admin_port: int,
    open_page: bool,  # noqa: FBT001 - click's way
) -> None:
    """
    Run ROUTES (default: routes.yaml) with an SQS and a Machines API on this machine.

    It needs no account, Docker or variables: it creates the queues of the file, and runs Machines
    as local processes (without a sandbox: they have your permissions). Nothing is kept at the end.
    Events are printed as they happen. When you save ROUTES or its schemas, the router reloads them.

    Send messages with `lambdo-router send`, as the first lines show, and open the page that they
    name. Ctrl-C stops.

    \b
      lambdo-router dev
      lambdo-router dev --messages messages --image registry.fly.io/acme-jobs:1=./jobs

    Exit codes: 0 stopped on request, 1 the routes file has errors or a port is taken, 2 wrong
    usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    path = _existing(routes)
    folders = dict(map(_image, images))
    samples = read_samples(messages) if messages is not None else ()
    ports = Ports(sqs_port, machines_port, admin_port)
    asyncio.run(_dev(path, path.resolve().parent, folders, samples, ports, open_page=open_page))


def _existing(routes: Path | None) -> Path:
    path = routes or _DEFAULT_FILE
    if path.is_file():
        return path
    raise click.UsageError(
        f"there is no file {path}"
        + (" here" if routes is None else "")
        + "; name a routes file (lambdo-router dev FILE), or write one with lambdo-router init. "
        "`lambdo-router demo` runs an example, and says where it is"
    )


def _image(option: str) -> tuple[str, Path]:
    image, equals, folder = option.partition("=")
    if not equals or not folder or normalise_image(image) is None:
        raise click.UsageError(
            f"--image {option!r} is not IMAGE=DIR; write it like registry.fly.io/acme-jobs:1=./jobs"
        )
    if not Path(folder).is_dir():
        raise click.UsageError(f"--image {option!r}: there is no folder {folder}")
    return image, Path(folder).resolve()


async def _dev(
    path: Path,
    folder: Path,
    images: Mapping[str, Path],
    samples: tuple[Sample, ...],
    ports: Ports,
    *,
    open_page: bool,
) -> None:
    def load() -> LoadedRoutes:
        app = os.environ.get("LAMBDO_FLY_APP") or os.environ.get("FLY_APP_NAME") or _APP
        return load_routes(path, os.environ, missing="warning", default_app=app)

    stop, reload = asyncio.Event(), asyncio.Event()
    first = load()
    print_diagnostics(_relevant_warnings(first), first.sources)
    view = LiveView(console(when_gone=stop.set), time.time)
    observers = Observers(first, reload, view.observe)
    with signals(stop, reload):
        async with local_stack(
            folder,
            images=images,
            ports=ports,
            limits=_LIMITS,
            admin=lambda reports: admin_app(
                *(reports, observers.watched()),
                observe=observers.observe,
                more=observers.page.routes(),
            ),
        ) as stack:
            stack.create_queues(first.table)
            stack.machines.observers.append(view.machine_event)
            stack.machines.on_line = view.output
            for what, text in _greeting(path, images, stack, first.table):
                view.note(what, text)
            await stack.send(first.table, samples)
            changes = _with_queues(stack, view, tables(load, first, reload, observers.observe))
            router = Router(
                *(first.table, stack.open_queue, stack.launcher, observers.observe),
                limits=_LIMITS,
                reports=stack.reports,
            )
            observers.watch(router.snapshot)
            if open_page:
                click.launch(f"{stack.admin_url}/")
            await router.run(stop, changes)


def _relevant_warnings(loaded: LoadedRoutes) -> list[Diagnostic]:
    """Leave out warnings about unset variables that only hold the address of a queue at AWS."""
    addresses = " ".join(f"{queue.url} {queue.lookup}" for queue in loaded.table.queues.values())
    not_needed = {
        f"the environment variable {name} is not set" for name in _NAME.findall(addresses)
    }
    return [warning for warning in loaded.warnings if warning.message not in not_needed]


def _greeting(
    path: Path, images: Mapping[str, Path], stack: Stack, table: RoutingTable
) -> Iterator[tuple[str, str]]:
    """Yield the addresses of everything, and what to type next."""
    names = ", ".join(f"{queue.name} = {local_name(queue)}" for queue in table.queues.values())
    yield "queues", f"{stack.sqs_url}  {names}"
    folders = [f"{image} = {folder}" for image, folder in images.items()]
    folders.append(f"{'other images' if images else 'every image'} = {path.resolve().parent}")
    yield "Machines", f"{stack.machines_url}  {', '.join(folders)}"
    yield "page", f"{stack.admin_url}/"
    yield "status", f"{stack.admin_url}/status  lambdo-router top --url {stack.admin_url}"
    for image in _unused(images, table):
        used = ", ".join(sorted({route.profile.public.image for route in table.routes}))
        yield "", f"no profile uses the image {image}; images in use: {used}"
    send = ["lambdo-router", "send", str(path), "--endpoint-url", stack.sqs_url]
    send += ["--queue", table.sources()[0].name, "--body", '{"hello": "world"}']
    yield "try", shlex.join(send)
    yield "stop", "Ctrl-C"


def _unused(images: Iterable[str], table: RoutingTable) -> list[str]:
    """Return the images that no Machine will have; none if senders may choose images."""
    if any(route.overrides.image for route in table.routes):
        return []
    return sorted(set(images) - {route.profile.image for route in table.routes})


async def _with_queues(
    stack: Stack, view: LiveView, changes: AsyncIterator[RoutingTable]
) -> AsyncIterator[RoutingTable]:
    """Create the queues of each table, and yield those for which that is possible."""
    async for table in changes:
        try:
            stack.create_queues(table)
        except StackError as error:
            view.say("routes", (f"not loaded: {error}", "red"))
        else:
            yield table
