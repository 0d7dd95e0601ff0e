"""Restore the log after a test that sets it up."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


@contextmanager
def log_of_its_own() -> Iterator[None]:
    """Whatever is set up in the block is as before after it."""
    root, own = logging.getLogger(), logging.getLogger("lambdo_router")
    handlers, levels = root.handlers[:], (root.level, own.level)
    with warnings.catch_warnings():
        try:
            yield
        finally:
            logging.captureWarnings(capture=False)
            root.handlers[:] = handlers
            root.setLevel(levels[0])
            own.setLevel(levels[1])
            structlog.reset_defaults()
