"""
Warnings about profiles, queues and overrides that are allowed but probably unintended.

Each lint runs over the whole compiled file. None of them guesses: values that depend on an unset
variable, or on a part of the file with errors, are skipped.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Literal, TypeVar

from lambdo_router.config.compile.layers import Layer
from lambdo_router.config.compile.overrides import why_it_never_matches
from lambdo_router.config.diagnostics import Diagnostic, closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Section
from lambdo_router.config.read.units import size_text
from lambdo_router.core.batch import BatchKey
from lambdo_router.core.machine import REQUEST_LIMIT, room_for_entries
from lambdo_router.core.profile import ANY_IMAGE, SIZES, image_matches, normalise_image
from lambdo_router.core.routing import Route

T = TypeVar("T")
_REFERENCES = frozenset({"queue", "profile", "extends", "reject_to"})
_REGION_CODE = re.compile(r"[a-z]{3}")
_OVERHEAD = 4096
"""Most bytes of a create request that are neither events nor from the routes file."""


@dataclass(frozen=True, slots=True)
class Regions:
    """Fly's regions at a date."""

    as_of: str
    """Year and month."""
    names: frozenset[str]
    """Codes, and the names of `groups`."""
    closed: frozenset[str]
    """Codes of former regions."""
    groups: frozenset[str]
    """Names for several regions, such as `eu` and `any`."""


@cache
def known_regions() -> Regions:
    """Return Fly's regions, as its documentation had them."""
    text = resources.files("lambdo_router.config").joinpath("regions.json").read_text("utf-8")
    content = json.loads(text)
    groups = frozenset(content["aliases"])
    names = frozenset(content["regions"]) | groups
    return Regions(content["as_of"], names, frozenset(content["closed"]), groups)


def lint_profiles(
    draft: Draft, routes: Sequence[Route], layers: Sequence[Layer]
) -> Iterator[Diagnostic]:
    """Yield the warnings about profiles, queues and overrides; `layers` belong to the routes."""
    for section in _profile_sections(draft):
        yield from _unknown_regions(section)
        yield from _moving_image(section)
    for section, route, layer in zip(draft.routes(), routes, layers, strict=True):
        yield from _fifo_launches(section, route)
        overrides = draft.section(*section.at("overrides"))
        if overrides.value:
            yield from _open_registries(overrides)
            yield from _needless(overrides)
            yield from _without_choice(overrides, route, layer)
    yield from _volumes_of_one_app(draft, routes, layers)
    yield from _batches_that_never_fill(draft, routes, layers)
    yield from _unused(draft, routes)


def _profile_sections(draft: Draft) -> Iterator[Section]:
    """Yield every section that sets keys of a profile."""
    yield draft.section("defaults")
    for name in draft.names("profiles"):
        yield draft.section("profiles", name)
    for route in draft.routes():
        if isinstance(route.value.get("profile"), dict):
            yield draft.section(*route.at("profile"))


def _unknown_regions(section: Section) -> Iterator[Diagnostic]:
    draft, at, known = section.draft, section.at("region"), known_regions()
    for written in _known_text(section, "region").split(","):
        code = written.strip()
        if _REGION_CODE.fullmatch(code) is None or code in known.names:
            continue
        hint = closest(code, known.names)
        if code in known.closed:
            hint = f"it was closed; allowed are: {', '.join(sorted(known.names))}"
        if draft.holds_variable(at):  # its value may be a secret
            code, hint = f"of {draft.quoted(at)}", closest("", known.names)
        else:
            code = f"`{code}`"
        what = f"Fly has no region {code}, as of {known.as_of}"
        yield _warning(draft, at, "unknown-region", what, hint)


def _moving_image(section: Section) -> Iterator[Diagnostic]:
    draft, at, image = section.draft, section.at("image"), _known_text(section, "image")
    if normalise_image(image) is None or "@" in image or ":" in image.rpartition("/")[2]:
        return
    what = (
        f"`image` is {draft.shown(at)}, without tag or digest: it runs whatever `latest` is by then"
    )
    hint = "add a fixed tag, such as a version, or a digest (@sha256:...)"
    yield _warning(draft, at, "image-without-tag", what, hint)


def _fifo_launches(section: Section, route: Route) -> Iterator[Diagnostic]:
    """Warn where a FIFO queue's order holds only until its Machines are launched."""
    draft = section.draft
    for name in route.queues if route.profile.acknowledge == "launch" else ():
        queue = draft.section("queues", name).value
        if str(queue.get("url") or queue.get("name") or "").endswith(".fifo"):
            what = f"queue `{name}` is a FIFO queue, and {draft.describe(section.path)} only"
            what += " launches in order: with `acknowledge: launch`, Machines run concurrently"
            hint = "write `acknowledge: success` in its profile"
            yield _warning(draft, section.at("queue"), "fifo-launch", what, hint)


def _open_registries(overrides: Section) -> Iterator[Diagnostic]:
    """Warn about globs in the host: anybody can register a host that matches."""
    draft = overrides.draft
    for at, glob in _texts(overrides, "image"):
        if "*" in glob.partition("/")[0] and why_it_never_matches(glob) is None:
            whose = "any registry" if glob == ANY_IMAGE else "every registry that matches its `*`"
            what = f"{draft.quoted(at)} lets senders run images of {whose}"
            hint = "write registry and repository in full, like registry.fly.io/acme-jobs:*"
            yield _warning(draft, at, "any-registry", what, hint)


def _needless(overrides: Section) -> Iterator[Diagnostic]:
    """Warn about entries that another entry of their list covers."""
    draft, sizes = overrides.draft, _texts(overrides, "size")
    # A glob that never matches has been reported already.
    images = [(at, it) for at, it in _texts(overrides, "image") if why_it_never_matches(it) is None]
    for entries in (images, sizes):
        yield from _covered(draft, entries, image_matches, draft.quoted)
    commands = overrides.value.get("command")
    prefixes = commands if isinstance(commands, list) else []
    known = [(overrides.at("command", n), p) for n, p in enumerate(prefixes) if p is not None]
    yield from _covered(draft, known, _begins, draft.describe)


def _covered(
    draft: Draft,
    entries: Sequence[tuple[Path, T]],
    covers: Callable[[T, T], bool],
    named: Callable[[Path], str],
) -> Iterator[Diagnostic]:
    """Yield a warning for entries that are listed twice, or covered by a wider one."""
    for number, (at, entry) in enumerate(entries):
        for other, (wider_at, wider) in enumerate(entries):
            twice = entry == wider
            if other == number or (twice and number < other) or not covers(wider, entry):
                continue
            what = f"allows nothing that {named(wider_at)} does not"
            what = f"{named(at)} {'is listed twice' if twice else what}"
            yield _warning(draft, at, "no-effect", what, "remove it")
            break


def _begins(beginning: list[str], command: list[str]) -> bool:
    return command[: len(beginning)] == beginning


def _without_choice(overrides: Section, route: Route, layer: Layer) -> Iterator[Diagnostic]:
    """Warn about lists that allow only what the profile has anyway."""
    draft, profile = overrides.draft, route.profile
    images, sizes = _texts(overrides, "image"), _texts(overrides, "size")
    image = layer.get("image")
    only = normalise_image(image.value) if image is not None and image.value else None
    if images and only is not None and all(glob == only for _, glob in images):
        what = "the only image that senders may name is the profile's own"
        hint = "remove it, or allow others, like registry.fly.io/acme-jobs:*"
        yield _warning(draft, overrides.at("image"), "no-effect", what, hint)
    guests = [SIZES[size].guest if size in SIZES else None for _, size in sizes]
    if guests and not layer["partial"] and all(guest == profile.guest for guest in guests):
        what = "the only size that senders may name is the profile's own"
        yield _warning(draft, overrides.at("size"), "no-effect", what, "remove it, or allow others")


def _volumes_of_one_app(
    draft: Draft, routes: Sequence[Route], layers: Sequence[Layer]
) -> Iterator[Diagnostic]:
    """Warn about volumes in several apps: only Machines of the volume's app can mount it."""
    seen: set[Path] = set()
    for route, layer in zip(routes, layers, strict=True):
        written, apps = layer.get("app"), route.profile.apps
        if written is None or len(apps) == 1 or written.path in seen:
            continue
        mounts = json.loads(route.profile.machine).get("mounts")
        # Mounts of the wrong shape are null here, and have been reported.
        if any("volume" in mount for mount in mounts or () if mount is not None):
            seen.add(written.path)
            what = f"`app` names {len(apps)} apps, and a volume belongs to one"
            hint = "name only the app of the volume, or mount none in this profile"
            yield _warning(draft, written.path, "volume-of-one-app", what, hint)


def _batches_that_never_fill(
    draft: Draft, routes: Sequence[Route], layers: Sequence[Layer]
) -> Iterator[Diagnostic]:
    """Warn where the create request is full before a batch reaches `batch_bytes`."""
    seen: set[Path] = set()
    for route, layer in zip(routes, layers, strict=True):
        written, profile = layer.get("batch_bytes"), route.profile
        if written is None or written.value is None or written.path in seen or layer["partial"]:
            continue
        size = len(profile.machine) + len(str(profile.env)) + len(str(profile.command))
        # A character takes at most six bytes of JSON; three bytes of events take four of base64.
        if 6 * size + written.value * 4 // 3 + _OVERHEAD < REQUEST_LIMIT or not route.queues:
            continue
        seen.add(written.path)
        room = room_for_entries(BatchKey(max(route.queues, key=len), route, profile)) * 3 // 4
        if 1024 <= room < written.value:  # noqa: PLR2004 - with less it is an error, reported elsewhere
            what = (
                f"`batch_bytes` is {draft.shown(written.path)}, and a batch never gets that large"
            )
            hint = (
                f"next to the profile's `env`, `command` and `machine`, Fly's create request "
                f"has room for {size_text(room // 1024 * 1024)} of events"
            )
            yield _warning(draft, written.path, "batch-bytes-never-fill", what, hint)


def _unused(draft: Draft, routes: Sequence[Route]) -> Iterator[Diagnostic]:
    """Warn about what no route uses, unless a reference with an error may use it."""
    open_reference = any(_REFERENCES.intersection(path[-2:]) for path in draft.unresolved)
    wrong = any(problem.severity == "error" for problem in draft.problems)
    if open_reference or wrong or not draft.complete or draft.has_gaps:
        return
    read = {name for route in routes for name in route.queues}
    written_to = _reached(draft, "queues", "reject_to", read)
    for name in draft.names("queues"):
        if name not in written_to:
            what = f"no route reads queue `{name}`, and no queue that is read rejects to it"
            yield _unused_entry(draft, ("queues", name), "unused-queue", what)
    profiles = [section.value.get("profile") for section in draft.routes()]
    named = [p.get("extends") if isinstance(p, dict) else p for p in profiles]
    used = _reached(draft, "profiles", "extends", {n for n in named if isinstance(n, str)})
    for name in draft.names("profiles"):
        if name not in used:
            yield _unused_entry(
                draft, ("profiles", name), "unused-profile", f"no route uses profile `{name}`"
            )


def _reached(
    draft: Draft, section: Literal["queues", "profiles"], key: str, start: set[str]
) -> set[str]:
    """Return these entries, and all that they refer to by `key`."""
    reached, fresh = set[str](), start
    while fresh:
        reached |= fresh
        targets = {draft.section(section, name).value.get(key) for name in fresh}
        fresh = {name for name in targets if isinstance(name, str)} - reached
    return reached


def _unused_entry(draft: Draft, path: Path, code: str, what: str) -> Diagnostic:
    hint = "remove it, or name it in a route"
    return draft.diagnostic(path, code, what, "key", "warning", hint)


def _warning(draft: Draft, path: Path, code: str, what: str, hint: str) -> Diagnostic:
    return draft.diagnostic(path, code, what, severity="warning", hint=hint)


def _known_text(section: Section, key: str) -> str:
    """Return the text at `key`; empty if there is none, or it is unknown."""
    text = section.text(key)
    return "" if text is None or text.value is None else text.value


def _texts(section: Section, key: str) -> list[tuple[Path, str]]:
    """Return the known texts of the list at `key`."""
    value, known = section.value.get(key), section.draft.is_known
    entries = enumerate(value) if isinstance(value, list) else ()
    found = [(section.at(key, index), text) for index, text in entries if isinstance(text, str)]
    return [(path, text) for path, text in found if known(path)]
