"""The actions of the API: from a request's parameters to the service and back to an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lambdo_router.core.lease import LARGEST_MESSAGE
from lambdo_router.core.message import Attribute, Message
from lambdo_router.local.sqs_server.parameters import (
    Parameters,
    Wire,
    attribute_to_wire,
    new_message,
)
from lambdo_router.local.sqs_server.rules import (
    SqsError,
    check_entries,
    md5_of_attributes,
    md5_of_body,
    missing,
    size_of,
)
from lambdo_router.local.sqs_server.service import Sqs


@dataclass(frozen=True, slots=True)
class SqsCall:
    """One request. `failing` are the positions of batch entries that a fault makes fail."""

    sqs: Sqs
    parameters: Parameters
    base_url: str
    now: float
    failing: frozenset[int] = frozenset()

    @property
    def queue(self) -> str:
        return self.parameters.queue_name()

    def url(self, queue: str) -> str:
        return f"{self.base_url}/{self.sqs.account}/{queue}"


_FAULT = SqsError("InternalError", "We encountered an internal error. Please try again.")
_EntryAction = Callable[[Sqs, str, Parameters, float], Wire | None]
_Action = Callable[[SqsCall], Wire | None]


def receive(call: SqsCall) -> Wire:
    """Do ReceiveMessage, once: a long poll repeats it. Without messages the answer is empty."""
    parameters = call.parameters
    limit = parameters.number("MaxNumberOfMessages")
    found = call.sqs.receive(
        parameters.queue_name(),
        1 if limit is None else limit,
        parameters.number("VisibilityTimeout"),
        call.now,
        attempt=parameters.text_or_none("ReceiveRequestAttemptId"),
    )
    system = {*parameters.texts("MessageSystemAttributeNames"), *parameters.texts("AttributeNames")}
    wanted = parameters.texts("MessageAttributeNames")
    messages = [_received(message, system, wanted) for message in found]
    return {"Messages": messages} if messages else {}


def _create_queue(call: SqsCall) -> Wire:
    name, attributes = (
        call.parameters.text("QueueName"),
        call.parameters.texts_by_name("Attributes"),
    )
    return {"QueueUrl": call.url(call.sqs.create_queue(name, attributes, call.now).name)}


def _get_queue_url(call: SqsCall) -> Wire:
    name = call.parameters.text("QueueName")
    owner = call.parameters.text_or_none("QueueOwnerAWSAccountId")
    if owner not in (None, call.sqs.account):
        raise SqsError("QueueDoesNotExist", "The specified queue does not exist.")
    return {"QueueUrl": call.url(call.sqs.queue(name).name)}


def _list_queues(call: SqsCall) -> Wire:
    names = call.sqs.names(call.parameters.text_or_none("QueueNamePrefix") or "")
    return {"QueueUrls": [call.url(name) for name in names]} if names else {}


def _get_queue_attributes(call: SqsCall) -> Wire:
    wanted = call.parameters.texts("AttributeNames")
    attributes = call.sqs.attributes(call.queue, wanted, call.now)
    return {"Attributes": attributes} if attributes else {}


def _send(sqs: Sqs, queue: str, entry: Parameters, now: float) -> Wire:
    message = new_message(entry)
    message_id, sequence = sqs.accept(queue, message, now)
    sent: Wire = {"MessageId": message_id, "MD5OfMessageBody": md5_of_body(message.body)}
    if sequence is not None:
        sent["SequenceNumber"] = sequence
    if message.attributes:
        sent["MD5OfMessageAttributes"] = md5_of_attributes(message.attributes)
    if message.trace_header is not None:
        system = {"AWSTraceHeader": Attribute("String", message.trace_header)}
        sent["MD5OfMessageSystemAttributes"] = md5_of_attributes(system)
    return sent


def _delete(sqs: Sqs, queue: str, entry: Parameters, now: float) -> None:
    sqs.delete(queue, entry.text("ReceiptHandle"), now)


def _change_visibility(sqs: Sqs, queue: str, entry: Parameters, now: float) -> None:
    seconds = entry.number("VisibilityTimeout")
    if seconds is None:
        raise missing("VisibilityTimeout")
    sqs.change_visibility(queue, entry.text("ReceiptHandle"), seconds, now)


def _single(act: _EntryAction) -> _Action:
    """Return the action that does this once."""
    return lambda call: act(call.sqs, call.queue, call.parameters, call.now)


def _batch(name: str, act: _EntryAction) -> _Action:
    """Return the action that does this for each entry, and reports on each."""

    def action(call: SqsCall) -> Wire:
        queue, entries = call.queue, call.parameters.entries()
        call.sqs.queue(queue)
        check_entries(name, [entry.text_or_none("Id") or "" for entry in entries])
        _check_total_size(entries)
        answer: dict[str, list[Wire]] = {"Successful": [], "Failed": []}
        for position, entry in enumerate(entries):
            entry_id = entry.text("Id")
            if position in call.failing:
                answer["Failed"].append(_failed(entry_id, _FAULT, sender=False))
                continue
            try:
                done = {"Id": entry_id, **(act(call.sqs, queue, entry, call.now) or {})}
                answer["Successful"].append(done)
            except SqsError as error:
                answer["Failed"].append(_failed(entry_id, error.in_batch))
        return {part: entries for part, entries in answer.items() if entries}

    return action


def _failed(entry_id: str, error: SqsError, *, sender: bool = True) -> Wire:
    return {
        "Id": entry_id,
        "SenderFault": sender,
        "Code": error.code,
        "Message": error.message,
    }


def _check_total_size(entries: list[Parameters]) -> None:
    size = sum(
        size_of(entry.text_or_none("MessageBody") or "", entry.attributes("MessageAttributes"))
        for entry in entries
    )
    if size > LARGEST_MESSAGE:
        raise SqsError(
            "BatchRequestTooLong",
            f"Batch requests cannot be longer than {LARGEST_MESSAGE} bytes. "
            f"You have sent {size} bytes.",
        )


def _received(message: Message, system: set[str], wanted: list[str]) -> Wire:
    wire: Wire = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": md5_of_body(message.body),
        "Body": message.body,
    }
    about = {k: v for k, v in message.system.items() if "All" in system or k in system}
    attributes = {k: v for k, v in message.attributes.items() if _is_wanted(k, wanted)}
    if about:
        wire["Attributes"] = about
    if attributes:
        wire["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
        wire["MessageAttributes"] = {k: attribute_to_wire(v) for k, v in attributes.items()}
    return wire


def _is_wanted(name: str, wanted: list[str]) -> bool:
    """Return whether names, `All`, or prefixes such as `order.*` ask for this attribute."""
    return any(
        each in ("All", name) or (each.endswith(".*") and name.startswith(each[:-2]))
        for each in wanted
    )


ACTIONS: Mapping[str, _Action] = {
    "CreateQueue": _create_queue,
    "GetQueueUrl": _get_queue_url,
    "ListQueues": _list_queues,
    "DeleteQueue": lambda call: call.sqs.delete_queue(call.queue, call.now),
    "PurgeQueue": lambda call: call.sqs.purge(call.queue, call.now),
    "GetQueueAttributes": _get_queue_attributes,
    "SetQueueAttributes": lambda call: call.sqs.set_attributes(
        call.queue, call.parameters.texts_by_name("Attributes"), call.now
    ),
    "SendMessage": _single(_send),
    "SendMessageBatch": _batch("SendMessageBatch", _send),
    "DeleteMessage": _single(_delete),
    "DeleteMessageBatch": _batch("DeleteMessageBatch", _delete),
    "ChangeMessageVisibility": _single(_change_visibility),
    "ChangeMessageVisibilityBatch": _batch("ChangeMessageVisibilityBatch", _change_visibility),
}
"""Every action but ReceiveMessage, which may have to wait. None means an empty answer."""
