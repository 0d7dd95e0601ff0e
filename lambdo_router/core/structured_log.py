"""
structlog, without rich.

structlog loads rich where that is installed, for tracebacks that this program never shows: 60
modules, two megabytes and a twentieth of a start.
"""

import sys
from typing import Any, cast

_modules = cast("dict[str, Any]", sys.modules)
_spared = "rich" not in _modules
if _spared:
    _modules["rich"] = None  # to Python: it is not installed
try:
    import structlog
finally:
    if _spared:
        del _modules["rich"]

__all__ = ["structlog"]
