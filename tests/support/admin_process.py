"""`lambdo-router run` as a process whose own server is asked over HTTP."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from router_process import ROUTES, World, world

ADMIN_TOKEN = "planted-admin-token-0123456789"


SECRET = "planted-secret-of-a-job"


@dataclass
class Running:
    """A router process, and the way to its server."""

    here: World
    process: asyncio.subprocess.Process
    http: httpx.AsyncClient
    url: str = ""

    async def said(self, *events: str) -> dict[str, Any]:
        """The last log line, once there was one of each of these events."""
        wanted = set(events)
        line: dict[str, Any] = {}
        assert self.process.stderr is not None
        async with asyncio.timeout(30):
            while wanted:
                text = (await self.process.stderr.readline()).decode()
                assert text, f"it has ended without {wanted}"
                line = json.loads(text) if text.startswith("{") else {}
                wanted -= {line.get("event", "")}
        return line

    async def get(self, path: str) -> httpx.Response:
        return await self.http.get(self.url + path)

    async def reload(self) -> httpx.Response:
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        return await self.http.post(f"{self.url}/-/reload", headers=headers)

    async def command(self, *arguments: str) -> tuple[int, str]:
        asking = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "lambdo_router", *arguments),
            env={"LAMBDO_ADMIN_PORT": self.url.rpartition(":")[2]},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        out, _ = await asyncio.wait_for(asking.communicate(), 30)
        return asking.returncode or 0, out.decode()


@asynccontextmanager
async def started(folder: Path, routes: str = ROUTES, **changes: str) -> AsyncIterator[Running]:
    async with world(folder, routes) as here:
        process = await here.start(LAMBDO_ADMIN_TOKEN=ADMIN_TOKEN, S=SECRET, **changes)
        async with httpx.AsyncClient(timeout=30) as http:
            running = Running(here, process, http)
            try:
                listening = await running.said("admin.listening")
                running.url = f"http://127.0.0.1:{listening['url'].rpartition(':')[2]}"
                yield running
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.communicate()
