"""A little of STS over HTTP: who am I, and roles whose credentials last as long as a test says."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


@dataclass
class Sts:
    """Each role that is assumed gets the access key ROLE-1, then ROLE-2, ..."""

    lasts: timedelta = timedelta(hours=1)
    denied: bool = False
    arn: str = "arn:aws:sts::000000000000:assumed-role/router/x"
    assumed: list[str] = field(default_factory=list)
    """The ARN of each role, in order, each time that it was assumed."""

    async def answer(self, request: Request) -> Response:
        asked = {
            name: values[0] for name, values in parse_qs((await request.body()).decode()).items()
        }
        if asked["Action"] == "GetCallerIdentity":
            account = self.arn.split(":")[4]
            return _xml(
                "GetCallerIdentity",
                f"<Arn>{self.arn}</Arn><UserId>A</UserId><Account>{account}</Account>",
            )
        role = asked["RoleArn"]
        self.assumed.append(role)
        if self.denied:
            text = (
                f"User: {self.arn} is not authorized to perform: sts:AssumeRole on resource: {role}"
            )
            body = (
                '<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error>'
                f"<Type>Sender</Type><Code>AccessDenied</Code><Message>{text}</Message>"
                "</Error><RequestId>1</RequestId></ErrorResponse>"
            )
            return Response(body, 403, media_type="text/xml")
        expires = datetime.now(UTC) + self.lasts
        name = role.rpartition("/")[2]
        return _xml(
            "AssumeRole",
            f"<AssumedRoleUser><Arn>{role}/x</Arn><AssumedRoleId>A:x</AssumedRoleId>"
            f"</AssumedRoleUser><Credentials><AccessKeyId>{name}-{len(self.assumed)}</AccessKeyId>"
            "<SecretAccessKey>planted-secret</SecretAccessKey><SessionToken>planted</SessionToken>"
            f"<Expiration>{expires:%Y-%m-%dT%H:%M:%SZ}</Expiration></Credentials>",
        )


def sts_app(sts: Sts) -> Starlette:
    return Starlette(routes=[Route("/", sts.answer, methods=["POST"])])


def _xml(action: str, result: str) -> Response:
    body = (
        f'<{action}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
        f"<{action}Result>{result}</{action}Result>"
        f"<ResponseMetadata><RequestId>1</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(body, media_type="text/xml")


class Signers:
    """An ASGI app with a note of whose access key each request to it is signed with."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.keys: list[str] = []
        self.regions: list[str] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = scope.get("headers", [])
        signed = dict(headers).get(b"authorization", b"").decode()
        if "Credential=" in signed:
            key, _, region, *_ = signed.partition("Credential=")[2].split("/")
            self.keys.append(key)
            self.regions.append(region)
        await self._app(scope, receive, send)
