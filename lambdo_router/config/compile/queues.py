"""From the `queues` of a routes file to `Queue` values."""

import re
from dataclasses import replace
from urllib.parse import urlsplit

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft
from lambdo_router.config.read.nodes import Node, Section, Unfit, known
from lambdo_router.config.read.units import parse_duration
from lambdo_router.core.lease import LONGEST_VISIBILITY
from lambdo_router.core.routing import Policy, Queue

_SHORT_VISIBILITY = 10.0

_NAME = r"[A-Za-z0-9_-]{1,80}(?:\.fifo)?"
_ARN = re.compile(rf"arn:aws[a-z-]*:sqs:([a-z0-9-]+):([0-9]+):({_NAME})")
_PATH = re.compile(rf"((?:/[A-Za-z0-9_.~-]+)*)/({_NAME})/?")
_AWS_HOST = re.compile(r"sqs(?:-fips)?\.([a-z0-9-]+)\.(?:amazonaws\.com(?:\.cn)?|api\.aws)")
_REGION = re.compile(r"[a-z]{2,3}(?:-[a-z]+)+-[0-9]{1,2}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::([0-9]{12}):role/[A-Za-z0-9_+=,.@/-]{1,512}")
_ADDRESS = (
    "write a queue URL such as https://sqs.us-east-1.amazonaws.com/123456789012/orders, "
    "or an ARN such as arn:aws:sqs:us-east-1:123456789012:orders"
)

Identity = tuple[str, str, str]
"""Tells SQS queues apart: region or host, account, name. Equal for a queue's URL and its ARN."""


def compile_queues(draft: Draft) -> dict[str, Queue]:
    """Return every queue by name, as far as it is valid."""
    queues: dict[str, Queue] = {}
    owners: dict[Identity, str] = {}
    for name in draft.names("queues"):
        section = draft.section("queues", name)
        access = {
            "region": section.parsed("region", _region),
            "role_arn": section.parsed("role_arn", _role_arn),
            "endpoint": section.parsed("endpoint", _endpoint),
        }
        queues[name] = _compile_queue(section, name, access)
        address = _address(section, access)
        if address is not None and address.value is not None:
            first = owners.setdefault(address.value, name)
            if first != name:
                line = draft.line(("queues", first), seen_from=address.path)
                what = f"queue `{name}` is the same SQS queue as `{first}` in {line}"
                hint = "its messages would go to either at random; keep one of the two"
                address.report("same-queue", what, hint)
    return queues


def read_address(url: str) -> Identity:
    """Return what identifies the queue at this URL or ARN. ValueError says how to write one."""
    arn = _ARN.fullmatch(url)
    if arn is not None:
        return (arn[1], arn[2], arn[3])
    try:
        parts = urlsplit(url)
        host, netloc = parts.hostname or "", parts.netloc
    except ValueError:
        raise ValueError(_ADDRESS) from None
    path = _PATH.fullmatch(parts.path)
    strange = parts.query or parts.fragment or "@" in netloc
    if parts.scheme not in {"https", "http"} or not host or path is None or strange:
        raise ValueError(_ADDRESS)
    aws = _AWS_HOST.fullmatch(host)
    return (aws[1] if aws else netloc, path[1].removeprefix("/"), path[2])


_Access = dict[str, Node[str | None] | None]
"""How a queue is reached beside its address: `region`, `role_arn` and `endpoint`."""


def _compile_queue(section: Section, name: str, access: _Access) -> Queue:
    visibility = section.parsed("visibility", _visibility)
    seconds = known(visibility, 60.0)
    if visibility is not None and seconds < _SHORT_VISIBILITY:
        what = f"leases of {section.describe()} are renewed every {seconds / 2:g} seconds"
        hint = "a network interruption of that length loses them; write 10s or more"
        visibility.warning("short-visibility", what, hint)
    draft = section.draft
    queue = Queue(
        name=name,
        url=section.raw("url"),
        lookup=section.raw("name"),
        # Where a variable is not set, the text is as written: such a table is only looked at.
        region=known(access["region"], "") or section.raw("region"),
        role_arn=known(access["role_arn"], "") or section.raw("role_arn"),
        endpoint=known(access["endpoint"], "") or section.raw("endpoint"),
        envelope="sns" if known(section.text("envelope"), "none") == "sns" else "none",
        visibility=seconds,
        max_waiting=known(section.number("max_waiting"), 1000),
        reject_to=_reject_to(section, name),
        on_unmatched=_on_unmatched(section),
    )
    masked = replace(
        queue,
        url=draft.masked(section.at("url"), queue.url),
        lookup=draft.masked(section.at("name"), queue.lookup),
        role_arn=draft.masked(section.at("role_arn"), queue.role_arn),
        endpoint=draft.masked(section.at("endpoint"), queue.endpoint),
    )
    return queue if masked == queue else replace(queue, masked=masked)


def _visibility(text: str) -> float:
    seconds = parse_duration(text)
    if not 1.0 <= seconds <= LONGEST_VISIBILITY:
        raise Unfit("allowed is 1s to 12h, SQS's own limit")
    if seconds != int(seconds):
        raise Unfit("SQS counts whole seconds")
    return seconds


def _address(section: Section, access: _Access) -> Node[Identity | None] | None:
    """Return what identifies the queue, as far as it is known; None if it has no address."""
    key = "url" if "url" in section else "name"
    address = section.parsed(key, read_address if key == "url" else _looked_up)
    if address is None or address.value is None:
        return address
    where, account, name = address.value
    region = access["region"]
    if region is not None and region.value and _REGION.fullmatch(where) and region.value != where:
        draft, at = section.draft, section.at(key)
        shown = draft.quoted(at) if draft.holds_variable(at) else where
        what = f"`region` is {draft.shown(region.path)}, but the address of "
        what += f"{section.describe()} says {shown}"
        hint = "remove `region`, which the address contains; or fix the address"
        region.report("region-contradicts", what, hint)
    if any(node is not None and node.value is None for node in access.values()):
        return Node(section.draft, address.path, None)
    places = (known(access["endpoint"], ""), where or known(region, ""))
    owner = _ROLE.fullmatch(known(access["role_arn"], ""))
    account = account or (owner[1] if owner else "")
    return Node(section.draft, address.path, (" ".join(filter(None, places)), account, name))


def _region(text: str) -> str:
    if _REGION.fullmatch(text) is None:
        raise ValueError("write the name of an AWS region, like eu-west-1")
    return text


def _role_arn(text: str) -> str:
    if _ROLE.fullmatch(text) is None:
        raise ValueError(
            "write the ARN of an IAM role, like arn:aws:iam::123456789012:role/orders-reader"
        )
    return text


def _endpoint(text: str) -> str:
    """Return the endpoint without a slash at its end, so that both spellings are one."""
    try:
        parts = urlsplit(text)
        usable = bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
        parts = urlsplit("")
    strange = "@" in parts.netloc or parts.query or parts.fragment or parts.path not in ("", "/")
    if not usable or parts.scheme not in {"https", "http"} or strange:
        raise ValueError(
            "write scheme and host, like https://vpce-1a2b.sqs.eu-west-1.vpce.amazonaws.com"
        )
    return f"{parts.scheme}://{parts.netloc.lower()}"


def _looked_up(name: str) -> Identity:
    if re.fullmatch(_NAME, name) is None:
        raise ValueError("the name of an SQS queue is 1 to 80 letters, digits, `-` or `_`")
    return ("", "", name)


def _reject_to(section: Section, name: str) -> str | None:
    target = section.text("reject_to")
    if target is None or target.value is None:
        return None
    if target.value == name:
        what = f"queue `{name}` would move its rejected messages to itself"
        target.report("reject-to-itself", what, "name another queue")
    elif target.value not in section.draft.names("queues"):
        unknown_queue(section.draft, target.path, target.value)
    return target.value


def unknown_queue(draft: Draft, path: Path, name: str) -> None:
    """Note that there is no queue of the name at `path`, unless all queues are broken."""
    if draft.is_known(("queues",)):
        hint = closest(name, draft.good_names("queues"))
        draft.problem(path, "unknown-queue", f"no queue is called {draft.quoted(path)}", hint=hint)


def _on_unmatched(section: Section) -> Policy:
    node = section.text("on_unmatched")
    policy = known(node, "reject" if "reject_to" in section else "leave")
    if node is not None and policy == "reject" and "reject_to" not in section:
        nowhere_to_reject(node, section.describe())
    return as_policy(policy)


def nowhere_to_reject(node: Node[str | None], queue: str) -> None:
    """Note a `reject` for a queue without a `reject_to`."""
    hint = "name the queue that rejected messages go to, or write leave or drop"
    node.report("nowhere-to-reject", f"{queue} has no `reject_to`", hint)


def as_policy(text: str) -> Policy:
    """Return the text as a Policy; anything else, which is reported elsewhere, as `leave`."""
    match text:
        case "reject" | "drop":
            return text
        case _:
            return "leave"
