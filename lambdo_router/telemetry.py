"""
Logs: the journal's facts as lines with a constant name and fields.

Text for people, JSON for machines, on stderr. One line per batch at INFO, one per message at
DEBUG. No event body is ever logged.
"""

import logging
import sys
from typing import Any, Literal, assert_never

import structlog
from structlog.typing import FilteringBoundLogger

from lambdo_router import journal
from lambdo_router.errors import QueueRefused
from lambdo_router.launching import machine_name
from lambdo_router.routing import Refused, Routed
from lambdo_router.settlement import Acknowledge, Leave, Reject, Retry


def configure_logs(
    form: Literal["text", "json"], level: Literal["debug", "info", "warning", "error"]
) -> None:
    """Set up structlog, and send what libraries log at WARNING and above the same way."""
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if form == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if form == "json":
        shared.append(structlog.processors.format_exc_info)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
            foreign_pre_chain=shared,
        )
    )
    logging.basicConfig(handlers=[handler], level=max(threshold, logging.WARNING), force=True)


def log_fact(fact: journal.Fact) -> None:
    """One fact as one log line: an Observer."""
    log: FilteringBoundLogger = structlog.get_logger()
    match fact:
        case journal.Received() | journal.Redelivered() | journal.Decided():
            _log_message(log, fact)
        case journal.BatchClosed() | journal.Launched() | journal.LaunchFailed():
            _log_launch(log, fact)
        case journal.Settled():
            _log_settlement(log, fact)
        case (
            journal.QueueOpened()
            | journal.QueueClosed()
            | journal.QueueFailed()
            | journal.Polled()
            | journal.GivenBack()
            | journal.LeasesRenewed()
            | journal.LeaseLost()
            | journal.SettlementFailed()
            | journal.UnitFailed()
        ):
            _log_queue(log, fact)
        case (
            journal.WatchFailed()
            | journal.MachineOverdue()
            | journal.MachineEnded()
            | journal.ReportTaken()
            | journal.ReportRefused()
            | journal.TakenOver()
            | journal.ProfileFailing()
            | journal.ProfileRecovered()
        ):
            _log_machine(log, fact)
        case journal.TableSwapped() | journal.RoutesLoaded() | journal.RoutesRefused():
            _log_routes(log, fact)
        case journal.Stopping():
            log.info("router.stopping", grace=fact.grace)
        case journal.Stopped(abandoned=0):
            log.info("router.stopped")
        case journal.Stopped():
            log.warning("router.stopped", abandoned=fact.abandoned)
        case unreachable:
            assert_never(unreachable)


def _log_message(
    log: FilteringBoundLogger, fact: journal.Received | journal.Redelivered | journal.Decided
) -> None:
    match fact:
        case journal.Received():
            message = fact.message
            log.debug(
                "message.received",
                queue=fact.queue,
                message=message.id,
                receives=message.receive_count,
            )
        case journal.Redelivered():
            log.info("message.redelivered", queue=fact.queue, message=fact.message_id)
        case journal.Decided(decision=Routed(route=route)):
            log.debug("message.routed", queue=fact.queue, message=fact.message_id, route=route.name)
        case journal.Decided(decision=Refused() as refused):
            log.debug(
                "message.refused", queue=fact.queue, message=fact.message_id, reason=refused.reason
            )


def _log_launch(
    log: FilteringBoundLogger,
    fact: journal.BatchClosed | journal.Launched | journal.LaunchFailed,
) -> None:
    key = fact.batch.key
    fields = {
        "route": key.route.name,
        "queue": key.queue,
        "app": key.profile.app,
        "events": len(fact.batch.entries),
    }
    match fact:
        case journal.BatchClosed():
            log.debug(
                "batch.closed",
                **fields,
                batch=fact.batch_id,
                waited=round(fact.waited, 3),
            )
        case journal.Launched():
            log.info(
                "machine.launched",
                **fields,
                machine=fact.machine.id,
                name=fact.machine.name,
                region=fact.machine.region,
                batch=fact.batch_id,
                adopted=fact.machine.adopted,
                seconds=round(fact.seconds, 3),
                attempts=fact.attempts,
                lease_margin=round(fact.lease_margin, 3),
            )
        case journal.LaunchFailed():
            log.warning(
                "machine.launch_failed",
                **fields,
                name=machine_name(key.route.name, fact.batch.message_ids),
                attempt=fact.attempt,
                ambiguous=getattr(fact.error, "ambiguous", False),
                code=fact.error.code,
                error=str(fact.error),
                next_attempt_in=_rounded(fact.pause),
            )


def _log_settlement(log: FilteringBoundLogger, fact: journal.Settled) -> None:
    fields = {"queue": fact.queue, "message": fact.message_id, "route": fact.route}
    match fact.settlement:
        case Acknowledge(why=why):
            log.debug("message.deleted", **fields, why=why)
        case Retry(delay=delay, why=why):
            log.debug("message.retried", **fields, delay=_rounded(delay), why=why)
        case Leave(reason=reason, detail=detail):
            log.info("message.left", **fields, reason=reason, detail=detail)
        case Reject(to=to, rejection=rejection):
            log.info(
                "message.rejected",
                **fields,
                to=to,
                reason=rejection.reason,
                detail=rejection.detail,
            )
        case unreachable:
            assert_never(unreachable)


def _log_machine(
    log: FilteringBoundLogger,
    fact: journal.WatchFailed
    | journal.MachineOverdue
    | journal.MachineEnded
    | journal.ReportTaken
    | journal.ReportRefused
    | journal.TakenOver
    | journal.ProfileFailing
    | journal.ProfileRecovered,
) -> None:
    match fact:
        case journal.WatchFailed():
            log.warning(
                "machine.watch_failed",
                app=fact.app,
                machine=fact.machine_id,
                code=fact.error.code,
                error=str(fact.error),
                next_try_in=_rounded(fact.pause),
            )
        case journal.MachineOverdue():
            log.warning("machine.overdue", app=fact.app, machine=fact.machine_id)
        case journal.MachineEnded():
            say = log.warning if fact.failure else log.info
            say(
                "machine.ended",
                queue=fact.batch.key.queue,
                route=fact.batch.key.route.name,
                machine=fact.machine_id,
                batch=fact.batch_id,
                events=len(fact.batch.entries),
                reported=fact.reported,
                exit_code=fact.exit_code,
                failure=fact.failure or None,
                seconds=_rounded(fact.seconds),
            )
        case journal.ReportTaken():
            log.debug("report.taken", batch=fact.batch_id, failed=fact.failed)
        case journal.ReportRefused():
            log.warning("report.refused", batch=fact.batch_id, status=fact.status, why=fact.why)
        case journal.TakenOver():
            log.info(
                "message.taken_over",
                queue=fact.queue,
                message=fact.message_id,
                machine=fact.machine_id,
            )
        case journal.ProfileFailing():
            log.error(
                "profile.failing",
                profile=fact.profile,
                app=fact.app,
                code=fact.error.code,
                error=str(fact.error),
                next_try_in=_rounded(fact.pause),
            )
        case journal.ProfileRecovered():
            log.info("profile.recovered", profile=fact.profile, app=fact.app)


def _log_routes(
    log: FilteringBoundLogger,
    fact: journal.TableSwapped | journal.RoutesLoaded | journal.RoutesRefused,
) -> None:
    match fact:
        case journal.TableSwapped():
            log.info(
                "routes.swapped",
                generation=fact.generation,
                previous=fact.previous,
                queues=fact.queues,
                routes=fact.routes,
            )
        case journal.RoutesLoaded():
            log.info("routes.loaded", generation=fact.generation, warnings=list(fact.warnings))
        case journal.RoutesRefused():
            log.error("routes.refused", problems=list(fact.problems))


def _log_queue(
    log: FilteringBoundLogger,
    fact: journal.QueueOpened
    | journal.QueueClosed
    | journal.QueueFailed
    | journal.Polled
    | journal.GivenBack
    | journal.LeasesRenewed
    | journal.LeaseLost
    | journal.SettlementFailed
    | journal.UnitFailed,
) -> None:
    match fact:
        case journal.QueueOpened():
            log.info("queue.opened", queue=fact.queue)
        case journal.QueueClosed():
            log.info("queue.closed", queue=fact.queue)
        case journal.QueueFailed():
            say = log.error if isinstance(fact.error, QueueRefused) else log.warning
            say(
                "queue.failed",
                queue=fact.queue,
                action=fact.action,
                code=fact.error.code,
                error=str(fact.error),
                next_try_in=_rounded(fact.pause),
            )
        case journal.Polled():
            log.debug(
                "queue.polled",
                queue=fact.queue,
                messages=fact.messages,
                seconds=round(fact.seconds, 3),
            )
        case journal.LeasesRenewed():
            log.debug(
                "leases.renewed",
                queue=fact.queue,
                messages=fact.messages,
                margin=round(fact.margin, 3),
            )
        case journal.GivenBack():
            log.info("messages.given_back", queue=fact.queue, messages=len(fact.message_ids))
        case journal.LeaseLost():
            log.warning(
                "lease.lost", queue=fact.queue, messages=list(fact.message_ids), why=fact.why
            )
        case journal.SettlementFailed():
            log.error(
                "settlement.failed",
                queue=fact.queue,
                messages=list(fact.message_ids),
                action=fact.action,
                why=fact.why,
            )
        case journal.UnitFailed():
            log.error(
                "unit.failed",
                queue=fact.queue,
                messages=list(fact.message_ids),
                exc_info=fact.error,
            )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
