"""The handler of main.py as a coroutine function."""

import asyncio
from pathlib import Path
from typing import Any

from main import ACTIONS  # type: ignore[import-not-found]  # it is beside this file


async def handler(event: dict[str, Any], context: Any) -> None:
    if event["do"] != "wait":
        ACTIONS[event["do"]](event, context)
        return
    print("waiting")
    while not Path(event["path"]).exists():  # noqa: ASYNC110, ASYNC240 - another process makes it
        await asyncio.sleep(0.005)
    print("waited")
