"""The rules for alerts, the labels that they may use, and promtool."""

import shutil
import subprocess
from pathlib import Path

import pytest
from metrics_page import PROCESS, series_of
from pages import ROOT

from lambdo_router.config.read.yaml_loader import read_document
from lambdo_router.telemetry.metrics.catalogue import DEFINITIONS

OPS = ROOT / "ops"


LABELS_OF = {
    **{
        series: frozenset(it.labels) | ({"le"} if series.endswith("_bucket") else set())
        for it in DEFINITIONS
        for series in series_of(it)
    },
    **dict.fromkeys(PROCESS, frozenset[str]()),
}


needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def rules() -> list[dict[str, object]]:
    groups = read_document((OPS / "alerts.yaml").read_text(), "alerts.yaml").value["groups"]  # type: ignore[index]
    return [rule for group in groups for rule in group["rules"]]


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: PLW1510 - the exit code is what is asked for
        ["promtool", *arguments],  # noqa: S607 - wherever it is installed
        capture_output=True,
        text=True,
        cwd=OPS,
    )
