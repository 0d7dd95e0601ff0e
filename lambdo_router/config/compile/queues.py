"""From the `queues` of a routes file to `Queue` values."""

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from lambdo_router.config.diagnostics import closest
from lambdo_router.config.read.document import Path
from lambdo_router.config.read.draft import Draft, Section, Unfit, Written, known
from lambdo_router.config.read.units import parse_duration
from lambdo_router.core.routing import Policy, Queue

LONGEST_VISIBILITY = 12 * 3600.0
"""Seconds. SQS hides a message for no longer, counted from its receipt."""
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


@dataclass(frozen=True, slots=True)
class _Way:
    """How a queue is reached, beside its address."""

    region: Written[str] | None
    role_arn: Written[str] | None
    endpoint: Written[str] | None

    @property
    def is_known(self) -> bool:
        """Whether no variable and no mistake hides a part of it."""
        written = (self.region, self.role_arn, self.endpoint)
        return all(part is None or part.value is not None for part in written)


def compile_queues(draft: Draft) -> dict[str, Queue]:
    """Every queue by name, as far as it is sound; what is wrong is noted in the draft."""
    queues: dict[str, Queue] = {}
    owners: dict[Identity, str] = {}
    for name in draft.names("queues"):
        section = draft.section("queues", name)
        way = _way(section)
        queues[name] = _compile_queue(section, name, way)
        address = _address(section, way)
        if address is not None and address.value is not None:
            first = owners.setdefault(address.value, name)
            if first != name:
                _refuse_twin(draft, address, name, first)
    return queues


def read_address(url: str) -> Identity:
    """What tells the queue at this URL or ARN from others. ValueError says how to write one."""
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


def _compile_queue(section: Section, name: str, way: _Way) -> Queue:
    envelope = section.text("envelope")
    visibility = section.parsed("visibility", _visibility)
    if visibility is not None and known(visibility, 60.0) < _SHORT_VISIBILITY:
        section.draft.warning(
            visibility.path,
            "short-visibility",
            f"leases of {section.draft.describe(section.path)} are renewed every "
            f"{known(visibility, 60.0) / 2:g} seconds",
            hint="a pause of the network that long loses them; write 10s or more",
        )
    reject_to = _reject_to(section, name)
    queue = Queue(
        name=name,
        # Also where a variable is not set: such a table is there to be looked at.
        url=section.raw("url"),
        lookup=section.raw("name"),
        region=_known_or_raw(way.region, section, "region"),
        role_arn=_known_or_raw(way.role_arn, section, "role_arn"),
        endpoint=_known_or_raw(way.endpoint, section, "endpoint"),
        envelope="sns" if known(envelope, "none") == "sns" else "none",
        visibility=known(visibility, 60.0),
        max_waiting=known(section.number("max_waiting"), 1000),
        reject_to=reject_to,
        on_unmatched=_on_unmatched(section),
    )
    veiled = replace(
        queue,
        url=_veiled(section, "url", queue.url),
        lookup=_veiled(section, "name", queue.lookup),
        role_arn=_veiled(section, "role_arn", queue.role_arn),
        endpoint=_veiled(section, "endpoint", queue.endpoint),
    )
    return queue if veiled == queue else replace(queue, veiled=veiled)


def _veiled(section: Section, key: str, value: str | None) -> str | None:
    return section.draft.veiled(section.at(key), value)


def _known_or_raw(written: Written[str] | None, section: Section, key: str) -> str | None:
    return written.value if written is not None and written.value else section.raw(key)


def _visibility(text: str) -> float:
    seconds = parse_duration(text)
    if not 1.0 <= seconds <= LONGEST_VISIBILITY:
        raise Unfit("allowed is 1s to 12h, SQS's own limit", "out-of-range")
    if seconds != int(seconds):
        raise Unfit("SQS counts whole seconds", "out-of-range")
    return seconds


def _way(section: Section) -> _Way:
    return _Way(
        region=section.parsed("region", _region),
        role_arn=section.parsed("role_arn", _role_arn),
        endpoint=section.parsed("endpoint", _endpoint),
    )


def _address(section: Section, way: _Way) -> Written[Identity] | None:
    if "url" in section:
        address = section.parsed("url", read_address)
    else:
        address = section.parsed("name", _looked_up)
    if address is None or address.value is None:
        return address
    where, account, name = address.value
    if way.region is not None and way.region.value is not None and _REGION.fullmatch(where):
        _check_region(section, way.region, way.region.value, where)
    if not way.is_known:
        return Written(None, address.path)
    places = (known(way.endpoint, ""), where or known(way.region, ""))
    owner = _ROLE.fullmatch(known(way.role_arn, ""))
    account = account or (owner[1] if owner else "")
    return Written((" ".join(filter(None, places)), account, name), address.path)


def _check_region(section: Section, region: Written[str], written: str, told: str) -> None:
    if written != told:
        draft, key = section.draft, "url" if "url" in section else "name"
        shown = told if not draft.holds_variable(section.at(key)) else draft.quoted(section.at(key))
        draft.problem(
            region.path,
            "region-contradicts",
            f"`region` is {draft.shown(region.path)}, and the address of "
            f"{draft.describe(section.path)} says {shown}",
            hint="remove `region`, for the address tells it; or mend the address",
        )


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
    """The endpoint without a slash at its end, so that both spellings are one."""
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


def _refuse_twin(draft: Draft, address: Written[Identity], name: str, first: str) -> None:
    line = draft.line(("queues", first), seen_from=address.path)
    draft.problem(
        address.path,
        "same-queue",
        f"queue `{name}` is the same SQS queue as `{first}` in {line}",
        hint="its messages would go to either at random; keep one of the two",
    )


def _reject_to(section: Section, name: str) -> str | None:
    draft, target = section.draft, section.text("reject_to")
    if target is None or target.value is None:
        return None
    if target.value == name:
        draft.problem(
            target.path,
            "reject-to-itself",
            f"queue `{name}` would move its rejected messages to itself",
            hint="name another queue",
        )
    elif target.value not in draft.names("queues"):
        unknown_queue(draft, target.path, target.value)
    return target.value


def unknown_queue(draft: Draft, path: Path, name: str) -> None:
    """Note that there is no queue of the name at `path`, unless all queues are broken."""
    if not draft.is_known(("queues",)):
        return
    hint = closest(name, draft.good_names("queues"))
    draft.problem(path, "unknown-queue", f"no queue is called {draft.quoted(path)}", hint=hint)


def _on_unmatched(section: Section) -> Policy:
    written = section.text("on_unmatched")
    policy = known(written, "reject" if "reject_to" in section else "leave")
    if written is not None and policy == "reject" and "reject_to" not in section:
        section.draft.problem(
            written.path,
            "nowhere-to-reject",
            f"{section.draft.describe(section.path)} has no `reject_to`",
            hint="name the queue that rejected messages go to, or write leave or drop",
        )
    return as_policy(policy)


def as_policy(text: str) -> Policy:
    """The text as a Policy; anything else, which is reported elsewhere, does no harm as `leave`."""
    match text:
        case "reject" | "drop":
            return text
        case _:
            return "leave"
