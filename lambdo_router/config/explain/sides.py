"""One of the two sides that a comparison has: a loaded routes file, with what only it knows."""

from lambdo_router.config.explain.compare import Side
from lambdo_router.config.explain.resolved import Values, profile_values, unresolved
from lambdo_router.config.load import LoadedRoutes
from lambdo_router.core.profile import Profile
from lambdo_router.core.routing import Route


def side_of(loaded: LoadedRoutes) -> Side:
    """The table, with what only its file knows."""
    places = loaded.places
    depends_on_unset = any(warning.code == "missing-variable" for warning in loaded.warnings)

    def profile_name(route: Route) -> str | None:
        name = places.entry(route.name).get("profile")
        return name if isinstance(name, str) else None

    def with_the_unset(route: Route, profile: Profile) -> Values:
        # What stands for a variable that is not set is not its value: what is written is compared.
        unset = unresolved(places.origins(route.name)) if depends_on_unset else {}
        return profile_values(profile) | unset

    return Side(
        loaded.table.queues,
        loaded.table.routes,
        profile_name=profile_name,
        values=lambda route: with_the_unset(route, route.profile),
        shown=lambda route: with_the_unset(route, route.profile.told),
        schema=lambda route: str(places.written(route.name, "schema")),
    )
