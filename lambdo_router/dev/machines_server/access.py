"""Who may call: tokens, and the apps that each is good for."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lambdo_router.dev.machines_server import refusals


@dataclass(frozen=True, slots=True)
class Access:
    """
    The tokens that are accepted, each with its apps; None stands for all apps, as an
    organization's token does.

    `apps` are those that exist; None lets every name be one.
    """

    tokens: Mapping[str, Collection[str] | None]
    apps: Collection[str] | None = None

    def check(self, authorization: str, app: str) -> None:
        """
        Return for a caller who may act in `app`; else Refusal: 401, 403, or 404 for no such app.

        Both `Bearer` and `FlyV1` are taken, even both in a row, as Fly does.
        """
        scheme = re.match(r"(?:(?:Bearer|FlyV1)\s+)+", authorization, re.IGNORECASE)
        token = authorization[scheme.end() :].strip() if scheme else ""
        if not token or token not in self.tokens:
            raise refusals.bad_token()
        allowed = self.tokens[token]
        if allowed is not None and app not in allowed:
            raise refusals.not_permitted()
        if self.apps is not None and app not in self.apps:
            raise refusals.no_such_app()
