"""People of the operator: signing in with all factors, and rights on single tenants, in the API and in the admin."""

import re
from io import StringIO
from typing import Any

import pytest
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.oath import totp
from django_otp.plugins.otp_totp.models import TOTPDevice

from gateway.models import Operation
from tenants.access import RIGHTS, grant_right, withdraw_right
from tenants.actors import AUTHENTICATOR
from tenants.context import acting_as
from tenants.models import AuditEntry, Tenant
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People
from tests.worlds import SandboxWorld

PASSWORD = "correct horse battery"


def make_user(name: str, *, superuser: bool = False) -> User:
    with acting_as(SETUP):
        return User.objects.create_user(name, password=PASSWORD, is_staff=True, is_superuser=superuser)


def grant(user: User | Group, slug: str, *rights: str) -> None:
    for right in rights:
        grant_right(SETUP, user, People.tenant(slug), right)


def sign_in(name: str, *, password: str = PASSWORD, code: str = "", strict: bool = False) -> tuple[Client, Any]:
    client = Client(enforce_csrf_checks=strict)
    form = {"username": name, "password": password, "code": code, "next": "/admin/"}
    if strict:
        client.get("/admin/login/")
        form["csrfmiddlewaretoken"] = client.cookies["flexgate_csrf"].value
    return client, client.post("/admin/login/", form)


@pytest.fixture
def owned(people: People, world: SandboxWorld) -> dict[str, str]:
    """One entitlement of each tenant's."""
    serials = world.sandbox.create_vm(world.config_id, count=2, skipPending=True)
    world.sync()
    day = world.sandbox.clock.today()
    give([serials[0]], "acme", day)
    give([serials[1]], "globex", day)
    return {"acme": serials[0], "globex": serials[1]}


def test_a_person_sees_and_does_what_was_granted_tenant_by_tenant(people: People, owned: dict[str, str]) -> None:
    anna = make_user("anna")
    grant(anna, "acme", "provision")
    grant(anna, "globex", "view")
    client, _ = sign_in("anna")
    rows = client.get("/api/v1/entitlements").json()["results"]
    assert {row["tenant"] for row in rows} == {"acme", "globex"}
    assert {row["tenant"] for row in rows if row["token"]} == {"acme"}, "who may only look reads no licence token"
    assert (
        client.post(f"/api/v1/entitlements/{owned['acme']}/stop", content_type="application/json").json()["status"]
        == "STOPPED"
    )
    assert (
        client.post(f"/api/v1/entitlements/{owned['globex']}/stop", content_type="application/json").status_code == 404
    )
    planned = people.globex.post(f"entitlements/{owned['globex']}/stop", Prefer="respond-async").json()["operation"]
    assert client.post(f"/api/v1/operations/{planned['id']}/cancel", content_type="application/json").status_code == 404
    assert client.get("/api/v1/statements").json()["code"] == "insufficient_scope"
    told = client.get("/api/v1/whoami").json()
    assert (told["kind"], sorted(told["tenants"])) == ("staff", ["acme", "globex"])
    with acting_as(SETUP):
        assert Operation.objects.get(kind="stop", tenant__slug="acme").asked_by == f"user {anna.pk} anna"


@pytest.mark.parametrize("right", RIGHTS)
def test_each_right_brings_its_own_scopes(people: People, owned: dict[str, str], right: str) -> None:
    grant(make_user("anna"), "acme", right)
    client, _ = sign_in("anna")
    may = {
        "view": client.get(f"/api/v1/entitlements/{owned['acme']}"),
        "provision": client.post(f"/api/v1/entitlements/{owned['acme']}/stop", content_type="application/json"),
        "bill": client.get("/api/v1/statements"),
        "administer": client.get("/api/v1/tenants/acme/tokens"),
    }
    assert {name for name, answer in may.items() if answer.status_code == 200} == {"view", right}


def test_groups_bring_rights_and_take_them_along(people: People, owned: dict[str, str]) -> None:
    anna = make_user("anna")
    with acting_as(SETUP):
        group = Group.objects.create(name="north")
        anna.groups.add(group)
    grant(group, "acme", "view")
    client, _ = sign_in("anna")
    assert client.get(f"/api/v1/entitlements/{owned['acme']}").status_code == 200
    withdraw_right(SETUP, group, People.tenant("acme"), "view")
    assert client.get(f"/api/v1/entitlements/{owned['acme']}").status_code == 403
    with acting_as(SETUP):
        acts = list(
            AuditEntry.objects.filter(action__startswith="access.").order_by("id").values_list("action", "after")
        )
    assert acts == [
        ("access.granted", {"tenant": "acme", "right": "view"}),
        ("access.withdrawn", {"tenant": "acme", "right": "view"}),
    ]


def test_a_superuser_is_the_operator(people: People, owned: dict[str, str]) -> None:
    make_user("root", superuser=True)
    client, _ = sign_in("root")
    assert client.get("/api/v1/whoami").json()["kind"] == "operator"
    assert len(client.get("/api/v1/entitlements").json()["results"]) == 2


def test_changes_need_the_csrf_token_and_a_bearer_token_goes_first(people: People, owned: dict[str, str]) -> None:
    grant(make_user("anna"), "acme", "provision")
    client, _ = sign_in("anna", strict=True)
    path = f"/api/v1/entitlements/{owned['acme']}/stop"
    refused = client.post(path, content_type="application/json")
    assert (refused.status_code, refused.json()["code"]) == (403, "csrf_failed")
    assert client.get(f"/api/v1/entitlements/{owned['acme']}").status_code == 200
    done = client.post(
        path, content_type="application/json", headers={"X-CSRFToken": client.cookies["flexgate_csrf"].value}
    )
    assert done.json()["status"] == "STOPPED"
    other = client.get("/api/v1/whoami", headers={"Authorization": f"Bearer {people.globex.token}"})
    assert other.json()["tenant"] == "globex"


def test_what_ends_a_person_ends_their_session(people: People) -> None:
    anna = make_user("anna")
    grant(anna, "acme", "view")
    first, _ = sign_in("anna")
    assert first.get("/api/v1/whoami").status_code == 200
    with acting_as(SETUP):
        anna.set_password("another long password")
        anna.save()
    assert first.get("/api/v1/whoami").status_code == 401
    second, _ = sign_in("anna", password="another long password")
    with acting_as(SETUP):
        User.objects.filter(pk=anna.pk).update(is_active=False)
    assert second.get("/api/v1/whoami").status_code == 401
    assert second.get("/admin/").status_code == 302


def test_a_second_factor_can_not_be_passed_by(people: People, settings: Any) -> None:
    anna = make_user("anna")
    grant(anna, "acme", "view")
    early, _ = sign_in("anna")
    with acting_as(SETUP):
        device = TOTPDevice.objects.create(user=anna, name="phone")
    assert early.get("/api/v1/whoami").status_code == 401, "a session from before has not shown it"
    for code in ("", "000000"):
        client, answer = sign_in("anna", code=code)
        assert answer.status_code == 401
        assert "Name, password or code is wrong." in answer.content.decode()
    with acting_as(AUTHENTICATOR):
        TOTPDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    code = f"{totp(device.bin_key):06d}"
    client, answer = sign_in("anna", code=code)
    assert answer.status_code == 302
    assert client.get("/api/v1/whoami").status_code == 200
    _, replayed = sign_in("anna", code=code)
    assert replayed.status_code == 401
    settings.FLEXGATE_SECOND_FACTOR = True
    make_user("bert")
    client, _ = sign_in("bert")
    assert client.get("/api/v1/whoami").status_code == 401
    assert client.get("/admin/").status_code == 302


def test_the_page_asks_for_everything_that_is_needed(people: People) -> None:
    page = Client().get("/admin/login/").content.decode()
    assert set(re.findall(r'name="(\w+)"', page)) >= {"username", "password", "code", "csrfmiddlewaretoken", "next"}


def test_nobody_learns_which_names_exist(people: People) -> None:
    make_user("anna")
    told = []
    for name, password in (("anna", "wrong"), ("nobody", "wrong"), ("nobody", PASSWORD)):
        _, answer = sign_in(name, password=password)
        told.append((answer.status_code, re.sub(r'value="[^"]*"', "", answer.content.decode())))
    assert told[0] == told[1] == told[2]
    with acting_as(SETUP):
        kept = sorted(AuditEntry.objects.filter(action="user.refused").values_list("subject_key", flat=True))
    assert kept == ["anna", "unknown", "unknown"], "people type their password into the field for the name"


def test_failed_sign_ins_are_slowed_per_address_alone(people: People, settings: Any) -> None:
    settings.FLEXGATE_FAILURES_PER_ADDRESS, settings.FLEXGATE_PROXIES = 3, 1
    make_user("anna")

    def attempt(address: str, password: str) -> int:
        client = Client(headers={"X-Forwarded-For": address})
        return client.post("/admin/login/", {"username": "anna", "password": password}).status_code

    assert [attempt("198.51.100.7", "wrong") for _ in range(4)] == [401, 401, 401, 429]
    assert attempt("198.51.100.7", PASSWORD) == 429
    assert attempt("198.51.100.8", PASSWORD) == 302


def every_page(client: Client, *, pk_of: dict[str, Any]) -> dict[str, int]:
    found = {}
    for model in admin.site._registry:
        base = f"/admin/{model._meta.app_label}/{model._meta.model_name}/"
        paths = [base, f"{base}add/"]
        own = own_key(client, base)
        paths += [f"{base}{own}/change/"] if own else []
        if pk_of.get(base) is not None:
            paths += [f"{base}{pk_of[base]}/{page}" for page in ("change/", "delete/", "history/")]
        for path in paths:
            found[path] = client.get(path).status_code
    return found


def own_key(client: Client, base: str) -> str | None:
    """The first row that this person's own list links to."""
    found = re.search(rf'href="{base}([^/"?]+)/change/', client.get(base).content.decode())
    return found[1] if found else None


def first_keys() -> dict[str, Any]:
    with acting_as(SETUP):
        return {
            f"/admin/{model._meta.app_label}/{model._meta.model_name}/": model._default_manager.values_list(
                "pk", flat=True
            ).first()
            for model in admin.site._registry
        }


@pytest.mark.parametrize("who", ["superuser", *RIGHTS, "nothing"])
def test_every_page_of_the_admin_opens_or_refuses_and_none_breaks(
    people: People, owned: dict[str, str], who: str
) -> None:
    anna = make_user("anna", superuser=who == "superuser")
    if who in RIGHTS:
        grant(anna, "acme", who)
    with acting_as(SETUP):
        Group.objects.create(name="north")
        TOTPDevice.objects.create(user=make_user("bert"), name="phone")
    client, _ = sign_in("anna")
    found = every_page(client, pk_of=first_keys())
    assert set(found.values()) <= {200, 302, 403, 404}, {path: code for path, code in found.items() if code >= 500}
    assert client.get("/admin/").status_code == client.get("/admin/password_change/").status_code == 200
    opened = {path.split("/")[3] for path, code in found.items() if code == 200 and path.count("/") == 4}
    read = {"tenant", "event", "entitlement", "config", "operation"}
    assert (
        opened
        == {
            "superuser": {model._meta.model_name for model in admin.site._registry},
            "view": read,
            "provision": read,
            "bill": read | {"statement"},
            "administer": read | {"token", "auditentry"},
            "nothing": set(),
        }[who]
    )
    if who != "superuser":
        listed = client.get("/admin/gateway/entitlement/").content.decode() if who in RIGHTS else ""
        assert owned["globex"] not in listed
        assert (owned["acme"] in listed) == (who in RIGHTS)
        key = first_keys()["/admin/auth/user/"]
        assert client.get(f"/admin/auth/user/{key}/password/").status_code in {302, 403, 404}


@pytest.mark.parametrize(
    "path",
    [
        "gateway/entitlement/?token__startswith=A",
        "gateway/operation/?error__upstream__startswith=S",
        "otp_totp/totpdevice/?key__startswith=a",
        "gateway/apiuser/?password_encrypted__startswith=1",
        "auth/user/?password__startswith=pbkdf2",
        "tenants/token/?secret_hash=x",
    ],
)
def test_no_filter_tells_a_hidden_column(people: People, owned: dict[str, str], path: str) -> None:
    make_user("root", superuser=True)
    client, _ = sign_in("root")
    answer = client.get(f"/admin/{path}")
    assert (answer.status_code, answer.headers.get("Location", "")) in {
        (302, f"/admin/{path.partition('?')[0]}?e=1"),
        (400, ""),
    }


def test_what_a_superuser_does_is_on_record(people: People, owned: dict[str, str]) -> None:
    make_user("root", superuser=True)
    anna = make_user("anna")
    client, _ = sign_in("root")
    with acting_as(SETUP):
        permission = Permission.objects.get(codename="view_tenant")
        acme = Tenant.objects.get(slug="acme")
    client.post(
        "/admin/tenants/tenantusergrant/add/", {"user": anna.pk, "permission": permission.pk, "content_object": acme.pk}
    )
    form = {"username": "anna", "is_active": "on", "is_staff": "on", "is_superuser": "on"}
    client.post(f"/admin/auth/user/{anna.pk}/change/", form)
    client.post("/admin/tenants/tenant/", {"action": "suspend", "_selected_action": [str(acme.pk)]})
    client.post(
        "/admin/password_change/",
        {"old_password": PASSWORD, "new_password1": "another long password", "new_password2": "another long password"},
    )
    with acting_as(SETUP):
        acts = list(AuditEntry.objects.filter(actor__endswith=" root").order_by("id"))
        assert People.tenant("acme").status == "suspended"
    assert [entry.action for entry in acts] == [
        "access.granted",
        "user.changed",
        "tenant.changed",
        "user.password_changed",
    ]
    assert acts[0].after == {"tenant": "acme", "right": "view"}
    assert (acts[1].before["is_superuser"], acts[1].after["is_superuser"]) == (False, True)
    assert people.acme.get("whoami").status_code == 401


def run(*arguments: str) -> str:
    out = StringIO()
    call_command(*arguments, stdout=out)
    return out.getvalue()


def test_the_commands_make_people_and_grant_rights(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", StringIO(f"{PASSWORD}\n"))
    printed = run("add_staff_user", "anna", "--second-factor")
    assert "Added anna." in printed
    assert "otpauth://totp/" in printed
    assert "Granted to anna: view on acme." in run(
        "grant_access", "--user", "anna", "--tenant", "acme", "--right", "view"
    )
    assert "Withdrawn from anna" in run(
        "grant_access", "--user", "anna", "--tenant", "acme", "--right", "view", "--withdraw"
    )
    with pytest.raises(CommandError, match="There is no tenant nowhere"):
        run("grant_access", "--user", "anna", "--tenant", "nowhere", "--right", "view")
    monkeypatch.setattr("sys.stdin", StringIO("short\n"))
    with pytest.raises(CommandError, match="at least 12 characters"):
        run("add_staff_user", "bert")


def test_the_documentation_lets_a_signed_in_person_try_a_change(people: People) -> None:
    """Its script is given the token that belongs to the cookie."""
    make_user("boss", superuser=True)
    client, _ = sign_in("boss", strict=True)
    script = client.get("/api/v1/docs?script=").content.decode()
    found = re.search(r"X-CSRFTOKEN'?\"?\] = .([A-Za-z0-9]+)", script)
    assert found, script
    change = {"slug": "new", "name": "New", "currency": "EUR"}
    answer = client.post("/api/v1/tenants", change, content_type="application/json", headers={"X-CSRFToken": found[1]})
    assert answer.status_code == 201, answer.content
    client.cookies.clear()
    assert client.get("/api/v1/docs").status_code == 200


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
def test_what_answers_without_a_token_takes_nothing(people: People, path: str) -> None:
    assert Client(enforce_csrf_checks=True).post(path).status_code == 405
