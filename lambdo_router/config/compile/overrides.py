"""From the `overrides` of a route to what its senders may choose."""

from dataclasses import replace
from typing import Literal

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Section
from lambdo_router.core.profile import ANY_IMAGE, SIZES, Overrides


def read_overrides(section: Section) -> Overrides:
    """Return the route's overrides."""
    draft, overrides = section.draft, section.section("overrides")
    if not overrides.value:
        return Overrides()
    images, sizes = _texts(overrides, "image"), _texts(overrides, "size")
    for path, glob in images:
        if draft.is_known(path) and (hint := why_it_never_matches(glob)) is not None:
            if draft.holds_variable(path):  # whose value is not to be printed
                hint = "references are matched in full, like docker.io/library/nginx:latest"
            what = f"no image reference matches {draft.quoted(path)}"
            draft.problem(path, "never-matches", what, hint=hint)
    for path, size in sizes:
        if draft.is_known(path) and size not in SIZES:
            what = f"Fly has no size {draft.quoted(path)}"
            draft.problem(path, "unknown-size", what, hint=closest(size, SIZES))
    command = _command(draft, overrides)
    plain = Overrides(
        image=tuple(glob for _, glob in images),
        size=tuple(size for _, size in sizes),
        command=command,
    )
    if command is not True:
        prefixes = draft.masked(overrides.at("command"), list(map(list, command)))
        command = tuple(map(tuple, prefixes))
    masked = Overrides(
        image=tuple(draft.masked(path, glob) for path, glob in images),
        size=tuple(draft.masked(path, size) for path, size in sizes),
        command=command,
    )
    return plain if masked == plain else replace(plain, masked=masked)


def _texts(overrides: Section, key: str) -> list[tuple[Path, str]]:
    value = overrides.get(key)
    entries = enumerate(value) if isinstance(value, list) else ()
    return [(overrides.at(key, index), text) for index, text in entries if isinstance(text, str)]


def _command(draft: Draft, overrides: Section) -> Literal[True] | tuple[tuple[str, ...], ...]:
    value = overrides.get("command")
    if value is True:
        return True
    prefixes: list[tuple[str, ...]] = []
    for index, prefix in enumerate(value if isinstance(value, list) else ()):
        if isinstance(prefix, list) and all(isinstance(argument, str) for argument in prefix):
            if prefix[0] == "":
                what = "the program is empty, so no command begins with it"
                draft.problem(overrides.at("command", index, 0), "empty", what, hint="name it")
            prefixes.append(tuple(prefix))
    return tuple(prefixes)


def why_it_never_matches(glob: str) -> str | None:
    """
    Return what to write instead of a glob that no full reference can match; None if one can.

    Matched references have a registry and a tag: `nginx` is `docker.io/library/nginx:latest`.
    """
    if glob == ANY_IMAGE:
        return None
    host, slash, _ = glob.partition("/")
    is_host = "." in host or ":" in host or host == "localhost"
    if not slash and "*" in host and is_host:
        return f"a `*` before the first `/` is part of the registry; write {host.rstrip('*')}/*"
    if not slash:
        return f"references are matched in full; write docker.io/library/{_tagged(glob)}"
    if not is_host and "*" not in host:
        return f"references are matched with their registry; write docker.io/{_tagged(glob)}"
    if "*" not in glob and _tagged(glob) != glob:
        return f"references are matched with their tag or digest; write {_tagged(glob)}"
    return None


def _tagged(glob: str) -> str:
    """Return the glob with any tag allowed, if it has none."""
    return glob if "*" in glob or ":" in glob.rpartition("/")[2] or "@" in glob else f"{glob}:*"
