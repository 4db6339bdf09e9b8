"""`python -m epassport_probe [livez | readyz]`: what a container engine asks every few seconds.

Exit code 0 where this container's process answers 2xx, else 1 with one line. The port is the one
that the process itself was given: EPASSPORT_HEALTH_PORT, or of `serve` and `all` the HTTP port.

A package beside `epassport`, not in it: importing that costs half a second of a core, and five
services asked every five seconds would spend half a core on being asked.
"""

import os
import socket
import sys
from collections.abc import Mapping, Sequence

SECONDS = 3.0
DEFAULT_PORT = "8080"


def port_of(environment: Mapping[str, str], command: str) -> int:
    """command: what process 1 runs, as `python -m enrollment consume`."""
    http = environment.get("EPASSPORT_HTTP_PORT", DEFAULT_PORT)
    if command.split()[-1:] in (["serve"], ["all"]):
        return int(http)
    return int(environment.get("EPASSPORT_HEALTH_PORT") or http)


def status_of(port: int, path: str) -> int:
    """Of one GET on loopback. Raises OSError where nobody answers, ValueError where not in HTTP."""
    request = f"GET /{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("127.0.0.1", port), timeout=SECONDS) as connection:
        connection.settimeout(SECONDS)
        connection.sendall(request.encode())
        first_line = connection.makefile("rb").readline(200).split()
    if len(first_line) < 2 or not first_line[0].startswith(b"HTTP/"):
        raise ValueError("not HTTP")
    return int(first_line[1])


def main(arguments: Sequence[str]) -> int:
    path = arguments[0] if arguments else "readyz"
    with open("/proc/1/cmdline", "rb") as command:
        port = port_of(os.environ, command.read().replace(b"\0", b" ").decode())
    try:
        status = status_of(port, path)
    except (OSError, ValueError) as error:
        sys.stderr.write(f"/{path} on port {port}: {type(error).__name__}\n")
        return 1
    if not 200 <= status < 300:
        sys.stderr.write(f"/{path} on port {port}: {status}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
