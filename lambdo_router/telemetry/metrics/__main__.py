"""Prints docs/metrics.md."""

import sys

from lambdo_router.telemetry.metrics.page import page

if __name__ == "__main__":
    sys.stdout.write(page())
