"""What commands print can be used: ids whole, and others' words as they are."""

from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from tests.gateway.test_mirror_passes import WatchedTransport, watched
from tests.people import People
from tests.worlds import SandboxWorld

__all__ = ["watched"]
ODD = "Denied [/value] of [red]these[/red]"


def refuse_lists(path: str, body: dict[str, Any]) -> httpx.Response | None:
    refusal = {"status": -1, "message": ODD, "error": None}
    return httpx.Response(400, json=refusal) if path == "entitlements/list" else None


def test_reconcile_names_an_operation_that_can_be_asked_for(
    people: People, world: SandboxWorld, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    people.operator.post(f"configs/{world.config_id}/offers", {"tenant": "acme"})
    world.sandbox.plan_fault("entitlements/vm/create", "cut", when="after")
    operation = people.acme.post("entitlements", {"config": world.config_id}).json()["operation"]["id"]
    monkeypatch.setenv("COLUMNS", "80")
    call_command("reconcile", "--no-sync")
    assert operation in capsys.readouterr().out


@pytest.mark.parametrize("command", ["sync", "reconcile"])
def test_fortiflexs_words_are_printed_as_they_are(
    people: People,
    watched: WatchedTransport,
    capsys: pytest.CaptureFixture[str],
    command: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    watched.before = refuse_lists
    with pytest.raises(CommandError, match="Not everything"):
        call_command(command)
    assert ODD in capsys.readouterr().out
