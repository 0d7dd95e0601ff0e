"""
Fly's regions, and what a region expression such as `iad,us,any` means.

An expression is a list, tried in order, of codes and of aliases for groups. One code alone means
only that region. (Fly's documentation: reference/regions and machine-placement, August 2026.)
"""

from collections.abc import Iterator, Mapping

from lambdo_router.local.machines_server.refusals import Refusal

_US = ("dfw", "ewr", "iad", "lax", "ord", "sjc")
_EUROPE = ("ams", "arn", "cdg", "fra", "lhr")
_ASIA_PACIFIC = ("bom", "nrt", "sin", "syd")
REGIONS = tuple(sorted((*_US, *_EUROPE, *_ASIA_PACIFIC, "gru", "jnb", "yyz")))

# Fly names the groups but not their members: these follow from where the regions are.
ALIASES: Mapping[str, tuple[str, ...]] = {
    "any": REGIONS,
    "us": _US,
    "usa": _US,
    "na": (*_US, "yyz"),
    "eu": _EUROPE,
    "apac": _ASIA_PACIFIC,
    "sa": ("gru",),
}


def candidates(expression: str, home: str) -> tuple[str, ...]:
    """
    The regions to try, in order, each once. Refusal for what is no region.

    Within an alias `home`, where the server stands, is first; an empty expression means `home`.
    """
    return tuple(dict.fromkeys(_expanded(expression or home, home)))


def _expanded(expression: str, home: str) -> Iterator[str]:
    for item in expression.split(","):
        word = item.strip().lower()
        if word in REGIONS:
            yield word
        elif word in ALIASES:
            yield from sorted(ALIASES[word], key=lambda code: code != home)
        else:
            raise Refusal(400, f"invalid_argument: unknown region {item.strip()!r}")
