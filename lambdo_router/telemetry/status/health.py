"""
Whether the router is ready, and what does not work.

Ready means: it is running, it has a routing table, SQS answers for every queue, and Fly accepts the
token. A failing route and a refused routes file are named, but leave the router ready: the other
routes work. Transient errors are tolerated for thirty seconds.
"""

from collections.abc import Iterable, Mapping, Sequence

from lambdo_router.telemetry.status.document import (
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
"""How many queues or apps a check names."""


def health_of(
    router: RouterStatus,
    queues: Sequence[QueueStatus],
    routes: Iterable[RouteStatus],
    apps: Sequence[AppStatus],
    sends: Mapping[str, Trouble],
    start_problems: Sequence[str],
    refused: Reload | None,
    now: float,
) -> Health:
    """Return the checks and the concerns; `sends` are reject queues that cannot be sent to."""
    unread = [queue for queue in queues if _is_unread(queue, now)]
    unusable = [app for app in apps if _is_unusable(app, now)]
    checks = (
        Check("router", router.state == "running", _router_detail(router, start_problems)),
        Check("routes", bool(router.generation), _routes_detail(router, refused)),
        Check("queues", not unread, _queues_detail(queues, unread)),
        Check("fly", not unusable, _apps_detail(apps, unusable)),
    )
    concerns = [
        *(Concern("router", "start", router.since, it, fatal=True) for it in start_problems),
        *(
            Concern("queue", it.name, it.trouble.since, _why(it.trouble), fatal=it in unread)
            for it in queues
            if it.trouble is not None
        ),
        *(
            Concern("app", it.name, it.trouble.since, _why(it.trouble), fatal=it in unusable)
            for it in apps
            if it.trouble is not None
        ),
        *(
            Concern("route", it.name, it.since, _why(it.trouble), it.place)
            for it in routes
            if it.state == "failing"
        ),
        *(
            Concern("queue", name, it.since, f"rejected messages cannot be sent to it: {it.error}")
            for name, it in sends.items()
        ),
    ]
    if refused is not None:
        first = refused.problems[0] if refused.problems else "it cannot be read"
        more = len(refused.problems) - 1
        why = f"{first} (and {more} more)" if more > 0 else first
        concerns.append(Concern("reload", refused.generation, refused.at, why))
    concerns.sort(key=lambda concern: (not concern.fatal, concern.since))
    return Health(all(check.ok for check in checks), checks, tuple(concerns))


def _is_unread(queue: QueueStatus, now: float) -> bool:
    if queue.state != "failing" or queue.trouble is None:
        return queue.state == "opening"
    never_read = queue.last_poll is None
    return never_read or queue.trouble.refused or now - queue.trouble.since > _PATIENCE


def _is_unusable(app: AppStatus, now: float) -> bool:
    if app.trouble is None:
        return False
    return app.token_refused or now - app.trouble.since > _PATIENCE


def _why(trouble: Trouble | None) -> str:
    return "" if trouble is None else f"{trouble.what}: {trouble.error}"


def _router_detail(router: RouterStatus, start_problems: Sequence[str]) -> str:
    if router.state != "starting":
        return router.state
    if start_problems:
        return f"cannot start: {start_problems[0]}"
    return "starting: connecting to queues and apps"


def _routes_detail(router: RouterStatus, refused: Reload | None) -> str:
    if not router.generation:
        return "no routing table is in use yet"
    size = f"{_counted(router.routes, 'route')}, {_counted(router.queues, 'queue')}"
    text = f"generation {router.generation}: {size}"
    if refused is None:
        return text
    return f"{text}; the file on disk was refused ({_counted(len(refused.problems), 'problem')})"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _queues_detail(queues: Sequence[QueueStatus], unread: Sequence[QueueStatus]) -> str:
    if not queues:
        return "no queue is read"
    if not unread:
        return f"reading: {_names(queue.name for queue in queues)}"
    return "; ".join(
        f"{queue.name}: {_why(queue.trouble) or 'SQS has not been reached yet'}"
        for queue in unread[:_NAMED]
    )


def _apps_detail(apps: Sequence[AppStatus], unusable: Sequence[AppStatus]) -> str:
    if not apps:
        return "no app is used"
    if not unusable:
        return f"healthy: {_names(app.name for app in apps)}"
    return "; ".join(
        f"{app.name}: {app.trouble.error}" for app in unusable[:_NAMED] if app.trouble is not None
    )


def _names(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return ", ".join(listed[:_NAMED]) + more
