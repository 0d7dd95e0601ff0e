"""
Traces: the journal's facts as spans of OpenTelemetry.

    receive -> process [ decide, settle ]        for each message
               batch   [ launch, run ]           for each batch, with links to its messages

A message's `process` goes on from where its sender stood, if the message says so, and the Machine
goes on from `launch`. Traces need the extra `otel` and an endpoint in the standard variables.
Nothing of OpenTelemetry is imported before both are there, and nothing that is wrong with it keeps
the router from routing. docs/traces.md is for users.
"""

from lambdo_router.telemetry.tracing.starting import Traces, traces

__all__ = ["Traces", "traces"]
