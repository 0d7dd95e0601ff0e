"""
An SQS of standard queues in this process: real boto3 in front, no account behind.

`rules` knows what SQS accepts, `queue` is one queue and `service` all of them: pure, with time as
an argument. `protocol` puts the service on HTTP as AWS's JSON protocol 1.0 has it. Each effect
is written into a `Ledger`, so that at the end of a run every message can be accounted for.

It follows AWS where AWS and the usual emulators differ; what AWS does not say is said here:
a receipt that a later receive has replaced neither deletes nor changes anything (AWS: "may not").
"""

from lambdo_router.dev.sqs_server.ledger import Entry, Ledger
from lambdo_router.dev.sqs_server.protocol import sqs_app
from lambdo_router.dev.sqs_server.queue import Delivery, Outgoing
from lambdo_router.dev.sqs_server.rules import SqsError
from lambdo_router.dev.sqs_server.service import Sqs

__all__ = ["Delivery", "Entry", "Ledger", "Outgoing", "Sqs", "SqsError", "sqs_app"]
