"""Canaries: planted secrets, and every place where one could come out. Each place is first shown to be looked at."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.core.management import CommandError, call_command
from django.db import connections

from gateway.credentials import ApiUserFields, read_password, reencrypt_secrets, save_api_user
from gateway.models import ApiUser, UpstreamLane
from gateway.tasks import pull_one, sync_one
from gateway.upstream import client_for
from tenants import secrets
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import Token
from tenants.secrets import SecretUnreadable, decrypt_text, encrypt_text
from tenants.token_format import parse_token
from tests.people import SETUP, ApiClient, People
from tests.tenants.test_staff import every_page, first_keys, make_user, sign_in
from tests.worlds import API_URL, AUTH_URL, SandboxWorld

PASSWORD = "canary-of-fortinet-7391"


@pytest.fixture
def planted(people: People, world: SandboxWorld) -> list[str]:
    """Fortinet's password and access token, and our own tokens' secrets."""
    world.sandbox.add_api_user("canary", PASSWORD)
    fields = ApiUserFields(username="canary", password=PASSWORD, api_url=API_URL, auth_url=AUTH_URL)
    row, _ = save_api_user(SETUP, name="main", fields=fields)

    world.sync()
    with acting_as(SETUP):
        lane = UpstreamLane.objects.get(api_user=row)
        access = decrypt_text(lane.access_token_encrypted, bound_to=f"lane:{row.id}:access_token")
    made = people.acme.post("tenants/acme/tokens", {"name": "canary"}).json()
    return [
        PASSWORD,
        access,
        made["secret"],
        str(people.acme.token).split("_")[4],
        str(people.operator.token).split("_")[4],
    ]


@contextmanager
def everything_logged() -> Iterator[StringIO]:
    """The gateway's own log at its most talkative."""
    written, root = StringIO(), logging.getLogger()
    handler = logging.StreamHandler(written)
    handler.setFormatter(root.handlers[0].formatter)
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    for name in ("httpx", "httpcore", "django.request"):
        logging.getLogger(name).setLevel(logging.DEBUG)
    try:
        yield written
    finally:
        root.removeHandler(handler)
        root.setLevel(level)


def found_in(text: str, planted: list[str]) -> list[str]:
    return [secret[:6] for secret in planted if secret in text]


def test_no_log_line_has_one(people: People, world: SandboxWorld, planted: list[str]) -> None:
    with everything_logged() as written:
        logging.getLogger("flexgate").warning("a line with %s", "canary")
        people.acme.get("entitlements")
        ApiClient(str(people.acme.token)[:-1] + "x").get("whoami")
        people.operator.patch("api-users/main", {"password": PASSWORD, "username": "canary"})
        people.operator.patch("api-users/main", {"password": "wrong " + PASSWORD})
        people.acme.send("POST", "entitlements", b'{"password": "' + PASSWORD.encode() + b'"}')
        world.sandbox.plan_fault("entitlements/list", "cut")
        sync_one(str(world.api_user.id))
        pull_one(str(world.api_user.id))
        try:
            raise RuntimeError(f"Authorization: Bearer {people.acme.token}")
        except RuntimeError:
            logging.getLogger("flexgate").exception("it failed")
    text = written.getvalue()
    assert "a line with canary" in text
    assert "[hidden]" in text
    assert found_in(text, planted) == []


def test_no_metric_has_one_or_names_a_customer(people: People, world: SandboxWorld, planted: list[str]) -> None:
    serial = world.sandbox.create_vm(world.config_id)[0]
    world.sync()
    people.acme.get(f"entitlements/{serial}")
    text = people.operator.get("/metrics").content.decode()
    assert 'flexgate_requests_total{method="GET",route="api/v1/entitlements/<str:serial>",status="404"}' in text
    assert 'flexgate_upstream_calls_last_hour{of="main"}' in text
    assert found_in(text, [*planted, serial, "acme", "globex", "127.0.0.1"]) == []


def test_no_answer_has_one(people: People, world: SandboxWorld, planted: list[str]) -> None:
    paths = [
        "whoami",
        "tenants",
        "tenants/acme/tokens",
        "api-users",
        "api-users/main",
        "audit",
        "audit/export",
        "events",
        "operations",
    ]
    told = [people.operator.get(path).content.decode() for path in paths]
    assert "canary" in told[3], "the user name is no secret"
    told.append(people.operator.patch("api-users/main", {"password": "wrong " + PASSWORD}).content.decode())
    told.append(people.operator.post("api-users", {"name": "x", "password": PASSWORD, "nonsense": 1}).content.decode())
    told.append(people.acme.send("POST", "entitlements", b'{"x": ' + PASSWORD.encode()).content.decode())
    assert found_in("\n".join(told), planted) == []


def test_no_page_of_the_admin_has_one(people: People, world: SandboxWorld, planted: list[str]) -> None:
    make_user("root", superuser=True)
    client, _ = sign_in("root")
    keys = first_keys()
    pages = {path: code for path, code in every_page(client, pk_of=keys).items() if code == 200}
    assert len(pages) > len(admin.site._registry)
    for path in pages:
        text = client.get(path).content.decode()
        assert found_in(text, planted) == [], path
        with acting_as(SETUP):
            stored = [
                ApiUser.objects.get(name="main").password_encrypted,
                UpstreamLane.objects.get(api_user__name="main").access_token_encrypted,
            ]
        assert found_in(text, stored) == [], f"{path} shows a ciphertext"


def test_no_text_of_the_database_has_one(people: People, world: SandboxWorld, planted: list[str]) -> None:
    """Every column of every table that can hold text, bytes included."""
    people.acme.get("entitlements")
    with acting_as(SETUP), connections["default"].cursor() as cursor:
        cursor.execute(
            """
            SELECT c.table_name, c.column_name FROM information_schema.columns c JOIN pg_class p ON p.relname = c.table_name
            WHERE c.table_schema = 'public' AND c.data_type IN ('text', 'character varying', 'jsonb', 'bytea', 'ARRAY')
              AND has_column_privilege('flexgate_operator', p.oid, c.column_name, 'SELECT')
            """
        )
        columns = cursor.fetchall()
        assert len(columns) > 100
        seen = False
        for table, column in columns:
            cursor.execute(f'SELECT "{column}"::text FROM "{table}"')
            text = "\n".join(str(row[0]) for row in cursor.fetchall())
            seen = seen or "canary" in text
            hexed = [secret.encode().hex() for secret in planted]
            assert found_in(text, planted) + found_in(text, hexed) == [], f"{table}.{column}"
        assert seen, "the user name is there: the columns are really read"


def test_no_repr_and_no_task_has_one(people: People, world: SandboxWorld, planted: list[str]) -> None:
    with acting_as(SETUP):
        row = ApiUser.objects.get(name="main")
        token = Token.objects.get(id=people.acme.row.id)  # type: ignore[union-attr]
        objects: list[Any] = [row, row.lane, token, ApiUserFields(username="canary", password=PASSWORD)]
    objects += [
        client_for(row, interactive=True),
        parse_token(str(people.acme.token), environment="test"),
        people.acme.actor,
    ]
    told = "\n".join(f"{one!r} {one}" for one in objects)
    assert "canary" in told
    assert found_in(told, planted) == []
    arguments = sync_one.s(str(row.id))
    assert dict(arguments)["args"] == (str(row.id),), "tasks carry ids"


def test_an_error_in_a_view_tells_nothing(people: People, planted: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError(f"{PASSWORD} {people.acme.token}")

    monkeypatch.setattr("tenants.api.tenants.describe_tenant", fail)
    with everything_logged() as written:
        answer = people.acme.get("tenants/acme")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert found_in(answer.content.decode(), planted) == []
    assert "unhandled error" in written.getvalue()
    assert found_in(written.getvalue(), planted[1:]) == []


def test_a_ciphertext_is_of_use_in_its_own_row_alone(people: People) -> None:
    sealed = encrypt_text("text", bound_to="api_user:1:password")
    assert decrypt_text(sealed, bound_to="api_user:1:password") == "text"
    for other in ("api_user:2:password", "lane:1:access_token"):
        with pytest.raises(SecretUnreadable):
            decrypt_text(sealed, bound_to=other)


def test_keys_rotate_and_the_old_one_can_go(
    people: People, world: SandboxWorld, planted: list[str], settings: Any
) -> None:
    old = settings.FLEXGATE_CREDENTIAL_KEYS
    new = "2:" + "B" * 43 + "="
    with acting_as(SETUP):
        row = ApiUser.objects.get(name="main")
    try:
        settings.FLEXGATE_CREDENTIAL_KEYS = f"{new},{old}"
        secrets._keyring.cache_clear()
        out = StringIO()
        call_command("reencrypt_secrets", stdout=out)
        assert out.getvalue() == "2 renewed, 0 had the newest key already.\n"
        assert reencrypt_secrets(system("again")) == {"renewed": 0, "current": 2, "unreadable": 0}
        settings.FLEXGATE_CREDENTIAL_KEYS = new
        secrets._keyring.cache_clear()
        with acting_as(SETUP):
            row = ApiUser.objects.get(pk=row.pk)
        assert read_password(row) == PASSWORD
        settings.FLEXGATE_CREDENTIAL_KEYS = old
        secrets._keyring.cache_clear()
        with pytest.raises(CommandError, match="2 can't be read"):
            call_command("reencrypt_secrets", stdout=StringIO())
    finally:
        settings.FLEXGATE_CREDENTIAL_KEYS = old
        secrets._keyring.cache_clear()
