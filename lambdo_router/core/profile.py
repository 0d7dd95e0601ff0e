"""
Profiles: what becomes a Machine, and how much of it a sender may choose.

A profile is complete when it gets here: `extends` and `defaults` are resolved, sizes are expanded
into CPUs and memory. By default a sender controls nothing but the event; `Overrides` lists, per
attribute (`image`, `size`, `command`), the values that may come from the message.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from lambdo_router.core.message import Attribute
from lambdo_router.core.strict_json import parse_json


@dataclass(frozen=True, slots=True)
class Guest:
    """CPUs and memory of a Machine, as the Machines API spells them."""

    cpu_kind: Literal["shared", "performance"]
    cpus: int
    memory_mb: int


@dataclass(frozen=True, slots=True)
class Preset:
    """A size of Fly's table: its guest, and the memory (MB) it may be given instead."""

    guest: Guest
    min_memory_mb: int
    max_memory_mb: int
    memory_step_mb: int


def _presets() -> dict[str, Preset]:
    # Fly's table follows a rule: shared CPUs bring 256 MB each and take up to 2 GB, performance
    # CPUs bring 2 GB each and take up to 8 GB. Other counts are refused (400 config.guest.cpus).
    kinds: tuple[tuple[Literal["shared", "performance"], tuple[int, ...], int, int, int], ...] = (
        ("shared", (1, 2, 4, 6, 8), 256, 2048, 256),
        ("performance", (1, 2, 4, 6, 8, 10, 12, 14, 16), 2048, 8192, 1024),
    )
    return {
        f"{kind if kind == 'performance' else 'shared-cpu'}-{cpus}x": Preset(
            Guest(kind, cpus, least * cpus), least * cpus, most * cpus, step
        )
        for kind, counts, least, most, step in kinds
        for cpus in counts
    }


SIZES: Mapping[str, Preset] = _presets()

_SHORTEST_SECRET = 4
"""Characters."""

DEFAULT_SIZE = "shared-cpu-1x"
"""Fly's own default; the original Lambdo's was performance-2x."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the routes file says about a Machine. Frozen, since it is part of the batch key."""

    name: str
    app: str
    """The Fly app that the Machine is created in; empty only in a file checked without one."""
    image: str
    """Image reference; empty if every sender has to name one (overrides.image)."""
    size: str
    """The size as written, for people."""
    guest: Guest
    region: str | None = None
    """A region expression such as `iad,us,any`; None lets Fly choose."""
    command: tuple[str, ...] | None = None
    """argv for config.init.cmd; None runs the image's CMD."""
    env: tuple[tuple[str, str], ...] = ()
    batch_size: int = 10
    batch_window: float = 0.0
    """Seconds a batch stays open at least; 0 launches as soon as a launch slot is free."""
    batch_bytes: int = 512 * 1024
    """Bytes of events per batch, as written to /tmp/events.json."""
    acknowledge: Literal["success", "launch"] = "launch"
    """When a message is done: its Machine has exited with 0, or Fly has accepted it."""
    timeout: float = 900.0
    """Seconds after which the Machine is destroyed."""
    max_machines: int | None = None
    """How many of this profile may run at once; None: any number."""
    max_attempts: int | None = None
    """Receives after which a message that cannot be launched is rejected; None: never."""
    machine: str = "{}"
    """JSON object merged into Fly's machine config. Text, so that a profile stays hashable."""
    more_apps: tuple[str, ...] = ()
    """More apps that its Machines may be created in; each accepts a create a second."""
    masked: "Profile | None" = field(default=None, compare=False, repr=False)
    """The same with variables as written; None if it has none that may be secrets."""

    @property
    def secrets(self) -> tuple[tuple[str, str], ...]:
        """
        Texts that contain variables, each with what is shown instead, the longest first.

        Texts of three characters or less are left out: they are parts of any word, not secrets.
        """
        if self.masked is None:
            return ()
        texts = zip(_texts_of(self), _texts_of(self.masked), strict=True)
        differing = {it for it in texts if it[0] != it[1] and len(it[0]) >= _SHORTEST_SECRET}
        return tuple(sorted(differing, key=lambda it: (-len(it[0]), it)))

    @property
    def apps(self) -> tuple[str, ...]:
        """Every app that its Machines may be in."""
        return (self.app, *self.more_apps)

    def within(self, app: str) -> "Profile":
        """Return the same profile in one of its apps, followed by the others."""
        if app == self.app:
            return self
        others = tuple(other for other in self.apps if other != app)
        masked = self.masked and self.masked.within(app)
        return replace(self, app=app, more_apps=others, masked=masked)

    @property
    def public(self) -> "Profile":
        """The profile as it may be shown to people."""
        return self.masked or self


def _texts_of(profile: Profile) -> Iterator[str]:
    """Yield the texts of a profile that may hold variables which are secrets."""
    yield profile.image
    yield from profile.command or ()
    yield from (text for _, text in profile.env)
    yield from _leaves(json.loads(profile.machine))


def _leaves(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _leaves(inner)


class OverrideDenied(ValueError):
    """A sender asked for something that the route's `overrides` do not allow."""


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a sender may set by attribute. The default allows nothing."""

    image: tuple[str, ...] = ()
    """Globs for the whole normalised image reference; what `*` stands for: `image_matches`."""
    size: tuple[str, ...] = ()
    """Names of Fly's size table."""
    command: Literal[True] | tuple[tuple[str, ...], ...] = ()
    """True allows any argv; otherwise the allowed beginnings of one."""
    masked: "Overrides | None" = field(default=None, compare=False, repr=False)
    """As `Profile.masked`."""

    @property
    def public(self) -> "Overrides":
        """The overrides as they may be shown to anybody, including the sender."""
        return self.masked or self

    def apply(self, profile: Profile, attributes: Mapping[str, Attribute]) -> Profile:
        """
        Return the profile with the sender's overrides.

        An attribute that the route lists no override for is not looked at. Raises OverrideDenied,
        with what is allowed, for a wish that is not allowed, is empty or does not parse, and for a
        message without an image where the profile has none either.
        """
        changes: dict[str, object] = {}
        if self.image and "image" in attributes:
            changes["image"] = self._image(_text("image", attributes["image"]))
        if self.size and "size" in attributes:
            name = self._size(_text("size", attributes["size"]))
            changes |= {"size": name, "guest": SIZES[name].guest}
        if self.command and "command" in attributes:
            changes["command"] = self._command(_text("command", attributes["command"]))
        if not profile.image and "image" not in changes:
            raise OverrideDenied(
                "the message has no attribute `image`, and the route's profile sets no image; "
                f"allowed are: {', '.join(self.public.image)}"
            )
        if changes and profile.masked is not None:
            changes["masked"] = replace(profile.masked, **changes)  # type: ignore[arg-type]
        return replace(profile, **changes) if changes else profile  # type: ignore[arg-type]

    def _image(self, wish: str) -> str:
        reference = normalise_image(wish)
        if reference is None:
            raise OverrideDenied(
                f"attribute `image` is {_shown(wish)}, which is no image reference; "
                "write one like registry.fly.io/app:tag"
            )
        if not any(image_matches(glob, reference) for glob in self.image):
            raise OverrideDenied(
                f"attribute `image` is {_shown(wish)}; allowed are: {', '.join(self.public.image)}"
            )
        return wish

    def _size(self, wish: str) -> str:
        if wish not in self.size or wish not in SIZES:
            raise OverrideDenied(
                f"attribute `size` is {_shown(wish)}; allowed are: {', '.join(self.public.size)}"
            )
        return wish

    def _command(self, wish: str) -> tuple[str, ...]:
        argv, problem = None, ""
        try:
            argv = parse_json(wish)
        except ValueError as refused:
            problem = f" ({refused})"
        if not isinstance(argv, list) or not argv or not all(isinstance(a, str) for a in argv):
            raise OverrideDenied(
                f"attribute `command` is {_shown(wish)}; it must be a JSON array of strings, "
                f'like ["node", "index.js"]{problem}'
            )
        command = tuple(argv)
        if not command[0] or any("\0" in argument for argument in command):
            raise OverrideDenied(
                f"attribute `command` is {_shown(wish)}; the program is empty or holds a NUL"
            )
        told = self.public.command
        if (
            self.command is not True
            and told is not True
            and not any(command[: len(prefix)] == prefix for prefix in self.command)
        ):
            allowed = "; ".join(json.dumps(list(prefix)) for prefix in told)
            raise OverrideDenied(
                f"attribute `command` is {_shown(wish)}; it must begin with one of: {allowed}"
            )
        return command


_REFERENCE = re.compile(
    r"(?:(?P<host>[a-zA-Z0-9](?:[a-zA-Z0-9.-]*[a-zA-Z0-9])?(?::[0-9]{1,5})?)/)?"
    r"(?P<path>[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
    r"(?:/[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*)*)"
    r"(?P<tag>:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)
_LONGEST_REFERENCE = 512


def normalise_image(reference: str) -> str | None:
    """
    Return the full reference; None if it is not a reference.

    `nginx` -> `docker.io/library/nginx:latest`; `acme/x:1` -> `docker.io/acme/x:1`. The first part
    is a registry if it has a period or a colon or is `localhost`, as Docker reads it.
    """
    if len(reference) > _LONGEST_REFERENCE:
        return None
    found = _REFERENCE.fullmatch(reference)
    if found is None:
        return None
    host, path = found["host"], found["path"]
    if host is not None and not ("." in host or ":" in host or host == "localhost"):
        if host != host.lower():
            return None
        host, path = None, f"{host}/{path}"
    if host is None:
        first, _, rest = path.partition("/")
        if rest and ("." in first or first == "localhost"):
            host, path = first, rest
    host = host or "docker.io"
    if host == "docker.io" and "/" not in path:
        path = f"library/{path}"
    tag, digest = found["tag"] or "", found["digest"] or ""
    if not tag and not digest:
        tag = ":latest"
    return f"{host}/{path}{tag}{digest}"


ANY_IMAGE = "*"
"""The glob that every reference matches."""


def image_matches(glob: str, reference: str) -> bool:
    """
    Return whether a glob of `overrides.image` matches this normalised reference.

    A `*` stands for any text within the host, which goes to the first `/`, within repository and
    tag, or within the digest, and never leads from one of these to another: who names a host gets
    no other, and who says nothing of a digest gets none. `*` alone is every reference.
    """
    if glob == ANY_IMAGE:
        return True
    return all(map(_glob_matches, _glob_parts(glob), _glob_parts(reference)))


def _glob_parts(reference: str) -> tuple[str, str, str]:
    """Return host, repository with tag, and digest, each with the separator before it."""
    name, at, digest = reference.partition("@")
    host, slash, repository = name.partition("/")
    return host, slash + repository, at + digest


def _glob_matches(glob: str, text: str) -> bool:
    """
    Return whether the glob, in which `*` stands for any run of characters, matches the text.

    Linear: the parts between the stars are found one after the other, never tried again.
    """
    first, *rest = glob.split("*")
    if not rest:
        return text == glob
    if not text.startswith(first):
        return False
    at = len(first)
    *middle, last = rest
    for part in middle:
        found = text.find(part, at)
        if found < 0:
            return False
        at = found + len(part)
    return len(text) - len(last) >= at and text.endswith(last)


def _text(name: str, attribute: Attribute) -> str:
    if isinstance(attribute.value, bytes):
        raise OverrideDenied(f"attribute `{name}` is Binary; it must be a String")
    return attribute.value


def _shown(value: str) -> str:
    """Return a sender's text quoted, escaped and shortened, safe for a log line."""
    return json.dumps(value if len(value) <= 100 else value[:100] + "...")  # noqa: PLR2004
