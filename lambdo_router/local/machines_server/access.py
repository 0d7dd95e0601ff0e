"""Who may call: tokens, and the apps that each is good for."""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from lambdo_router.local.machines_server import refusals


@dataclass(frozen=True, slots=True)
class Access:
    """
    The tokens that are accepted, each with its apps; None stands for all apps, as an
    organization's token does. A caller may have several, joined by commas.

    `apps` are those that exist; None lets every name be one.
    """

    tokens: Mapping[str, Collection[str] | None]
    apps: Collection[str] | None = None

    def check(self, authorization: str, app: str) -> None:
        """
        Return for a caller who may act in `app`; else Refusal: 401, 403, or 404 for no such app.

        Both `Bearer` and `FlyV1` are taken, even both in a row, as Fly does.
        """
        allowed = self.of(authorization)
        if not allowed:
            raise refusals.bad_token()
        if not any(apps is None or app in apps for apps in allowed):
            raise refusals.not_permitted()
        if self.apps is not None and app not in self.apps:
            raise refusals.no_such_app()

    def of(self, authorization: str) -> list[Collection[str] | None]:
        """The apps of each token that the header brings; empty if none of them is accepted."""
        scheme = re.match(r"(?:(?:Bearer|FlyV1)\s+)+", authorization, re.IGNORECASE)
        brought = authorization[scheme.end() :].split(",") if scheme else []
        return [self.tokens[token] for it in brought if (token := it.strip()) in self.tokens]
