"""
Large routes files, made for measuring, with nothing wrong in them.

Routes of several queues and profiles, with patterns of many kinds, an event schema for one in ten
and a profile of its own for one in five.
"""

from collections.abc import Iterator
from pathlib import Path

_HEAD = """\
version: 1
queues:
  rejected: {name: rejected}
"""
_PROFILES = """\
defaults: {app: acme-jobs, region: "iad,us,any", acknowledge: launch, env: {LOG_LEVEL: info}}
profiles:
  small: {image: "registry.fly.io/acme-jobs:1.4.0", command: [node, index.js]}
  large: {extends: small, size: performance-2x, memory: 8gb, batch_size: 50, batch_window: 2s}
routes:
"""
_MATCHES = (
    "{{attributes: {{kind: kind-{0}}}}}",
    "{{body: {{order: {{id: [{{prefix: id-{0}-}}]}}, paid: [true]}}}}",
    "{{attributes: {{tenant: [acme-{0}, beta-{0}]}}, body: {{size: [{{numeric: ['>', {0}]}}]}}}}",
    "{{body: {{Records: {{s3: {{bucket: {{name: [bucket-{0}]}}}}}}}}}}",
    "{{body: {{path: [{{suffix: .{0}.png}}], user: [{{exists: true}}]}}}}",
    "{{attributes: {{type: [{{anything-but: [x]}}]}}, body: {{ref: [refs/heads/{0}]}}}}",
)
_SCHEMA = '{"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}}'


def write_routes_file(folder: Path, count: int) -> Path:
    """Return a routes file with this many routes, and the schema that some of them name."""
    folder.joinpath("order.schema.json").write_text(_SCHEMA, "utf-8")
    file = folder / "routes.yaml"
    file.write_text("".join(_text(count)), "utf-8")
    return file


def _text(count: int) -> Iterator[str]:
    queues = max(1, count // 100)
    yield _HEAD
    for number in range(queues):
        yield f"  queue-{number}: {{name: queue-{number}, reject_to: rejected}}\n"
    yield _PROFILES
    for number in range(count):
        own = f"{{extends: small, env: {{ROUTE: route-{number}}}}}"
        yield f"  - name: route-{number}\n"
        yield f"    queue: queue-{number % queues}\n"
        yield f"    match: {_MATCHES[number % len(_MATCHES)].format(number)}\n"
        if number % 10 == 0:
            yield "    schema: order.schema.json\n"
        yield f"    profile: {own if number % 5 == 0 else ('small', 'large')[number % 2]}\n"
