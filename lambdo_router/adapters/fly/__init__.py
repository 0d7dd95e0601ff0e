"""
Fly's Machines API, as the router uses it: create a Machine, find one that may exist already, and
learn what becomes of it.

    launcher.py   creating and finding                                  start here
    watching.py   what is there, how it ended, metadata, destruction
    inspection.py what Fly says of a token, and of its regions
    ends.py       from a Machine's events to its end                    pure
    client.py     the calls themselves, over httpx
    answers.py    what an answer says, and whether another try is worth it: one table
    address.py    where the API is, and how a token is presented
    lists.py, pace.py   lists longer than memory; no more calls than Fly takes
"""

from lambdo_router.adapters.fly.address import PUBLIC_API
from lambdo_router.adapters.fly.inspection import FlyInspector
from lambdo_router.adapters.fly.launcher import FlyLauncher
from lambdo_router.adapters.fly.watching import FlyWatcher

__all__ = ["PUBLIC_API", "FlyInspector", "FlyLauncher", "FlyMachines", "FlyWatcher"]


class FlyMachines(FlyLauncher, FlyWatcher, FlyInspector):
    """
    Machines from launch to end, and questions before the first: the same connections, one pace.

    Both a `ports.MachineLauncher` and a `ports.MachineWatcher`: a Machine that was launched here is
    not taken for unknown by the watching before Fly has had time to show it.
    """
