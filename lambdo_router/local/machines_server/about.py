"""
What the API says of itself and of who calls: the token, and the regions.

    GET     /v1/tokens/current       needs a token
    GET     /v1/platform/regions     needs none
"""

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lambdo_router.local.machines_server.access import Access
from lambdo_router.local.machines_server.regions import REGIONS

_ORGANIZATION: Final = "local"


def about_routes(access: Access, home: str) -> list[Route]:
    """The two endpoints; `home` is the region that the server stands in."""

    async def token(request: Request) -> JSONResponse:
        allowed = access.of(request.headers.get("authorization", ""))
        if not allowed:
            text = "Authenticate: token validation error"
            return JSONResponse({"error": text}, status_code=401)
        told = {"organization": _ORGANIZATION, "org_slug": _ORGANIZATION}
        tokens = [
            told | {"token_id": str(number)} | ({} if apps is None else {"apps": sorted(apps)})
            for number, apps in enumerate(allowed, 1)
        ]
        return JSONResponse({"tokens": tokens})

    async def regions(_: Request) -> JSONResponse:
        rows = [{"code": code, "deprecated": False} for code in REGIONS]
        return JSONResponse({"regions": rows, "nearest": home})

    return [Route("/v1/tokens/current", token), Route("/v1/platform/regions", regions)]
