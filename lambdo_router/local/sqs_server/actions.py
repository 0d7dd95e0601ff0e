"""The actions of the API: from a request's parameters to the service and back to an answer."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from lambdo_router.core.message import Attribute
from lambdo_router.local.sqs_server.messages import Delivery
from lambdo_router.local.sqs_server.parameters import Parameters, Wire, attribute_to_wire, outgoing
from lambdo_router.local.sqs_server.rules import (
    SqsError,
    check_batch_size,
    check_entries,
    check_range,
    md5_of_attributes,
    md5_of_body,
    missing,
    size_of,
)
from lambdo_router.local.sqs_server.service import Sqs

_LONGEST_LIST = 1000
_FAULT = SqsError("InternalError", "We encountered an internal error. Please try again.")
"""What an entry of a batch fails with when it is SQS's own fault."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `failing` are the positions of batch entries that a fault makes fail."""

    parameters: Parameters
    base_url: str
    now: float
    failing: frozenset[int] = frozenset()


Action = Callable[[Sqs, Call], Wire]
_EntryAction = Callable[[Sqs, str, Parameters, float], Wire]


def receive(sqs: Sqs, call: Call, *, long: bool) -> Wire:
    """ReceiveMessage, once: a long poll asks again. No `Messages` key when there are none."""
    parameters = call.parameters
    limit = parameters.number("MaxNumberOfMessages")
    deliveries = sqs.receive(
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


def _create_queue(sqs: Sqs, call: Call) -> Wire:
    attributes = call.parameters.texts_by_name("Attributes")
    queue = sqs.create_queue(call.parameters.text("QueueName"), attributes, call.now)
    return {"QueueUrl": _url(sqs, call, queue.name)}


def _get_queue_url(sqs: Sqs, call: Call) -> Wire:
    name = call.parameters.text("QueueName")
    owner = call.parameters.text_or_none("QueueOwnerAWSAccountId")
    if owner not in (None, sqs.account):
        raise SqsError("QueueDoesNotExist", "The specified queue does not exist.")
    return {"QueueUrl": _url(sqs, call, sqs.queue(name).name)}


def _list_queues(sqs: Sqs, call: Call) -> Wire:
    names = sqs.names(call.parameters.text_or_none("QueueNamePrefix") or "")
    after = call.parameters.text_or_none("NextToken")
    names = [name for name in names if after is None or name > after]
    most = call.parameters.number("MaxResults")
    check_range("MaxResults", _LONGEST_LIST if most is None else most, 1, _LONGEST_LIST)
    page = names[: most or _LONGEST_LIST]
    answer: Wire = {"QueueUrls": [_url(sqs, call, name) for name in page]} if page else {}
    if most is not None and len(page) < len(names):
        answer["NextToken"] = page[-1]
    return answer


def _delete_queue(sqs: Sqs, call: Call) -> Wire:
    sqs.delete_queue(call.parameters.queue_name(), call.now)
    return {}


def _purge_queue(sqs: Sqs, call: Call) -> Wire:
    sqs.purge(call.parameters.queue_name(), call.now)
    return {}


def _get_queue_attributes(sqs: Sqs, call: Call) -> Wire:
    wanted = call.parameters.texts("AttributeNames")
    attributes = sqs.attributes(call.parameters.queue_name(), wanted, call.now)
    return {"Attributes": attributes} if attributes else {}


def _set_queue_attributes(sqs: Sqs, call: Call) -> Wire:
    attributes = call.parameters.texts_by_name("Attributes")
    sqs.set_attributes(call.parameters.queue_name(), attributes, call.now)
    return {}


def _send(sqs: Sqs, queue: str, entry: Parameters, now: float) -> Wire:
    message = outgoing(entry)
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


def _single(act: _EntryAction) -> Action:
    """The action that does this once."""

    def action(sqs: Sqs, call: Call) -> Wire:
        return act(sqs, call.parameters.queue_name(), call.parameters, call.now)

    return action


def _batch(name: str, act: _EntryAction, check: Callable[[list[Parameters]], None]) -> Action:
    """The action that does this for each entry, and says for each how it went."""

    def action(sqs: Sqs, call: Call) -> Wire:
        queue, entries = call.parameters.queue_name(), call.parameters.entries()
        sqs.queue(queue)
        check_entries(name, [entry.text_or_none("Id") or "" for entry in entries])
        check(entries)
        successful: list[Wire] = []
        failed: list[Wire] = []
        for position, entry in enumerate(entries):
            if position in call.failing:
                failed.append(_failure(entry, _FAULT))
                continue
            try:
                successful.append({"Id": entry.text("Id"), **act(sqs, queue, entry, call.now)})
            except SqsError as error:
                failed.append(_failure(entry, error.in_batch()))
        answer = {"Successful": successful, "Failed": failed}
        return {part: entries for part, entries in answer.items() if entries}

    return action


def _failure(entry: Parameters, error: SqsError) -> Wire:
    return {
        "Id": entry.text("Id"),
        "SenderFault": error is not _FAULT,
        "Code": error.code,
        "Message": error.message,
    }


def _check_sum(entries: list[Parameters]) -> None:
    check_batch_size(
        sum(
            size_of(entry.text_or_none("MessageBody") or "", entry.attributes("MessageAttributes"))
            for entry in entries
        )
    )


def _no_check(_: list[Parameters]) -> None:
    """Deletes and visibility changes have no size to check."""


def _received(delivery: Delivery, system: set[str], wanted: list[str]) -> Wire:
    message: Wire = {
        "MessageId": delivery.message_id,
        "ReceiptHandle": delivery.receipt,
        "MD5OfBody": md5_of_body(delivery.body),
        "Body": delivery.body,
    }
    told = {k: v for k, v in delivery.system.items() if "All" in system or k in system}
    attributes = {k: v for k, v in delivery.attributes.items() if _is_wanted(k, wanted)}
    if told:
        message["Attributes"] = told
    if attributes:
        message["MD5OfMessageAttributes"] = md5_of_attributes(attributes)
        message["MessageAttributes"] = {k: attribute_to_wire(v) for k, v in attributes.items()}
    return message


def _is_wanted(name: str, wanted: list[str]) -> bool:
    """Whether a list of names, `All`, and prefixes such as `order.*` asks for this attribute."""
    return any(
        each in ("All", name) or (each.endswith(".*") and name.startswith(each[:-2]))
        for each in wanted
    )


def _url(sqs: Sqs, call: Call, name: str) -> str:
    return f"{call.base_url}/{sqs.account}/{name}"


ACTIONS: Mapping[str, Action] = {
    "CreateQueue": _create_queue,
    "GetQueueUrl": _get_queue_url,
    "ListQueues": _list_queues,
    "DeleteQueue": _delete_queue,
    "PurgeQueue": _purge_queue,
    "GetQueueAttributes": _get_queue_attributes,
    "SetQueueAttributes": _set_queue_attributes,
    "SendMessage": _single(_send),
    "SendMessageBatch": _batch("SendMessageBatch", _send, _check_sum),
    "DeleteMessage": _single(_delete),
    "DeleteMessageBatch": _batch("DeleteMessageBatch", _delete, _no_check),
    "ChangeMessageVisibility": _single(_change_visibility),
    "ChangeMessageVisibilityBatch": _batch(
        "ChangeMessageVisibilityBatch", _change_visibility, _no_check
    ),
}
"""Every action but ReceiveMessage, which may have to wait."""
