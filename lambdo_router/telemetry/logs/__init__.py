"""
Logs: the journal's facts as lines with a constant name and fields, on stderr.

Text for people, JSON for machines. At INFO a batch has one line when Fly accepts its Machine and,
where its end is awaited, one when the Machine has ended: a Machine may run for hours, and people
want to see that it was launched. What happens to each message is at DEBUG. Repeats are folded: the
first line at once, then at most one a minute. No body of an event is ever logged, and what senders
wrote can neither begin a line nor reach a terminal.

What the log shows of a fact is declared in core/journal; docs/logs.md is made from that.
"""

from lambdo_router.telemetry.logs.observing import Logs, configure_logs

__all__ = ["Logs", "configure_logs"]
