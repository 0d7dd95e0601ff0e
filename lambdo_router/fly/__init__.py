"""
Fly's Machines API, as the router uses it: create a Machine, and find one that may exist already.

    address.py    where the API is, and how a token is presented
    answers.py    what an answer says, and whether another try is worth it: one table
    launcher.py   the calls themselves, over httpx
"""

from lambdo_router.fly.address import PUBLIC_API
from lambdo_router.fly.launcher import FlyLauncher

__all__ = ["PUBLIC_API", "FlyLauncher"]
