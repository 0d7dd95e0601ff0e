"""
What a second of a Machine and a request to SQS cost: an estimate, from a table with a date.

The table is prices.json beside this file: list prices in US dollars, without free allowances,
discounts, traffic and taxes. `LAMBDO_PRICES` names a JSON file that is laid over it: what that file
does not say stays as it is here, so that a negotiated price is one line. Fly bills a Machine by the
second while it is started: so much for each CPU, which brings some memory, and for each further
gigabyte, times a factor of the region.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from importlib import resources
from pathlib import Path
from typing import Any, Final

from lambdo_router.core.errors import SettingsError
from lambdo_router.core.profile import Guest
from lambdo_router.core.strict_json import parse_json

_MEGABYTES = 1024


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table. Amounts are US dollars."""

    date: str
    """The day it is of, like `2026-10-09`."""
    vcpu_second: Mapping[str, float]
    """By kind of CPU: `shared`, `performance`."""
    included_gb_per_vcpu: Mapping[str, float]
    extra_gb_second: float
    region_factor: Mapping[str, float]
    """A region that is not named costs as much as the cheapest, 1."""
    sqs_request: Mapping[str, float]
    """By type of queue: `standard`, `fifo`."""

    def machine_second(self, guest: Guest, region: str) -> float:
        """Dollars for one second of such a Machine."""
        kind = guest.cpu_kind
        extra = guest.memory_mb / _MEGABYTES - guest.cpus * self.included_gb_per_vcpu[kind]
        per_second = guest.cpus * self.vcpu_second[kind] + max(0.0, extra) * self.extra_gb_second
        return per_second * self.region_factor.get(region, 1.0)


_NOTES: Final = frozenset({"sources", "currency"})
"""Keys for readers of the file."""


def read_prices(path: str | None = None) -> Prices:
    """
    Return the table of this version, overridden by the file at `path`.

    Raises SettingsError, with every problem, if the file cannot be read or is not a price table.
    """
    table = _object(resources.files("lambdo_router").joinpath("prices.json").read_text("utf-8"))
    if path is not None:
        try:
            own = _object(Path(path).read_text("utf-8"))
        except (OSError, ValueError) as problem:
            why = problem.strerror if isinstance(problem, OSError) else problem
            raise SettingsError(f"LAMBDO_PRICES: {path} cannot be read: {why}") from problem
        if problems := _problems(own, table):
            raise SettingsError("\n".join(f"LAMBDO_PRICES: {path}: {it}" for it in problems))
        for key, value in own.items():
            table[key] = {**table[key], **value} if isinstance(value, dict) else value
    return Prices(**{field.name: table[field.name] for field in fields(Prices)})


def _object(text: str) -> dict[str, Any]:
    value = parse_json(text)
    if not isinstance(value, dict):
        raise ValueError("it must hold a JSON object")  # noqa: TRY004 - as all that is wrong with it
    return value


def _problems(own: Mapping[str, object], table: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with a table that overrides another."""
    problems = []
    for key, value in own.items():
        if key in _NOTES:
            continue
        if key not in table:
            allowed = ", ".join(sorted(table))
            problems.append(f"`{key}` is not known; allowed are: {allowed}")
        elif key == "date":
            if not isinstance(value, str) or not value:
                problems.append("`date` must be a text, like 2026-10-09")
        elif isinstance(table[key], dict):
            problems += _problems_of_prices(key, value, table[key])
        elif not _is_price(value):
            problems.append(f"`{key}` must be a number of US dollars, 0 or more")
    if "date" not in own:
        problems.append("`date` is missing; write the day that these prices are of")
    return problems


def _problems_of_prices(key: str, value: object, known: Mapping[str, object]) -> Iterator[str]:
    if not isinstance(value, dict):
        yield f"`{key}` must be an object with some of: {', '.join(sorted(known))}"
        return
    for name, price in value.items():
        if name not in known and key != "region_factor":  # Fly opens regions now and then
            yield f"`{key}.{name}` is not known; allowed are: {', '.join(sorted(known))}"
        elif not _is_price(price):
            yield f"`{key}.{name}` must be a number, 0 or more"


def _is_price(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
