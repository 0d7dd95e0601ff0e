"""`dev`: the router on this machine, with its own SQS and Machines API, and a live view of it."""

import asyncio
import os
import re
import shlex
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from lambdo_router.admin import admin_app
from lambdo_router.cli.output.live import LiveView, console
from lambdo_router.cli.output.printing import print_diagnostics
from lambdo_router.config.diagnostics import Diagnostic
from lambdo_router.config.load import LoadedRoutes, load_routes
from lambdo_router.config.samples import Sample, read_samples
from lambdo_router.core.profile import normalise_image
from lambdo_router.core.routing import RoutingTable
from lambdo_router.engine.router import Limits, Router
from lambdo_router.local.names import local_name
from lambdo_router.local.stack import Ports, Stack, StackError, local_stack
from lambdo_router.service.observers import Observers
from lambdo_router.service.running import EndedAtOnce, signals, tables

_DEFAULT_FILE: Final = Path("routes.yaml")
# Fly's own pace: how batches grow while they wait for a launch is worth seeing.
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
    help="The folder that stands for an image: its Machines' commands run there. Repeatable; "
    "default for all images: the folder of ROUTES.",
)
@click.option(
    "--messages",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Send the message files (*.json) of this folder at the start.",
)
@click.option("--sqs-port", type=_PORT, default=0, help="Port of the SQS here; 0: a free one.")
@click.option(
    "--machines-port", type=_PORT, default=0, help="Port of the Machines API; 0: a free one."
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

    No account, no Docker, no variables: the queues of the file are created, Machines are local
    processes (no sandbox: they have your rights), and all of it is gone at the end. What happens
    is printed as it happens. Edit ROUTES or its schemas and save: the router takes them over.

    Send messages with `lambdo-router send`, as the first lines show, and look at the page that they
    name. Ctrl-C stops.

    \b
      lambdo-router dev
      lambdo-router dev --messages messages --image registry.fly.io/acme-jobs:1=./jobs

    Exit codes: 0 stopped as told, 1 the routes file has errors or a port is taken, 2 wrong usage.
    """  # noqa: D301 - \b is click's mark for a paragraph that keeps its lines
    path = _existing(routes)
    folders = dict(map(_image, images))
    samples = read_samples(messages) if messages is not None else ()
    ports = Ports(sqs_port, machines_port, admin_port)
    session = _Session(path, folders, samples, ports, open_page)
    try:
        asyncio.run(session.run())
    except EndedAtOnce as ended:
        raise SystemExit(ended.exit_code) from None


def _existing(routes: Path | None) -> Path:
    path = routes or _DEFAULT_FILE
    if path.is_file():
        return path
    raise click.UsageError(
        f"there is no file {path}"
        + (" here" if routes is None else "")
        + "; name a routes file (lambdo-router dev FILE), or write one with lambdo-router init. "
        "`lambdo-router demo` shows one at work, and says where it is"
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


def _worth_saying(loaded: LoadedRoutes) -> list[Diagnostic]:
    """The warnings, less those of unset variables that only say where a queue is at AWS."""
    addresses = " ".join(f"{queue.url} {queue.lookup}" for queue in loaded.table.queues.values())
    not_needed = {
        f"the environment variable {name} is not set" for name in _NAME.findall(addresses)
    }
    return [warning for warning in loaded.warnings if warning.message not in not_needed]


def _unused(images: Iterable[str], table: RoutingTable) -> list[str]:
    """The images that no Machine will have; none where senders may name images themselves."""
    if any(route.overrides.image for route in table.routes):
        return []
    return sorted(set(images) - {route.profile.image for route in table.routes})


@dataclass(frozen=True, slots=True)
class _Session:
    """One run of `dev`."""

    path: Path
    images: Mapping[str, Path]
    samples: tuple[Sample, ...]
    ports: Ports
    open_page: bool

    def load(self) -> LoadedRoutes:
        """The routes; variables need not be set here, where queues are called by their names."""
        app = os.environ.get("LAMBDO_FLY_APP") or os.environ.get("FLY_APP_NAME") or _APP
        return load_routes(self.path, os.environ, missing="warning", default_app=app)

    async def run(self) -> None:
        """Until told to stop."""
        stop, reload = asyncio.Event(), asyncio.Event()
        first = self.load()
        print_diagnostics(_worth_saying(first), first.sources)
        view = LiveView(console(when_gone=stop.set), time.time)
        folder = self.path.resolve().parent
        lookout = Observers(first, reload, view.observe)
        with signals(stop, reload):
            async with local_stack(
                folder,
                images=self.images,
                ports=self.ports,
                limits=_LIMITS,
                admin=lambda reports: admin_app(
                    reports,
                    lookout.watched(),
                    observe=lookout.observe,
                    more=lookout.page.routes(),
                ),
            ) as stack:
                stack.create_queues(first.table)
                stack.machines.platform.observers.append(view.machine_event)
                stack.machines.on_line = view.output
                self._greet(view, stack, first.table)
                await stack.send(first.table, self.samples)
                changes = _taken(stack, view, tables(self.load, first, reload, lookout.observe))
                router = Router(
                    first.table,
                    stack.open_queue,
                    stack.launcher,
                    lookout.observe,
                    limits=_LIMITS,
                    reports=stack.reports,
                )
                lookout.look_at(router.snapshot)
                if self.open_page:
                    click.launch(f"{stack.admin_url}/")
                await router.run(stop, changes)

    def _greet(self, view: LiveView, stack: Stack, table: RoutingTable) -> None:
        """What is where, and what to type next."""
        names = ", ".join(f"{queue.name} = {local_name(queue)}" for queue in table.queues.values())
        view.note("queues", f"{stack.sqs_url}  {names}")
        images = [f"{image} = {folder}" for image, folder in self.images.items()]
        others = "other images" if images else "every image"
        places = ", ".join([*images, f"{others} = {self.path.resolve().parent}"])
        view.note("Machines", f"{stack.machines_url}  {places}")
        view.note("page", f"{stack.admin_url}/")
        view.note("status", f"{stack.admin_url}/status  lambdo-router top --url {stack.admin_url}")
        for image in _unused(self.images, table):
            used = sorted({route.profile.told.image for route in table.routes})
            view.note("", f"no profile has the image {image}; they have: {', '.join(used)}")
        queue = table.sources()[0].name
        send = ["lambdo-router", "send", str(self.path), "--endpoint-url", stack.sqs_url]
        send += ["--queue", queue, "--body", '{"hello": "world"}']
        view.note("try", shlex.join(send))
        view.note("stop", "Ctrl-C")


async def _taken(
    stack: Stack, view: LiveView, changes: AsyncIterator[RoutingTable]
) -> AsyncIterator[RoutingTable]:
    """The tables whose queues can be had here; each gets those that it names."""
    async for table in changes:
        try:
            stack.create_queues(table)
        except StackError as error:
            view.say("routes", (f"not taken: {error}", "red"))
        else:
            yield table
