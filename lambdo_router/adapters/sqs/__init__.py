"""
Amazon SQS: the queues of `ports`, for the real service and for all that speak like it.

    address.py      what a queue URL or an ARN says
    identities.py   where SQS is and as whom to ask: sessions, roles and endpoints, by botocore
    credentials.py  keys that are renewed in time
    signing.py      AWS's Signature Version 4
    client.py       calls: signed JSON requests over HTTP, on the event loop
    failures.py     which errors are transient and which a person must fix: one table
    wire.py         messages and outcomes as they go over the wire
    attempts.py     receives of a FIFO queue, and what becomes of one whose answer was lost
    queue.py        receive, delete, set_visibility and send on one queue
    policy.py       what a queue's own policy says of who may do what
    inspection.py   what SQS says of a queue, for checks before anything is taken
    connector.py    finds a queue of the routes file and connects it

A long poll that is cut may take messages all the same, so nobody repeats one, and one whose caller
has gone is waited for as long as the process lives.
"""

from lambdo_router.adapters.sqs.connector import SqsConnector
from lambdo_router.adapters.sqs.identities import Keys, SqsSettings
from lambdo_router.adapters.sqs.queue import SqsQueue

__all__ = ["Keys", "SqsConnector", "SqsQueue", "SqsSettings"]
