"""What a PromQL expression names: series and labels, as far as this project's need it."""

import re
from dataclasses import dataclass
from typing import Final

_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_SERIES = re.compile(r"\b((?:lambdo|process)_[a-z0-9_]+)\b(?:\{([^}]*)\})?")
_GROUPING = re.compile(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
_MATCHER = re.compile(r"(\w+)\s*(?:=~|!~|!=|=)")
_TARGET: Final = frozenset({"instance", "job"})
"""Labels that Prometheus adds to everything it scrapes."""


@dataclass(frozen=True, slots=True)
class Named:
    """What one expression names."""

    series: frozenset[str]
    wrong: tuple[str, ...]
    """Series that do not exist, and labels that no series of the expression has."""


def named(expression: str, labels_of: dict[str, frozenset[str]]) -> Named:
    """`labels_of`: the labels of every series there is, by its name."""
    text = _STRING.sub('""', expression)
    groupings = [label.strip() for found in _GROUPING.findall(text) for label in found.split(",")]
    selectors = _SERIES.findall(_GROUPING.sub("()", text))
    wrong = []
    for name, matchers in selectors:
        if name not in labels_of:
            wrong.append(name)
        allowed = labels_of.get(name, frozenset()) | _TARGET
        wrong += [f"{name}{{{it}}}" for it in _MATCHER.findall(matchers) if it not in allowed]
    known = _TARGET.union(*(labels_of.get(name, frozenset()) for name, _ in selectors))
    wrong += [label for label in groupings if label and label not in known]
    return Named(frozenset(name for name, _ in selectors), tuple(wrong))
