"""The text of a YAML file: its size, its encoding, the characters allowed in it, and its lines."""

import re
from collections.abc import Sequence

from lambdo_router.config.diagnostics import ConfigError, Diagnostic, escape

MAX_BYTES = 4 * 1024 * 1024
"""Room for 10,000 routes of ordinary size, which take about 1 MiB, and for long ones."""
MAX_PROBLEMS = 100


def source_lines(text: str | bytes) -> list[str]:
    """Split a file, YAML or not, into lines as diagnostics count them."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


def decoded(text: str | bytes, file: str) -> str:
    """Return the text. Raises ConfigError if it is too large or not UTF-8."""
    size = len(text)
    if size <= MAX_BYTES and isinstance(text, str):
        size = len(text.encode("utf-8", "surrogatepass"))
    if size > MAX_BYTES:
        message = f"the file is over {MAX_BYTES // 1024**2} MiB ({size} bytes)"
        raise ConfigError([Diagnostic(file, 1, 1, "file-too-large", message)])
    if isinstance(text, str):
        return text
    if text.startswith((b"\xff\xfe", b"\xfe\xff")):
        message = "the file is UTF-16; save it as UTF-8"
        raise ConfigError([Diagnostic(file, 1, 1, "not-utf-8", message)])
    try:
        return text.decode("utf-8")
    except UnicodeDecodeError as error:
        before = source_lines(text[: error.start])
        message = f"byte 0x{text[error.start]:02x} is not UTF-8; save the file as UTF-8"
        place = Diagnostic(file, len(before), len(before[-1]) + 1, "not-utf-8", message)
        raise ConfigError([place]) from error


# What YAML 1.2 calls printable, less what other YAML versions take for line breaks (NEL, LS, PS:
# parsers and editors would count lines differently) and less the byte order mark.
_ODD = re.compile(
    "[^\t\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)


def refuse_odd_characters(lines: Sequence[str], file: str) -> None:
    """Raise ConfigError for characters that are invisible, or that parsers take differently."""
    problems: list[Diagnostic] = []
    for number, line in enumerate(lines, 1):
        for odd in _ODD.finditer(line):
            column = odd.start() + 1
            if odd[0] == "\ufeff":
                code, what = "byte-order-mark", "a byte order mark; save the file as UTF-8 without"
            else:
                code = "character-not-allowed"
                what = f'{escape(odd[0])}; in a value, write it as an escape in "double quotes"'
            message = f"found {what}"
            problems.append(Diagnostic(file, number, column, code, message, end_column=column + 1))
            if len(problems) == MAX_PROBLEMS:
                raise ConfigError(problems)
    if problems:
        raise ConfigError(problems)
