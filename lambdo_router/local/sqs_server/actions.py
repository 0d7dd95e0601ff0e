"""The actions of the API: from a request's parameters to the service and back to an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lambdo_router.core.message import Attribute
from lambdo_router.local.sqs_server.messages import Delivery
from lambdo_router.local.sqs_server.parameters import (
    Parameters,
    Wire,
    attribute_to_wire,
    new_message,
)
from lambdo_router.local.sqs_server.rules import (
    LARGEST_MESSAGE,
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

    def url(self, queue: str) -> str:
        return f"{self.base_url}/{self.sqs.account}/{queue}"


_FAULT = SqsError("InternalError", "We encountered an internal error. Please try again.")
_EntryAction = Callable[[Sqs, str, Parameters, float], Wire]


def receive(call: SqsCall, *, long: bool) -> Wire:
    """Do ReceiveMessage, once: a long poll repeats it. Without messages the answer is empty."""
    parameters = call.parameters
    limit = parameters.number("MaxNumberOfMessages")
    deliveries = call.sqs.receive(
        parameters.queue_name(),
        1 if limit is None else limit,
        parameters.number("VisibilityTimeout"),
        call.now,
        long=long,
        attempt=parameters.text_or_none("ReceiveRequestAttemptId"),
    )
    system = {*parameters.texts("MessageSystemAttributeNames"), *parameters.texts("AttributeNames")}
    wanted = parameters.texts("MessageAttributeNames")
    messages = [_received(delivery, system, wanted) for delivery in deliveries]
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


def _delete_queue(call: SqsCall) -> Wire:
    call.sqs.delete_queue(call.parameters.queue_name(), call.now)
    return {}


def _purge_queue(call: SqsCall) -> Wire:
    call.sqs.purge(call.parameters.queue_name(), call.now)
    return {}


def _get_queue_attributes(call: SqsCall) -> Wire:
    wanted = call.parameters.texts("AttributeNames")
    attributes = call.sqs.attributes(call.parameters.queue_name(), wanted, call.now)
    return {"Attributes": attributes} if attributes else {}


def _set_queue_attributes(call: SqsCall) -> Wire:
    attributes = call.parameters.texts_by_name("Attributes")
    call.sqs.set_attributes(call.parameters.queue_name(), attributes, call.now)
    return {}


def _send(sqs: Sqs, queue: str, entry: Parameters, now: float) -> Wire:
    message = new_message(entry)
    accepted = sqs.accept(queue, message, now)
    sent: Wire = {
        "MessageId": accepted.message_id,
        "MD5OfMessageBody": md5_of_body(message.body),
    }
    if accepted.sequence is not None:
        sent["SequenceNumber"] = accepted.sequence
    if message.attributes:
        sent["MD5OfMessageAttributes"] = md5_of_attributes(message.attributes)
    if message.trace_header is not None:
        system = {"AWSTraceHeader": Attribute("String", message.trace_header)}
        sent["MD5OfMessageSystemAttributes"] = md5_of_attributes(system)
    return sent


def _delete(sqs: Sqs, queue: str, entry: Parameters, now: float) -> Wire:
    sqs.delete(queue, entry.text("ReceiptHandle"), now)
    return {}


def _change_visibility(sqs: Sqs, queue: str, entry: Parameters, now: float) -> Wire:
    seconds = entry.number("VisibilityTimeout")
    if seconds is None:
        raise missing("VisibilityTimeout")
    sqs.change_visibility(queue, entry.text("ReceiptHandle"), seconds, now)
    return {}


def _single(act: _EntryAction) -> Callable[[SqsCall], Wire]:
    """Return the action that does this once."""
    return lambda call: act(call.sqs, call.parameters.queue_name(), call.parameters, call.now)


def _batch(name: str, act: _EntryAction) -> Callable[[SqsCall], Wire]:
    """Return the action that does this for each entry, and reports on each."""

    def action(call: SqsCall) -> Wire:
        queue, entries = call.parameters.queue_name(), call.parameters.entries()
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
                done = {"Id": entry_id, **act(call.sqs, queue, entry, call.now)}
                answer["Successful"].append(done)
            except SqsError as error:
                answer["Failed"].append(_failed(entry_id, error.in_batch()))
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


def _received(delivery: Delivery, system: set[str], wanted: list[str]) -> Wire:
    message: Wire = {
        "MessageId": delivery.message_id,
        "ReceiptHandle": delivery.receipt,
        "MD5OfBody": md5_of_body(delivery.body),
        "Body": delivery.body,
    }
    about = {k: v for k, v in delivery.system.items() if "All" in system or k in system}
    attributes = {k: v for k, v in delivery.attributes.items() if _is_wanted(k, wanted)}
    if about:
        message["Attributes"] = about
    if attributes:
        message["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
        message["MessageAttributes"] = {k: attribute_to_wire(v) for k, v in attributes.items()}
    return message


def _is_wanted(name: str, wanted: list[str]) -> bool:
    """Return whether names, `All`, or prefixes such as `order.*` ask for this attribute."""
    return any(
        each in ("All", name) or (each.endswith(".*") and name.startswith(each[:-2]))
        for each in wanted
    )


ACTIONS: Mapping[str, Callable[[SqsCall], Wire]] = {
    "CreateQueue": _create_queue,
    "GetQueueUrl": _get_queue_url,
    "ListQueues": _list_queues,
    "DeleteQueue": _delete_queue,
    "PurgeQueue": _purge_queue,
    "GetQueueAttributes": _get_queue_attributes,
    "SetQueueAttributes": _set_queue_attributes,
    "SendMessage": _single(_send),
    "SendMessageBatch": _batch("SendMessageBatch", _send),
    "DeleteMessage": _single(_delete),
    "DeleteMessageBatch": _batch("DeleteMessageBatch", _delete),
    "ChangeMessageVisibility": _single(_change_visibility),
    "ChangeMessageVisibilityBatch": _batch("ChangeMessageVisibilityBatch", _change_visibility),
}
"""Every action but ReceiveMessage, which may have to wait."""
