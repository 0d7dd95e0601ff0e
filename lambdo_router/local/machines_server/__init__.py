"""
A simulated Machines API, for `dev`, `demo` and the tests: Fly on this machine.

It speaks the Machines API to any client, keeps Machines through their whole life, and runs their
commands as local processes. Read it in this order:

    server.py        the server at work: clock and commands            start here
    platform.py      all Machines, and what happens to them when       pure
    record.py        one Machine, and how the API shows it             pure
    requests.py      what a create may ask for                         pure
    refusals.py      the API's own words for no                        pure
    regions.py, limits.py, access.py, identities.py, mishaps.py        pure
    calls.py         which calls came in, and which were too many      pure
    runners.py       what runs inside: the seam, and a pretender that follows a scenario
    processes.py     local processes
    http.py          the API; about.py what it says of itself

Typical use:

    machines = MachinesServer(ProcessRunner(default_folder=folder), Access({token: None}))
    async with machines.running(), serve(machines_app(machines)) as base_url:
        ...
"""

from lambdo_router.local.machines_server.access import Access
from lambdo_router.local.machines_server.calls import Call, Calls
from lambdo_router.local.machines_server.http import SERVICE, action_of, machines_app
from lambdo_router.local.machines_server.limits import RateLimits
from lambdo_router.local.machines_server.mishaps import Happened, Mishap, Mishaps
from lambdo_router.local.machines_server.platform import AT_ONCE, QUICK, Delays, Platform
from lambdo_router.local.machines_server.processes import ProcessRunner
from lambdo_router.local.machines_server.record import (
    OUT_OF_MEMORY,
    Exit,
    MachineEvent,
    MachineRecord,
)
from lambdo_router.local.machines_server.runners import (
    NEVER,
    Job,
    Runner,
    ScriptedRunner,
    SeededSeconds,
    by_route,
)
from lambdo_router.local.machines_server.server import MachinesServer

__all__ = [
    "AT_ONCE",
    "NEVER",
    "OUT_OF_MEMORY",
    "QUICK",
    "SERVICE",
    "Access",
    "Call",
    "Calls",
    "Delays",
    "Exit",
    "Happened",
    "Job",
    "MachineEvent",
    "MachineRecord",
    "MachinesServer",
    "Mishap",
    "Mishaps",
    "Platform",
    "ProcessRunner",
    "RateLimits",
    "Runner",
    "ScriptedRunner",
    "SeededSeconds",
    "action_of",
    "by_route",
    "machines_app",
]
