"""Commands: what they print, what they refuse, and their exit code."""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from gateway.models import ApiUser, Program
from gateway.sandbox import serve_sandbox
from tenants.context import acting_as
from tests.databases import OwnDatabase
from tests.people import SETUP
from tests.worlds import make_sandbox

ROOT = Path(__file__).resolve().parent.parent.parent


def run(*arguments: str, environment: dict[str, str], stdin: str = "") -> "subprocess.CompletedProcess[str]":
    env = {**os.environ, "COLUMNS": "200", **environment}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env=env,
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_an_api_user_is_added_mirrored_and_read(own_database: OwnDatabase) -> None:
    server = serve_sandbox(make_sandbox())
    environment = own_database.environment
    try:
        urls = ["--api-url", server.api_url, "--auth-url", server.auth_url]
        wrong = run("add_api_user", "main", "--username", "user", *urls, environment=environment, stdin="nope\n")
        assert (wrong.returncode, "does not let this API user in" in wrong.stderr) == (1, True)
        with acting_as(SETUP):
            assert not ApiUser.objects.exists()
        added = run(
            "add_api_user",
            "main",
            "--username",
            "user",
            *urls,
            "--per-minute",
            "5000",
            "--tags-follow",
            environment=environment,
            stdin="password\n",
        )
        assert added.returncode == 0, added.stderr
        assert "password" not in added.stdout
        synced = run("sync", environment=environment)
        assert synced.returncode == 0, synced.stdout + synced.stderr
        with acting_as(SETUP):
            assert Program.objects.count() == 1
            assert ApiUser.objects.get().tags_follow
            assert ApiUser.objects.get().per_minute == 5000
        pulled = run("pull_points", "--window-days", "5", environment=environment)
        assert pulled.returncode == 0, pulled.stdout + pulled.stderr
        assert "5 days answered" in pulled.stdout
        assert "difference 0.0000" in pulled.stdout
        assert run("sync", "--api-user", "nobody", environment=environment).returncode == 1
        early = run("issue_statements", "--month", "2199-01", environment=environment)
        assert (early.returncode, "can be issued from" in early.stderr) == (1, True)
    finally:
        server.close()


def test_a_token_is_printed_alone(own_database: OwnDatabase) -> None:
    made = run("issue_token", "me", "--operator", environment=own_database.environment)
    assert made.returncode == 0
    assert made.stdout.startswith("fxg_operator_test_")
    assert len(made.stdout.split()) == 1
    for wrong in (
        ["--tenant", "nobody"],
        ["--operator", "--scope", "nonsense"],
        ["--operator", "--expires", "soon"],
        [],
    ):
        assert run("issue_token", "me", *wrong, environment=own_database.environment).returncode != 0


def test_the_sandbox_keeps_its_state_between_runs(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    for _ in range(2):
        child = subprocess.Popen(
            [sys.executable, "manage.py", "sandbox", "--port", "0", "--state", str(state)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        url = child.stdout.readline().split()[2]
        with httpx.Client(trust_env=False) as http:
            listed = http.post(f"{url}/sandbox/entitlements").json()
            assert listed == []
        child.terminate()
        child.communicate(timeout=20)
        assert child.returncode == 0
    assert "fgt-2c-ent" in state.read_text()


@pytest.mark.parametrize(
    "command",
    [
        "serve",
        "sync",
        "pull_points",
        "reconcile",
        "issue_statements",
        "export_statements",
        "demo",
        "sandbox",
        "apply_assignment_rules",
    ],
)
def test_every_command_explains_itself(command: str) -> None:
    done = run(command, "--help", environment={})
    assert done.returncode == 0
    assert "usage:" in done.stdout


def test_production_refuses_to_start_with_what_is_missing(tmp_path: Path) -> None:
    done = run("check", environment={"FLEXGATE_DEBUG": "0", "FLEXGATE_DATA": str(tmp_path)})
    assert done.returncode == 1
    assert "FLEXGATE_SECRET_KEY is not set" in done.stderr
    assert "Traceback" not in done.stderr
