"""The gate for known vulnerabilities really looks: a planted advisory fails it."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.audit_dependencies import main

ADVISORY = {
    "id": "PYSEC-2026-9999",
    "summary": "planted",
    "affected": [{"package": {"name": "django", "ecosystem": "PyPI"}, "ranges": [], "versions": []}],
}


class Osv(BaseHTTPRequestHandler):
    """An advisory service that knows one thing about one package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        vulnerable = asked["package"]["name"] == "django"
        body = json.dumps({"vulns": [ADVISORY] if vulnerable else []}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def service() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Osv)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1/query"
    server.shutdown()
    server.server_close()


def test_a_planted_advisory_fails_the_gate(service: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--vulnerability-service", "osv", "--osv-url", service]) == 1
    told = capsys.readouterr().out
    assert "django 5.2" in told
    assert "PYSEC-2026-9999 is not excused" in told
    assert "none left out" in told


def test_a_service_that_is_not_reached_is_told(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ["--vulnerability-service", "osv", "--osv-url", "http://127.0.0.1:1/v1/query"]
    assert main(arguments) == 0
    assert "0 of all locked packages looked up" in capsys.readouterr().out
    monkeypatch.setenv("FLEXGATE_ALL_TOOLS", "1")
    assert main(arguments) == 1
