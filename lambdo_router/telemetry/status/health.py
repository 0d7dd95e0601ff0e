"""
Whether the router is ready, and what does not work.

Ready means: it runs, it has a routing table, SQS answers for every queue, and Fly takes the token.
A route that fails, or a routes file that was refused, is named and does not make it unready: the
other routes work. What may pass gets thirty seconds before it counts against the whole.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from lambdo_router.telemetry.status.status import (
    AppStatus,
    Check,
    Concern,
    Health,
    QueueStatus,
    Reload,
    RouterStatus,
    RouteStatus,
    Trouble,
)

_PATIENCE = 30.0
_NAMED = 10
"""Of many that fail alike."""


def health_of(
    router: RouterStatus,
    queues: Sequence[QueueStatus],
    routes: Iterable[RouteStatus],
    apps: Sequence[AppStatus],
    refused: Reload | None,
    sends: Mapping[str, Trouble],
    start_problems: Sequence[str],
    now: float,
) -> Health:
    """What these add up to; `sends` are reject queues that take nothing."""
    unread = [queue for queue in queues if _is_unread(queue, now)]
    unusable = [app for app in apps if _is_unusable(app, now)]
    checks = (
        Check("router", router.state == "running", _of_router(router, start_problems)),
        Check("routes", bool(router.generation), _of_routes(router, refused)),
        Check("queues", not unread, _of_queues(queues, unread)),
        Check("fly", not unusable, _of_apps(apps, unusable)),
    )
    concerns = [
        *_of_start(router, start_problems),
        *(_of_queue(queue, fatal=queue in unread) for queue in queues if _has_concern(queue)),
        *(_of_app(app, fatal=app in unusable) for app in apps if app.trouble is not None),
        *(_of_route(route) for route in routes if route.state == "failing"),
        *_of_sends(sends),
        *_of_reload(refused),
    ]
    concerns.sort(key=lambda concern: (not concern.fatal, concern.since))
    return Health(all(check.ok for check in checks), checks, tuple(concerns))


def _is_unread(queue: QueueStatus, now: float) -> bool:
    if queue.state == "opening":
        return True
    if queue.state != "failing" or queue.trouble is None:
        return False
    unheard = queue.last_poll is None
    return unheard or queue.trouble.refused or now - queue.trouble.since > _PATIENCE


def _has_concern(queue: QueueStatus) -> bool:
    return queue.trouble is not None


def _is_unusable(app: AppStatus, now: float) -> bool:
    if app.trouble is None:
        return False
    return app.token_refused or now - app.trouble.since > _PATIENCE


def _of_router(router: RouterStatus, start_problems: Sequence[str]) -> str:
    match router.state:
        case "starting" if start_problems:
            return f"cannot start: {start_problems[0]}"
        case "starting":
            return "starting: queues and apps are being reached"
        case state:
            return state


def _of_routes(router: RouterStatus, refused: Reload | None) -> str:
    if not router.generation:
        return "no routing table is in use yet"
    size = f"{_counted(router.routes, 'route')}, {_counted(router.queues, 'queue')}"
    text = f"generation {router.generation}: {size}"
    if refused is None:
        return text
    return f"{text}; what is on disk was refused ({_counted(len(refused.problems), 'problem')})"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _of_queues(queues: Sequence[QueueStatus], unread: Sequence[QueueStatus]) -> str:
    if not queues:
        return "none is read"
    if not unread:
        return f"all are read: {_names(queue.name for queue in queues)}"
    return "; ".join(f"{queue.name}: {_why_unread(queue)}" for queue in unread[:_NAMED])


def _why_unread(queue: QueueStatus) -> str:
    if queue.trouble is None:
        return "SQS has not been reached yet"
    return f"{queue.trouble.what}: {queue.trouble.error}"


def _of_apps(apps: Sequence[AppStatus], unusable: Sequence[AppStatus]) -> str:
    if not apps:
        return "no app is used"
    if not unusable:
        return f"nothing speaks against: {_names(app.name for app in apps)}"
    return "; ".join(
        f"{app.name}: {app.trouble.error}" for app in unusable[:_NAMED] if app.trouble is not None
    )


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more


def _of_start(router: RouterStatus, problems: Sequence[str]) -> Iterator[Concern]:
    if router.state == "starting":
        for problem in problems:
            yield Concern("router", "start", router.since, problem, fatal=True)


def _of_queue(queue: QueueStatus, *, fatal: bool) -> Concern:
    since = queue.since if queue.trouble is None else queue.trouble.since
    return Concern("queue", queue.name, since, _why_unread(queue), fatal=fatal)


def _of_app(app: AppStatus, *, fatal: bool) -> Concern:
    trouble = app.trouble
    if trouble is None:
        raise ValueError("an app without trouble is no concern")
    return Concern("app", app.name, trouble.since, f"{trouble.what}: {trouble.error}", fatal=fatal)


def _of_route(route: RouteStatus) -> Concern:
    trouble = route.trouble
    why = "" if trouble is None else f"{trouble.what}: {trouble.error}"
    return Concern("route", route.name, route.since, why, route.place)


def _of_sends(sends: Mapping[str, Trouble]) -> Iterator[Concern]:
    for name, trouble in sends.items():
        why = f"rejected messages cannot be sent to it: {trouble.error}"
        yield Concern("queue", name, trouble.since, why)


def _of_reload(refused: Reload | None) -> Iterator[Concern]:
    if refused is not None:
        more = len(refused.problems) - 1
        first = refused.problems[0] if refused.problems else "it cannot be read"
        why = f"{first} (and {more} more)" if more > 0 else first
        yield Concern("reload", refused.generation, refused.at, why)
