"""Free TCP ports on loopback for servers that must be told their port before they start."""

import random
import socket
from pathlib import Path

from epassport_sandbox.errors import StackUnavailable

HOST = "127.0.0.1"
KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def free_port(*, but_not: int | None = None) -> int:
    """A port that nobody listens on, below those which the kernel gives to clients.

    A port from the kernel's own range could be taken by any outgoing connection between
    this answer and the server's bind; drawing at random keeps two starting stacks apart.
    """
    first_client_port = int(KERNEL_RANGE.read_text().split()[0])
    lowest = 10_000 if first_client_port > 20_000 else 1_024
    draw = random.SystemRandom()
    for _ in range(200):
        port = draw.randrange(lowest, first_client_port)
        if port == but_not:
            continue
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise StackUnavailable(f"no free port on {HOST} between {lowest} and {first_client_port}")
