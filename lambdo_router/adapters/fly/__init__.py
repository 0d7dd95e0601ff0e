"""
Fly's Machines API, as the router uses it: create a Machine, find one that may exist already, and
follow it to its end.

    launcher.py   creates and finds Machines                            start here
    watching.py   lists, ends, metadata, destruction
    inspection.py what a token may do, and Fly's regions
    ends.py       from a Machine's events to its end                    pure
    client.py     the calls, over adapters/http.py
    answers.py    what an answer means, and whether to retry: one table
    address.py    the API's address and the Authorization header
    lists.py, pace.py   lists larger than memory; the rate of calls that Fly accepts
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
