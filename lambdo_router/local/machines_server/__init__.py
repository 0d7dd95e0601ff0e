"""
A simulated Machines API for `dev`, `demo` and the tests: Fly on this machine.

It answers the calls that the router makes, takes Machines through their whole life, and runs their
commands as local processes. What the router never sends has no effect here: restart policies,
services, mounts, checks. Read it in this order:

    server.py        all Machines, and how each gets to its end        start here
    machine.py       one Machine, and how the API shows it
    create.py        what a create may ask for
    refusals.py      the API's error answers
    mishaps.py       what goes wrong at Fly itself, for the tests
    processes.py     what runs inside: local processes
    api.py           the API over HTTP; access.py: who may call it, and how often

Typical use:

    machines = MachinesServer(ProcessRunner(folder), Access({token: None}))
    async with machines.running(), serve(machines_app(machines)) as base_url:
        ...
"""

from lambdo_router.local.machines_server.access import Access, ApiCall, RateLimits
from lambdo_router.local.machines_server.api import SERVICE, action_of, machines_app
from lambdo_router.local.machines_server.machine import Exit, MachineEvent, MachineRecord
from lambdo_router.local.machines_server.mishaps import Happened, Mishap, Mishaps
from lambdo_router.local.machines_server.processes import ProcessRunner
from lambdo_router.local.machines_server.server import AT_ONCE, Delays, MachinesServer, Runner

__all__ = [
    "AT_ONCE",
    "SERVICE",
    "Access",
    "ApiCall",
    "Delays",
    "Exit",
    "Happened",
    "MachineEvent",
    "MachineRecord",
    "MachinesServer",
    "Mishap",
    "Mishaps",
    "ProcessRunner",
    "RateLimits",
    "Runner",
    "action_of",
    "machines_app",
]
