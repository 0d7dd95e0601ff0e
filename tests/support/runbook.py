"""The runbook, cut into its sections."""

import re

from pages import ROOT

FILE = ROOT / "ops" / "runbook.md"


def sections() -> dict[str, str]:
    """What is written below each heading of the second level, by its anchor."""
    _, *parts = re.split(r"^## (.+)\n", FILE.read_text(), flags=re.MULTILINE)
    titles, texts = parts[::2], parts[1::2]
    return {
        title.lower().replace(" ", "-"): text for title, text in zip(titles, texts, strict=True)
    }
