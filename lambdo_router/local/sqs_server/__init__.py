"""
An SQS in this process, standard and FIFO queues: real boto3 in front, no account behind.

    messages.py           a message as it is sent, kept and received; the account of each effect
    rules.py              what SQS takes as a message or a call, and how it refuses
    queue_attributes.py   what it takes as a queue
    order.py              which messages may be received now: one by one, or group by group
    queue.py              one queue: leases and receipts
    service.py            all queues, and what passes between them
    actions.py, parameters.py, protocol.py    AWS's JSON protocol 1.0 over HTTP

All but the last line is pure, with time as an argument.

It follows AWS where AWS and the usual emulators differ. Where AWS is silent:

- A receipt that a later receive has replaced neither deletes nor changes anything (AWS: "may not").
- On a FIFO queue the visibility of a message that is visible again cannot be changed.
- A FIFO message that is gone may be deleted once more, however late.
- A duplicate gets the message id and sequence number of the first one.

AWS looks for free groups among the first 120,000 messages of a FIFO queue only, and allows about as
many messages in flight; here there is no limit.
"""

from lambdo_router.local.sqs_server.messages import Ledger, LedgerEntry, NewMessage
from lambdo_router.local.sqs_server.protocol import sqs_app
from lambdo_router.local.sqs_server.rules import SqsError
from lambdo_router.local.sqs_server.service import Sqs

__all__ = ["Ledger", "LedgerEntry", "NewMessage", "Sqs", "SqsError", "sqs_app"]
