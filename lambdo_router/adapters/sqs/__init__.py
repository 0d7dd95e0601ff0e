"""
Amazon SQS over boto3: the queues of `ports`, for the real service and for all that speak like it.

    address.py     what a queue URL or an ARN says
    failures.py    which of boto3's errors are transient and which a person must fix: one table
    threads.py     boto3's calls block, so they run in daemon threads of our own
    attempts.py    receives of a FIFO queue, and what becomes of one whose answer was lost
    clients.py     boto3's clients: a pair for each region, role and endpoint
    queue.py       receive, delete, set_visibility and send on one queue
    policy.py      what a queue's own policy says of who may do what
    inspection.py  what SQS says of a queue, for checks before anything is taken
    connector.py   finds a queue of the routes file and connects it

A long poll cannot be called off, and one that is cut may take messages all the same. So polls have
a client that never retries by itself; everything else goes through a second client, which does.
Each queue has threads of its own for either, so that a call waits neither behind a poll nor behind
another queue, which SQS may leave without an answer for half a minute.
"""

from lambdo_router.adapters.sqs.clients import Keys, SqsSettings
from lambdo_router.adapters.sqs.connector import SqsConnector
from lambdo_router.adapters.sqs.queue import SqsQueue

__all__ = ["Keys", "SqsConnector", "SqsQueue", "SqsSettings"]
