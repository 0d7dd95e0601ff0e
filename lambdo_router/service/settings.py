"""
The environment, read once and frozen.

What can be reloaded is in the routes file; settings (token, endpoints, log format) are not. The
variables of the original Lambdo (fly-apps/lambdo) keep their names and meaning.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields
from typing import Literal, TypeVar

from lambdo_router.core.errors import SettingsError
from lambdo_router.engine.router import Limits

_T = TypeVar("_T")
_SHORTEST_TOKEN = 16


class Secret:
    """A value that a repr, a log or a traceback does not show."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def __repr__(self) -> str:
        return "***"


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings from the environment."""

    fly_token: Secret | None
    """LAMBDO_FLY_TOKEN, else FLY_API_TOKEN."""
    fly_app: str
    """LAMBDO_FLY_APP, else FLY_APP_NAME: the app of profiles that name none; may be empty."""
    fly_region: str | None
    """LAMBDO_FLY_REGION, else FLY_REGION: the region of profiles that name none."""
    fly_api: str
    """FLY_FLAPS_BASE_URL, else FLY_API_HOSTNAME, else Fly's public API."""
    queue_url: str | None
    """LAMBDO_SQS_QUEUE_URL: the queue of the original contract, where there is no routes file."""
    long_poll_seconds: int
    """LAMBDO_SQS_LONG_POLL_SECONDS: 0 to 20, default 20."""
    events_per_machine: int
    """LAMBDO_EVENTS_PER_MACHINE: batch size of the original contract, 1 to 1000, default 5."""
    log_format: Literal["text", "json"]
    """LAMBDO_LOG_FORMAT; by default text where LAMBDO_ENV is unset or `local`, else json."""
    log_level: Literal["debug", "info", "warning", "error"]
    """LAMBDO_LOG_LEVEL, default info."""
    limits: Limits
    """LAMBDO_LAUNCH_RATE, LAMBDO_LAUNCH_BURST, LAMBDO_MAX_MACHINES and LAMBDO_GRACE."""
    routes_cache: str
    """LAMBDO_ROUTES_CACHE: the folder for the last good copy of routes from elsewhere; empty: the
    user's cache folder."""
    routes_poll: float
    """LAMBDO_ROUTES_POLL: seconds between two checks of remote routes, default 30."""
    admin_host: str
    """LAMBDO_ADMIN_HOST, default `::`: the address that the router's own server listens on."""
    admin_port: int
    """LAMBDO_ADMIN_PORT, default 9091; 0: a free one, to which Machines cannot report."""
    admin_token: Secret | None
    """LAMBDO_ADMIN_TOKEN: required to change something through the router's own server."""
    admin_hosts: tuple[str, ...]
    """LAMBDO_ADMIN_HOSTS, and the app's name in fly.dev: the host names of that server."""
    prices: str | None
    """LAMBDO_PRICES: a file that overrides the price table, or none."""
    report_url: str | None
    """LAMBDO_REPORT_URL, else this Machine's address in Fly's private network, else none."""


def read_settings(environment: Mapping[str, str]) -> Settings:
    """Return the environment as settings. Raises SettingsError that names every bad variable."""
    reader = _Environment(environment)
    token = reader.text("LAMBDO_FLY_TOKEN", "FLY_API_TOKEN")
    port = reader.number("LAMBDO_ADMIN_PORT", int, 9091, 0, 65535)
    most = reader.number("LAMBDO_MAX_MACHINES", int, 0, 0, 1_000_000)
    local = reader.text("LAMBDO_ENV") in ("", "local")
    settings = Settings(
        fly_token=Secret(token) if token else None,
        fly_app=reader.text("LAMBDO_FLY_APP", "FLY_APP_NAME"),
        fly_region=reader.text("LAMBDO_FLY_REGION", "FLY_REGION") or None,
        fly_api=reader.text("FLY_FLAPS_BASE_URL", "FLY_API_HOSTNAME") or "https://api.machines.dev",
        queue_url=reader.text("LAMBDO_SQS_QUEUE_URL") or None,
        long_poll_seconds=reader.number("LAMBDO_SQS_LONG_POLL_SECONDS", int, 20, 0, 20),
        events_per_machine=reader.number("LAMBDO_EVENTS_PER_MACHINE", int, 5, 1, 1000),
        log_format=reader.choice("LAMBDO_LOG_FORMAT", "text" if local else "json", "text", "json"),  # type: ignore[arg-type]
        log_level=reader.choice(  # type: ignore[arg-type]
            "LAMBDO_LOG_LEVEL", "info", "debug", "info", "warning", "error"
        ),
        limits=Limits(
            launch_rate=reader.number("LAMBDO_LAUNCH_RATE", float, 1.0, 0.01, 1000.0),
            launch_burst=reader.number("LAMBDO_LAUNCH_BURST", int, 3, 1, 1000),
            machines_per_app=most or None,
            grace=reader.number("LAMBDO_GRACE", float, 25.0, 0.0, 300.0),
        ),
        routes_cache=reader.text("LAMBDO_ROUTES_CACHE"),
        routes_poll=reader.number("LAMBDO_ROUTES_POLL", float, 30.0, 1.0, 3600.0),
        admin_host=reader.text("LAMBDO_ADMIN_HOST") or "::",
        admin_port=port,
        admin_token=reader.secret("LAMBDO_ADMIN_TOKEN", _SHORTEST_TOKEN),
        admin_hosts=_admin_hosts(reader),
        prices=reader.text("LAMBDO_PRICES") or None,
        report_url=reader.text("LAMBDO_REPORT_URL").rstrip("/") or _own_address(reader, port),
    )
    if reader.problems:
        raise SettingsError("\n".join(reader.problems))
    return settings


def without_secrets(settings: Settings) -> dict[str, object]:
    """Return the settings as they may be shown; of a secret only that it is set."""
    told: dict[str, object] = {}
    for name in (field.name for field in fields(settings)):
        match getattr(settings, name):
            case Secret():
                told[name] = "set"
            case Limits() as limits:
                told |= asdict(limits)
            case str() as text:
                told[name] = _USER_OF_URL.sub("***@", text)
            case value:
                told[name] = value
    return told


_USER_OF_URL = re.compile(r"(?<=://)[^/?#]*@")


def _own_address(reader: "_Environment", port: int) -> str | None:
    """Return the name of this Machine in Fly's private network; None outside of Fly."""
    machine, app = reader.text("FLY_MACHINE_ID"), reader.text("FLY_APP_NAME")
    return f"http://{machine}.vm.{app}.internal:{port}" if machine and app and port else None


def _admin_hosts(reader: "_Environment") -> tuple[str, ...]:
    app = reader.text("FLY_APP_NAME")
    listed = reader.text("LAMBDO_ADMIN_HOSTS").replace(",", " ").split()
    return (*listed, f"{app}.fly.dev") if app else tuple(listed)


class _Environment:
    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = environment
        self.problems: list[str] = []

    def text(self, *names: str) -> str:
        """Return the first of these variables that is set and not empty."""
        return next((v for n in names if (v := self._environment.get(n, "").strip())), "")

    def secret(self, name: str, shortest: int) -> Secret | None:
        """Return a token that others send in a header; it is never shown."""
        text = self.text(name)
        if text and (len(text) < shortest or not (text.isascii() and text.isprintable())):
            self.problems.append(
                f"{name} must have at least {shortest} characters, all of them ASCII; "
                "`openssl rand -hex 32` makes one"
            )
        return Secret(text) if text else None

    def number(
        self, name: str, parse: Callable[[str], _T], default: _T, least: float, most: float
    ) -> _T:
        text = self.text(name)
        if not text:
            return default
        try:
            value = parse(text)
        except ValueError:
            value = None
        if value is None or not least <= float(str(value)) <= most:
            kind = "a whole number" if parse is int else "a number"
            self.problems.append(f"{name} is {text!r}; it must be {kind} from {least} to {most}")
            return default
        return value

    def choice(self, name: str, default: str, *allowed: str) -> str:
        text = self.text(name).lower() or default
        if text not in allowed:
            self.problems.append(f"{name} is {text!r}; allowed are: {', '.join(allowed)}")
            return default
        return text
