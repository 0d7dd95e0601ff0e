"""
Check the apps, regions, images and token of a routes file against what Fly reports.

Pure: the facts are an argument. Each finding is at the place of the value that a route's profile
ends up with. Fly checks two things only when a Machine is created, so they are not covered here:
sizes, which are checked against this version's table, and images, of which only a missing app can
be reported.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from lambdo_router.adapters.fly.inspection import FlyFacts, RegionFacts, TokenFacts
from lambdo_router.config.diagnostics import Diagnostic, Severity, closest
from lambdo_router.config.lint.profiles import known_regions
from lambdo_router.config.read.places import Places
from lambdo_router.core.errors import LaunchError, LaunchRejected
from lambdo_router.core.profile import normalise_image
from lambdo_router.core.routing import Route

_REGISTRY: Final = "registry.fly.io/"


@dataclass(frozen=True, slots=True)
class FlyAnswers:
    """The answers."""

    apps: Mapping[str, LaunchError | str | None]
    """By app: None if the token may launch there, a note if that is unknown, or why not."""
    missing: frozenset[str] = frozenset()
    """Apps of images that do not exist."""
    facts: FlyFacts | None = None
    """None without an answer, or if nothing was asked."""


def app_of_image(image: str) -> str:
    """Return the app whose repository in Fly's registry has the image; empty for other images."""
    reference = normalise_image(image) or ""
    if not reference.startswith(_REGISTRY):
        return ""
    return reference.removeprefix(_REGISTRY).partition("/")[0].partition(":")[0].partition("@")[0]


def fly_findings(
    places: Places, routes: tuple[Route, ...], answers: FlyAnswers
) -> Iterator[Diagnostic]:
    """Return what is wrong or unknown; for a value that routes share, once."""
    told: set[Diagnostic] = set()
    for route in routes:
        for finding in _of_route(_Spot(places, route), answers):
            if finding not in told:
                told.add(finding)
                yield finding


@dataclass(frozen=True, slots=True)
class _Spot:
    """A route, for findings about its profile."""

    places: Places
    route: Route

    def finding(
        self,
        key: str,
        code: str,
        message: str,
        hint: str = "",
        severity: Severity = "error",
        *,
        item: int | None = None,
    ) -> Diagnostic:
        """Return the place of the key's value, or of an item of it, if it is a list."""
        origin = self.places.origins(self.route.name).get(key)
        place = self.places.place_of(self.route.name, "profile") if origin is None else origin.place
        if origin is not None and item is not None and item < len(origin.items):
            place = origin.items[item]
        return Diagnostic(
            *(place.file, place.line, place.column, code, message, severity, place.end_column),
            hint=hint,
        )

    def shown(self, key: str, value: str) -> str:
        """Return the value, or the text as written if a variable is in it."""
        origin = self.places.origins(self.route.name).get(key)
        written = str(origin.written) if origin is not None else ""
        return f"of `{written}`" if "${" in written else value


def _of_route(spot: _Spot, answers: FlyAnswers) -> Iterator[Diagnostic]:
    profile = spot.route.profile
    token = answers.facts.token if answers.facts else None
    for index, app in enumerate(profile.apps):
        if app in answers.apps:
            yield from _app(spot, index, answers.apps[app], token)
    image_app = app_of_image(profile.image)
    if image_app in answers.missing and image_app:
        yield spot.finding(
            "image",
            "image-app-not-found",
            f"there is no app {spot.shown('image', image_app)} on Fly, so there is no such image",
            "fix the name, or push the image to an app that exists",
        )
    regions = answers.facts.regions if answers.facts else None
    if regions is not None and profile.region:
        yield from _regions(spot, profile.region, regions)


def _app(
    spot: _Spot, index: int, outcome: LaunchError | str | None, token: TokenFacts | None
) -> Iterator[Diagnostic]:
    """Return what is wrong with the profile's app of this index."""
    what = str(outcome)
    match outcome:
        case LaunchRejected(code="app_not_found"):
            yield spot.finding("app", "fly-app-not-found", what, item=index)
        case LaunchRejected():
            yield spot.finding("app", "fly-token-refused", what, _whose(outcome, token), item=index)
        case LaunchError():
            hint = "what depends on it was not checked; try again"
            yield spot.finding("app", "service-unreachable", what, hint, item=index)
        case str():
            hint = "what depends on it was not checked"
            yield spot.finding("app", "fly-not-checked", what, hint, "warning", item=index)
        case None if token is not None and token.machine:
            what = f"the Fly token is restricted to the Machine {token.machine}"
            what += ", and cannot create any"
            hint = f"make one with: fly tokens create deploy -a {spot.route.profile.apps[index]}"
            yield spot.finding("app", "fly-token-refused", what, hint, item=index)


def _whose(error: LaunchError, token: TokenFacts | None) -> str:
    """Name the apps that the token is for, if it is not for this one."""
    if error.code != "forbidden" or token is None or not token.apps:
        return ""
    return f"this one is for {', '.join(sorted(token.apps))}"


def _regions(spot: _Spot, expression: str, regions: RegionFacts) -> Iterator[Diagnostic]:
    codes = [code for word in expression.split(",") if (code := word.strip())]
    single = [code for code in codes if len(code) == 3 and not _is_group(code)]  # noqa: PLR2004 - all codes are
    unknown = [code for code in single if code not in regions.open | regions.deprecated]
    if unknown:
        nothing_left = len(unknown) == len(codes)
        what = f"Fly has no region {spot.shown('region', ', '.join(unknown))}, says Fly itself"
        what += ", so no Machine can be created" if nothing_left else ""
        severity: Severity = "error" if nothing_left else "warning"
        hint = closest(spot.shown("region", unknown[0]), regions.open)
        yield spot.finding("region", "fly-region-unknown", what, hint, severity)
    closing = [code for code in single if code in regions.deprecated]
    if closing:
        what = f"Fly is about to close the region {spot.shown('region', ', '.join(closing))}"
        hint = f"others are: {', '.join(sorted(regions.open))}"
        yield spot.finding("region", "fly-region-closing", what, hint, "warning")


def _is_group(code: str) -> bool:
    """Return whether the word stands for several regions, as `any` and `usa` do."""
    return code in known_regions().groups
