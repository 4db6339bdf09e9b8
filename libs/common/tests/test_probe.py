"""The probe asks the port that its own container's process was given."""

import http.server
import threading
from collections.abc import Iterator

import pytest

from epassport_probe.__main__ import port_of, status_of


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/livez" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Nothing: the test looks at what the probe says."""


@pytest.fixture
def port() -> Iterator[int]:
    with http.server.HTTPServer(("127.0.0.1", 0), _Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


ENVIRONMENT = {"EPASSPORT_HTTP_PORT": "8080", "EPASSPORT_HEALTH_PORT": "8081"}


@pytest.mark.parametrize(
    ("command", "asked"),
    [
        ("python -m enrollment all ", 8080),
        ("python -m enrollment serve ", 8080),
        ("python -m enrollment consume ", 8081),
        ("/sbin/docker-init -- python -m enrollment work ", 8081),
    ],
)
def test_each_process_is_asked_where_it_answers(command: str, asked: int) -> None:
    assert port_of(ENVIRONMENT, command) == asked


def test_without_a_health_port_the_http_port_is_asked() -> None:
    assert port_of({"EPASSPORT_HTTP_PORT": "8090"}, "python -m epassport_sandbox.oidc") == 8090
    assert port_of({}, "python -m enrollment all") == 8080


def test_the_status_is_the_answers(port: int) -> None:
    assert (status_of(port, "livez"), status_of(port, "readyz")) == (200, 503)


def test_where_nobody_answers_the_probe_fails(port: int) -> None:
    with pytest.raises(OSError, match=r"refused"):
        status_of(1, "livez")
