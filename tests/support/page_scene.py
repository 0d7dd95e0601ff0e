"""A router's journal, made up, for the page to show: the same numbers every time."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser

from building import entry, message, profile, route, table

from lambdo_router.admin.page import Page
from lambdo_router.core import journal
from lambdo_router.core.batch import Batch, BatchKey
from lambdo_router.core.errors import LaunchError, LaunchRejected, QueueUnavailable
from lambdo_router.core.machine import Machine, batch_id_of
from lambdo_router.core.message import Event
from lambdo_router.core.patterns import compile_pattern
from lambdo_router.core.profile import Overrides, Profile
from lambdo_router.core.routing import Match, Queue, Route, Routed, RoutingTable
from lambdo_router.core.settlement import Acknowledge, Retry
from lambdo_router.core.snapshot import MachinesSnapshot, QueueSnapshot, Snapshot
from lambdo_router.telemetry.status import Overview, Status

HOSTILE = "</td><img src=x onerror=\"document.title='gone'\"><script>alert(1)</script>"
BAD_IMAGE = LaunchRejected(
    "400 failed to get manifest acme-jobs:transcoder-v9: not found", code="bad_image"
)
CUT_OFF = QueueUnavailable("cannot connect to sqs.us-east-1.amazonaws.com: timed out")


def _profile(name: str, **changes: object) -> Profile:
    image = f"registry.fly.io/acme-jobs:{name}"
    standard = {"name": name, "app": "acme-jobs", "acknowledge": "success", "image": image}
    return profile(**(standard | changes))


IMAGES = route(
    "image-uploads",
    queues=("uploads",),
    profile=_profile("thumbnailer", batch_size=25, batch_window=2.0, env=(("KEY", "s3cret"),)),
    match=Match(attributes=compile_pattern({"kind": ["image", {"prefix": "img-"}]})),
    overrides=Overrides(size=("shared-cpu-1x", "performance-2x")),
)
VIDEOS = route(
    "video-uploads",
    queues=("uploads",),
    profile=_profile("transcoder", size="performance-2x"),
    match=Match(attributes=compile_pattern({"kind": ["video"]})),
)
PAID = route("order-paid", queues=("orders",), profile=_profile("ledger"))
MAIL = route("order-mail", queues=("orders", "signups"), profile=_profile("mailer"))
AUDIT = route("audit", queues=("audit.fifo",), profile=_profile("archiver"))
ROUTES = (IMAGES, VIDEOS, PAID, MAIL, AUDIT)
QUEUES = ("uploads", "orders", "signups", "audit.fifo")
PLACES = {made.name: f"routes.yaml:{14 + 9 * at}" for at, made in enumerate(ROUTES)}


def _queue(name: str) -> Queue:
    return Queue(name, url=name, reject_to="rejected", on_unmatched="reject")


TABLE = table(
    *ROUTES,
    queues=(*map(_queue, QUEUES), Queue("rejected", url="rejected")),
    generation="5f1c09d2aa31",
)
CHANGES = (
    "~ profile `thumbnailer`, used by route `image-uploads`",
    "    ~ batch_size: 10 -> 25",
    "    + batch_window: 2s",
    "+ route `audit`, after `order-mail`",
    "",
    "1 added, 1 changed, 0 removed, 0 moved.",
)


@dataclass
class Scene:
    """An overview and a page that observe the same facts, at a time that the scene sets."""

    at: float
    overview: Overview = field(init=False)
    page: Page = field(init=False)
    levels: Snapshot = Snapshot("", (), ())
    _sent: int = 0

    def __post_init__(self) -> None:
        self.overview = Overview(lambda: self.at, PLACES)
        self.page = Page(self.status, lambda: self.overview.table, lambda: self.at)

    def status(self) -> Status:
        return self.overview.status(self.levels)

    def tell(self, *facts: journal.Fact) -> None:
        for fact in facts:
            self.overview.observe(fact)
            self.page.observe(fact)

    def start(self, made: RoutingTable = TABLE, queues: Sequence[str] = QUEUES) -> None:
        self.tell(journal.TableActivated(made, None))
        for name in queues:
            self.tell(journal.QueueOpened(name), journal.Polled(name, 0, 20.0))

    def batch(self, of: Route, queue: str, count: int) -> Batch:
        entries = []
        for _ in range(count):
            self._sent += 1
            message_id = f"{self._sent * 2654435761 % 2**32:08x}-3f1a-4c1e-9d2e-{self._sent:012x}"
            receives = 2 if self._sent % 23 == 0 else 1
            sent = {"SentTimestamp": str(int((self.at - 1.3) * 1000))}
            received = message(message_id, receives=receives, system=sent)
            decision = Routed(of, of.profile, Event("{}", {}, {}))
            self.tell(
                journal.Received(queue, received), journal.Decided(queue, message_id, decision)
            )
            body = f'{{"object": {{"size": {self._sent * 97}}}}}'
            entries.append(entry(message_id, body, receives=receives))
        return Batch(BatchKey(queue, of, of.profile), tuple(entries))

    def launch(self, batch: Batch) -> str:
        """Its Machine runs; the Machine's id."""
        batch_id = batch_id_of(batch)
        machine_id = f"{self._sent * 40503 % 2**56:014x}"
        region = ("iad", "fra", "nrt")[self._sent % 3]
        machine = Machine(machine_id, f"lambdo-{batch.key.route.name}-{batch_id}", region)
        self.tell(
            journal.BatchClosed(batch, batch_id, 0.1 * (self._sent % 9)),
            journal.Launched(batch, machine, 0.4 + 0.07 * (self._sent % 5), 1, 40.0, batch_id),
        )
        return machine_id

    def run(self, batch: Batch, failure: str = "") -> None:
        """Its Machine runs and ends: well, or out of memory."""
        machine_id = self.launch(batch)
        kind: journal.EndKind = "oom" if failure else "succeeded"
        code, seconds = (137 if failure else 0), 4.0 + self._sent % 7
        batch_id = batch_id_of(batch)
        self.tell(
            journal.MachineEnded(batch, batch_id, machine_id, kind, code, failure, seconds),
            *(
                journal.Settled(
                    batch.key.queue,
                    one.message.id,
                    batch.key.route.name,
                    Retry(10.0, failure) if failure else Acknowledge("succeeded"),
                )
                for one in batch.entries
            ),
        )

    def refuse(self, batch: Batch, error: LaunchError, pause: float) -> None:
        """Fly does not take its Machine."""
        self.tell(
            journal.BatchClosed(batch, batch_id_of(batch), 0.2),
            journal.LaunchFailed(batch, error, 1, pause),
        )

    def ten_seconds(self, step: int) -> None:
        """What usually happens in that time."""
        self.at += 10
        self.run(self.batch(IMAGES, "uploads", 4 + step * 7 % 6))
        if step % 2:
            self.run(self.batch(PAID, "orders", 1 + step % 4))
        if step % 3 == 0:
            self.run(self.batch(MAIL, "orders", 1 + step % 2))
        if step % 4 == 0:
            self.run(self.batch(MAIL, "signups", 2))
        if step % 9 == 0:
            self.run(self.batch(AUDIT, "audit.fifo", 1))


def working(until: float) -> Scene:
    """Five minutes of a router where all is well, up to that unix time."""
    scene = Scene(until - 301)
    scene.start(replace(TABLE, generation="77aa11bb22cc", routes=ROUTES))
    for step in range(30):
        scene.ten_seconds(step)
        if step == 16:
            loaded = journal.RoutesLoaded(TABLE.generation, (), PLACES, CHANGES)
            swapped = journal.TableActivated(TABLE, "77aa11bb22cc")
            scene.tell(loaded, swapped)
    scene.at = until
    scene.launch(scene.batch(IMAGES, "uploads", 7))
    scene.launch(scene.batch(MAIL, "orders", 2))
    for name, count in (("uploads", 10), ("orders", 2), ("signups", 0), ("audit.fifo", 0)):
        scene.tell(journal.Polled(name, count, 0.2))
    waiting = {"image-uploads": 17}
    scene.levels = Snapshot(
        TABLE.generation,
        (
            QueueSnapshot("uploads", "reading", 52, 17, waiting, 38.2),
            QueueSnapshot("orders", "reading", 9, 2, {"order-mail": 2}, 44.0),
            QueueSnapshot("signups", "reading"),
            QueueSnapshot("audit.fifo", "reading"),
        ),
        (
            MachinesSnapshot("acme-jobs", "thumbnailer", 3, 1),
            MachinesSnapshot("acme-jobs", "mailer", 1, 0),
        ),
    )
    return scene


def failing(until: float) -> Scene:
    """The same, but for an image that is not there, a memory too small, and a refused file."""
    scene = working(until - 60)
    for step in range(6):
        scene.ten_seconds(step)
        scene.refuse(scene.batch(VIDEOS, "uploads", 3), BAD_IMAGE, 15.0)
    scene.at = until
    scene.refuse(scene.batch(VIDEOS, "uploads", 2), BAD_IMAGE, 24.0)
    scene.run(scene.batch(PAID, "orders", 3), "out of memory (exit 137) after 6.1 s in iad")
    scene.tell(
        journal.Polled("uploads", 10, 0.2),
        journal.ReloadFailed(
            (
                (
                    "routes.yaml:31:14: no profile is called `hevy`; did you mean `heavy`? "
                    "[unknown-profile]"
                ),
                "routes.yaml:44:3: unknown key `que`; did you mean `queue`? [unknown-key]",
            )
        ),
    )
    return scene


class Outline(HTMLParser):
    """The elements of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def tags(self) -> set[str]:
        return {tag for tag, _ in self.elements}
