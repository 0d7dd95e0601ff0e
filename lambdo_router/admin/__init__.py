"""
The router's own HTTP server.

    GET  /healthz             200 while the process does anything at all
    GET  /readyz              200 or 503, and why
    GET  /status              the status document, as JSON
    GET  /metrics             for Prometheus
    POST /-/reload            load the routes file now; needs LAMBDO_ADMIN_TOKEN
    POST /reports/{batch id}  from a Machine, with the token of its batch

Reading needs no secret, since the port is on a private network and no answer contains one. What
changes something needs a token. Every request passes `Guard` (guard.py) first. `admin_app` is for
`serving.serve`; the page is added as further routes.
"""

from lambdo_router.admin.app import Watched, admin_app
from lambdo_router.admin.guard import Hosts
from lambdo_router.admin.reloading import Reloading, ReloadOutcome

__all__ = ["Hosts", "ReloadOutcome", "Reloading", "Watched", "admin_app"]
