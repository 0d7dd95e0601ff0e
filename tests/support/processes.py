"""What tests need to know of this machine to start a router on it, and of the router then."""

import socket
from contextlib import ExitStack
from pathlib import Path


def free_ports(count: int) -> list[int]:
    """So many different ports on which nobody listens."""
    with ExitStack() as held:
        listeners = [held.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def free_port() -> int:
    """A port on which nobody listens."""
    return free_ports(1)[0]


def peak_rss(pid: int) -> int:
    """KiB of memory that the process has had at most (Linux); 0 if it is gone."""
    status = Path(f"/proc/{pid}/status")
    lines = status.read_text().splitlines() if status.exists() else ()
    return next((int(line.split()[1]) for line in lines if line.startswith("VmHWM")), 0)
