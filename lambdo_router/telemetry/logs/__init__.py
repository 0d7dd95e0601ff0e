"""
Logs: the journal's facts as lines with a constant name and fields, on stderr.

Text for people, JSON for machines. At INFO a batch has one line when Fly has taken its Machine
and, where its end is awaited, one when the Machine has ended: a Machine may run for hours, and in
between somebody wants to see that it was launched. What happens to each message is at DEBUG. What
is repeated is summed up: its first line at once, then at most one a minute. No body of an event is
ever logged, and what strangers wrote can neither begin a line nor reach a terminal.

`lines` makes lines of facts, `repeats` sums them up, `output` writes them, together with what
libraries have to say. `catalogue` says of every event what it means and what to do; docs/logs.md
is made from it.
"""

from lambdo_router.telemetry.logs.observing import Logs, configure_logs

__all__ = ["Logs", "configure_logs"]
