"""The feed misses and repeats nothing, and the audit trail shows every hand that was laid on it."""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, connections
from jsonschema import Draft202012Validator

from tenants import clock
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.events import record_event, registered_events
from tenants.models import AuditEntry, Event, EventPosition, Tenant, Unsealed
from tenants.sealing import seal_audit, seal_events, tell_heads
from tests.databases import OwnDatabase
from tests.people import SETUP, People, make_people

ROOT = Path(__file__).resolve().parent.parent.parent
WRITER = """
import sys, django; django.setup()
from tenants.actors import system; from tenants.audit import record_audit; from tenants.context import acting_as
from tenants.events import record_event; from tenants.models import Tenant; from django.db import transaction
import random, time
me, number = system("writer"), int(sys.argv[1])
for n in range(60):
    with acting_as(me):
        tenant = Tenant.objects.order_by("slug")[n % 2]
        record_event("tenant.created", subject_type="tenant", subject_key=f"{number}-{n}", tenant_id=tenant.id)
        record_audit(me, "written", subject_type="x", subject_key=f"{number}-{n}", tenant_id=tenant.id)
        time.sleep(random.random() * 0.02)  # smaller ids commit later than bigger ones
        if n % 10 == 9: transaction.set_rollback(True)
"""


def test_eight_writers_and_two_sealers_miss_and_repeat_nothing(own_database: OwnDatabase) -> None:
    """Real processes, real commits; a reader follows the feed by position all the while."""
    people = make_people()
    environment = {**os.environ, **own_database.environment, "DJANGO_SETTINGS_MODULE": "gateway.settings"}
    command = [sys.executable, "-c"]
    writers = [subprocess.Popen([*command, WRITER, str(n)], env=environment, cwd=ROOT) for n in range(8)]
    sealer = "import django; django.setup()\nfrom tenants.sealing import seal_audit, seal_events\nwhile True: seal_events(); seal_audit()"
    sealers = [subprocess.Popen([*command, sealer], env=environment, cwd=ROOT) for _ in range(2)]
    read: list[tuple[int, str]] = []
    try:
        while any(writer.poll() is None for writer in writers):
            read += follow(people, read)
        assert [writer.returncode for writer in writers] == [0] * 8
    finally:
        for process in (*sealers, *writers):
            process.kill()
            process.wait()
    read += follow(people, read)
    expected = {f"{number}-{n}" for number in range(8) for n in range(60) if n % 10 != 9} | {"acme", "globex"}
    assert len(read) == len(expected)
    assert {subject for _, subject in read} == expected
    assert [position for position, _ in read] == list(range(1, len(read) + 1)), "gapless and in order"
    seal_audit()
    with acting_as(SETUP):
        assert Unsealed.objects.count() == 0
        for slug in ("acme", "globex"):
            places = (
                EventPosition.objects.filter(tenant__slug=slug).order_by("position").values_list("position", flat=True)
            )
            assert list(places) == list(range(1, len(places) + 1))
    assert "All hold." in verify()


def follow(people: People, read: list[tuple[int, str]]) -> list[tuple[int, str]]:
    after = read[-1][0] if read else 0
    rows = people.operator.get(f"events?after={after}&limit=500").json()["results"]
    return [(row["position"], row["subject"]["id"]) for row in rows]


def verify(*arguments: str) -> str:
    out = StringIO()
    call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()


def faults(*arguments: str) -> str:
    out = StringIO()
    with pytest.raises(CommandError, match="faults"):
        call_command("verify_audit", *arguments, stdout=out)
    return out.getvalue()


@pytest.fixture
def trail(own_database: OwnDatabase) -> list[AuditEntry]:
    """Ten sealed entries of acme's, in a database whose owner may be dishonest."""
    make_people()
    acme = Tenant(id=People.tenant("acme").id)
    for n in range(8):
        with acting_as(SETUP):
            record_audit(
                SETUP, "act", subject_type="x", subject_key=n, tenant_id=acme.id, after={"n": n, "amount": "1.5"}
            )
    seal_audit()
    with acting_as(SETUP):
        return list(AuditEntry.objects.filter(tenant=acme.id).order_by("id"))


def tamper(sql: str, *parameters: Any) -> None:
    """As a superuser who switched the triggers off."""
    from django.conf import settings

    from gateway.processes.locations import runtime_dir
    from gateway.processes.postgres import connect_as_superuser

    name = connections.settings["default"]["NAME"]
    with connect_as_superuser(runtime_dir(settings.FLEXGATE_DATA), name) as raw:
        raw.execute("SET session_replication_role = replica")
        raw.execute(sql, parameters)


def test_an_honest_trail_holds(trail: list[AuditEntry]) -> None:
    assert "All hold." in verify()


INSERT = """INSERT INTO tenants_auditentry (id, at, tenant_id, actor, address, action, subject_type, subject_key, request_id)
    SELECT gen_random_uuid(), now(), tenant_id, 'x', '', 'forged', 'x', 'x', '' FROM tenants_auditentry WHERE id = %s"""
CUT = """WITH last AS (DELETE FROM tenants_auditseal WHERE tenant_id = (SELECT tenant_id FROM tenants_auditentry WHERE id = %s)
    AND position > 5 RETURNING entry_id) DELETE FROM tenants_auditentry WHERE id IN (SELECT entry_id FROM last)"""
REMOVE = """WITH gone AS (DELETE FROM tenants_auditseal WHERE entry_id = %s RETURNING entry_id)
    DELETE FROM tenants_auditentry WHERE id IN (SELECT entry_id FROM gone)"""
JUNK_SEAL = f"""WITH made AS ({INSERT} RETURNING id, tenant_id)
    INSERT INTO tenants_auditseal (entry_id, position, previous_hash, hash, key_id, sealed_at, tenant_id)
    SELECT id, 99, repeat('0', 64), repeat('0', 64), '1', now(), tenant_id FROM made"""
TAMPERING = {
    "changed": ("UPDATE tenants_auditentry SET after = '{\"n\": 7}' WHERE id = %s", "was changed"),
    "a number for a text": (
        "UPDATE tenants_auditentry SET after = jsonb_set(after, '{amount}', '1.5') WHERE id = %s",
        "was changed",
    ),
    "moved in time": (
        "UPDATE tenants_auditseal SET sealed_at = now() - interval '1 h' WHERE entry_id = %s",
        "was changed",
    ),
    "removed": ("DELETE FROM tenants_auditentry WHERE id = %s", "was removed"),
    "removed with its seal": (REMOVE, "removed, with its seal"),
    "inserted": (INSERT, "was inserted past the trail"),
    "inserted, with a junk seal": (JUNK_SEAL, "removed, with its seal"),
    "given to another tenant": (
        "UPDATE tenants_auditentry SET tenant_id = (SELECT id FROM tenants_tenant WHERE slug = 'globex') WHERE id = %s",
        "was changed",
    ),
    "a chain of no tenant": (
        "UPDATE tenants_auditseal SET tenant_id = gen_random_uuid() WHERE entry_id = %s",
        "belong to no tenant",
    ),
}


@pytest.mark.parametrize("what", TAMPERING)
def test_tampering_is_found(trail: list[AuditEntry], what: str) -> None:
    sql, told = TAMPERING[what]
    tamper(sql, trail[4].id)
    assert told in faults()


def log_of(work: Callable[[], Any]) -> str:
    """What the gateway's own handler would have written."""
    written = StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logging.getLogger().handlers[0].formatter)
    logger = logging.getLogger("flexgate.audit")
    logger.addHandler(handler)
    try:
        work()
    finally:
        logger.removeHandler(handler)
    return written.getvalue()


def test_a_cut_tail_shows_by_the_heads_inside_and_by_those_that_were_logged(
    trail: list[AuditEntry], tmp_path: Path
) -> None:
    log = tmp_path / "log"
    log.write_text(log_of(tell_heads) + "another program's line\n")
    assert "All hold." in verify("--heads", str(log))
    tamper(CUT, trail[0].id)
    assert "cut off; its head was told" in faults()
    tamper("DELETE FROM tenants_audithead")
    assert "All hold. Without --heads" in verify(), "inside the database nothing is left that knows better"
    assert "acme 11: cut off; its head was told" in faults("--heads", str(log))


def test_what_was_sealed_late_is_said_and_is_no_fault(own_database: OwnDatabase) -> None:
    """After an upgrade, or a day without a worker."""
    make_people()
    with time_machine.travel(clock.now() + timedelta(days=3), tick=True):
        told = verify()
    assert "were sealed more than a day after the moment they name" in told
    assert "All hold." in told


@pytest.mark.parametrize(
    "line", ['{"event": "audit head"}', '{"event": "audit head", "chain_id": "", "position": "x", "hash": ""}']
)
def test_a_head_that_can_not_be_read_is_told(trail: list[AuditEntry], tmp_path: Path, line: str) -> None:
    (tmp_path / "log").write_text(line)
    with pytest.raises(CommandError, match="has a head that can't be read"):
        verify("--heads", str(tmp_path / "log"))


def test_what_is_not_sealed_yet_is_named(trail: list[AuditEntry]) -> None:
    tamper("INSERT INTO tenants_unsealed VALUES (gen_random_uuid(), 'audit')")
    assert "was removed before it was sealed" in faults()


@pytest.mark.parametrize("table", ["tenants_auditentry", "tenants_event", "tenants_auditseal", "tenants_eventposition"])
@pytest.mark.parametrize("act", ["UPDATE {} SET tenant_id = NULL", "DELETE FROM {}", "TRUNCATE {} CASCADE"])
def test_records_are_append_only_for_their_owner_too(trail: list[AuditEntry], table: str, act: str) -> None:
    """By trigger; the gateway's own roles already lack the right."""
    seal_events()
    with connections["owner"].cursor() as cursor, pytest.raises(DatabaseError, match="append-only"):
        cursor.execute(act.format(table))
    with pytest.raises(DatabaseError, match="permission denied"), acting_as(SETUP), connection.cursor() as cursor:
        cursor.execute(act.format(table))


def test_every_type_has_a_schema_and_wrong_data_is_never_told(people: People) -> None:
    shown = people.acme.get("event-types").json()["results"]
    assert [row["type"] for row in shown] == sorted(registered_events())
    for row in shown:
        Draft202012Validator.check_schema(row["schema"])
        assert row["meaning"].endswith(".")
    with acting_as(SETUP):
        for name, data in (
            ("nobody.knows", {}),
            ("points.corrected", {"day": "2026-08-01"}),
            ("tenant.created", {"more": 1}),
        ):
            with pytest.raises(Exception, match=r"not registered|required|Additional"):
                record_event(name, subject_type="x", subject_key="x", tenant_id=None, data=data)
        assert set(Event.objects.values_list("type", flat=True)) == {"tenant.created"}


def test_the_feed_is_read_from_a_position_on(people: People) -> None:
    for name in ("one", "two", "three"):
        people.operator.patch("tenants/acme", {"status": "suspended", "name": name})
        people.operator.patch("tenants/acme", {"status": "active"})
    first = people.acme.get("events?limit=3").json()
    assert [row["position"] for row in first["results"]] == [1, 2, 3]
    rest = people.acme.get(first["next"]).json()
    assert [row["position"] for row in rest["results"]] == [4, 5, 6]
    assert people.acme.get(rest["next"]).json()["results"][0]["type"] == "tenant.active"
    assert people.acme.get("events?after=7").json() == {"next": None, "previous": None, "results": []}
    assert {row["tenant"] for row in people.globex.get("events").json()["results"]} == {"globex"}
    assert [row["position"] for row in people.operator.get("events?tenant=globex").json()["results"]] == [1]
    assert people.acme.get("events?type=nobody.knows").status_code == 400
    assert [row["type"] for row in people.acme.get("events?type=tenant.created").json()["results"]] == [
        "tenant.created"
    ]


def test_a_tenant_reads_its_own_trail_and_no_operators_names(people: People) -> None:
    people.operator.patch("tenants/acme", {"name": "Acme AG"})
    people.acme.post("tenants/acme/tokens", {"name": "ci", "scopes": ["entitlements:read"]})
    seal_audit()
    own, changed = people.acme.get("audit").json()["results"][:2]
    assert (own["action"], own["actor"], own["address"]) == ("token.issued", f"token {people.acme.row.id}", "127.0.0.1")  # type: ignore[union-attr]
    assert (changed["action"], changed["actor"], changed["address"]) == ("tenant.changed", "operator", "")
    assert (changed["before"]["name"], changed["after"]["name"]) == ("Acme GmbH", "Acme AG")
    assert own["position"] == changed["position"] + 1
    assert people.acme.get(f"audit?request_id={own['request_id']}").json()["results"] == [own]
    lines = people.acme.get("audit/export").content.decode().splitlines()
    assert json.loads(lines[-1]) == own
    assert people.operator.get("audit?tenant=acme").json()["results"][1]["actor"].startswith("token ")
    assert "Acme" not in people.globex.get("audit/export").content.decode()


def test_refusals_that_matter_are_on_record(people: People) -> None:
    people.acme_restricted.post("entitlements", {})
    people.acme.get("api-users")
    with acting_as(SETUP):
        rows = AuditEntry.objects.filter(action="request.refused").order_by("id").values_list("subject_key", "after")
        assert list(rows) == [
            ("api/v1/entitlements", {"code": "insufficient_scope", "method": "POST"}),
            ("api/v1/api-users", {"code": "operator_only", "method": "GET"}),
        ]
