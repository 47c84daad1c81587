"""What is certainly wrong is refused here, before it costs an upstream error. Every refusal names its field; nothing is written."""

import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from gateway.catalogue import as_parameters, check_parameters, find_product_type
from gateway.config_names import split_suffix
from gateway.days import today
from gateway.models import ApiUser, Config, ConfigOffer, Entitlement, Program
from gateway.operations import JOURNAL
from gateway.reach import accounts_for, api_user_for
from gateway.tags import looks_like_tag
from tenants.actors import Actor, ActorKind
from tenants.context import acting_as
from tenants.directory import read_own_tenant, resolve_tenant
from tenants.models import Tenant
from tenants.problems import Problem, invalid, not_found

MOST_AT_ONCE = 100
LONGEST_DESCRIPTION = 200
LONGEST_NAME = 200  # the suffix upstream needs room too
MOST_LABELS, LONGEST_LABEL = 20, 200
SERIAL = re.compile(r"[A-Z0-9-]{6,40}")
LABEL_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,62}")
UNKNOWN_CONFIG = "There is no such configuration."


def tenant_of_request(actor: Actor, body: Mapping[str, Any]) -> Tenant | None:
    """Whose the new thing will be: a tenant's token makes for itself; an operator's names the tenant, null = nobody's, catalogue.

    Stands as `actor` by itself. Staff name one of their tenants: what is nobody's is not theirs to make.
    """
    if actor.sees_every_tenant or actor.kind is ActorKind.STAFF:
        if "tenant" not in body:
            raise invalid("/tenant", "Name the tenant that this is for; null for none.")
        with acting_as(actor):
            tenant = resolve_tenant(actor, body["tenant"])
        if tenant is None and not actor.sees_every_tenant:
            raise invalid("/tenant", "Name one of your tenants.")
        return tenant
    own = read_own_tenant(actor)
    if body.get("tenant", own.slug) != own.slug:
        raise invalid("/tenant", "There is no such tenant.")
    return own


def check_description(text: str) -> None:
    if len(text) > LONGEST_DESCRIPTION:
        raise invalid("/description", f"A description takes at most {LONGEST_DESCRIPTION} characters.")
    if looks_like_tag(text):
        raise invalid("/description", "Leave '[fxg:' out: the gateway writes its own tag behind your text.")


def check_name(name: str) -> None:
    if not name.strip() or len(name) > LONGEST_NAME:
        raise invalid("/name", f"A name takes 1 to {LONGEST_NAME} characters.")
    if split_suffix(name)[1] is not None:
        raise invalid("/name", "Leave the part behind '~' out: the gateway writes its own.")


def check_labels(labels: Mapping[str, Any], *, pointer: str = "/labels") -> None:
    if len(labels) > MOST_LABELS:
        raise invalid(pointer, f"At most {MOST_LABELS} labels.")
    for key, value in labels.items():
        if not LABEL_KEY.fullmatch(key):
            raise invalid(
                pointer, "A label's key has 1 to 63 letters, digits and . _ / - and starts with a letter or digit."
            )
        if not isinstance(value, str) or len(value) > LONGEST_LABEL or any(ord(char) < 32 for char in value):
            raise invalid(
                f"{pointer}/{key.replace('/', '~1')}",
                f"A label's value is a text of at most {LONGEST_LABEL} characters.",
            )


def check_end_date(day: date, *, program: Program | None) -> None:
    """FortiFlex takes no end before today and none after the program's (reference 2.4, entitlements/vm/create)."""
    if day < today():
        raise invalid("/end_date", f"The end date lies in the past; the first one possible is {today()}.")
    if program is not None and program.end_day is not None and day > program.end_day:
        raise invalid("/end_date", f"The program ends on {program.end_day}; no entitlement can outlast it.")


def check_count(count: int) -> None:
    if not 1 <= count <= MOST_AT_ONCE:
        raise invalid("/count", f"From 1 to {MOST_AT_ONCE} at once.")


def check_serial_numbers(serials: Sequence[str]) -> None:
    """Form and number. Whether they can be had is asked for separately: that is no matter of form."""
    if not 1 <= len(serials) <= MOST_AT_ONCE:
        raise invalid("/serial_numbers", f"From 1 to {MOST_AT_ONCE} at once.")
    for index, serial in enumerate(serials):
        if not SERIAL.fullmatch(serial):
            raise invalid(
                f"/serial_numbers/{index}", "A serial number has 6 to 40 capital letters, digits and hyphens."
            )
        if serial in serials[:index]:
            raise invalid(f"/serial_numbers/{index}", f"{serial} is named twice.")


def check_folder(path: str) -> None:
    parts = path.split("/")
    if parts[0] != "My Assets" or not all(part.strip() for part in parts) or len(path) > 300:
        raise invalid("/folder_path", "A folder is a path such as 'My Assets/Branch offices'.")


def find_config(actor: Actor, config_id: int) -> Config:
    """The config that a path names, inside an open `acting_as`. Problem `not_found`."""
    row = Config.objects.visible_to(actor).filter(id=config_id).first()
    if row is None:
        raise not_found()
    return row


def usable_config(actor: Actor, config_id: int, *, tenant: Tenant | None) -> Config:
    """The config that a body names, if `tenant` may put entitlements under it. A foreign one answers as an unknown one."""
    row = Config.objects.visible_to(actor).filter(id=config_id).first()
    if row is None:
        raise invalid("/config", UNKNOWN_CONFIG)
    offered = not actor.sees_every_tenant and ConfigOffer.objects.filter(config=row, tenant=tenant).exists()
    reached = row.tenant_id is None or actor.sees_every_tenant or _reaches(tenant, row)
    refuse_unusable(actor, row, tenant=tenant, offered=offered, reached=reached)
    return row


def refuse_unusable(actor: Actor, row: Config, *, tenant: Tenant | None, offered: bool, reached: bool) -> None:
    """`row` is visible to `actor`. `offered` = to `tenant`; `reached` = its account is one that `tenant` may use."""
    if row.vanished_at is not None or row.status != "ACTIVE":
        raise invalid("/config", f"This configuration is {row.status.lower() or 'gone'}; enable it or take another.")
    if row.tenant_id is not None and row.tenant_id != (tenant.id if tenant else None):
        raise invalid(
            "/config", "This configuration belongs to another tenant." if actor.sees_every_tenant else UNKNOWN_CONFIG
        )
    if actor.sees_every_tenant:
        return
    if row.tenant_id is None and not offered:
        # It is under one of the tenant's entitlements, so it is no secret; but new ones need an offer.
        raise Problem(
            "not_available", "This configuration is not offered to you for new entitlements; ask your operator."
        )
    if row.tenant_id is not None and not reached:
        raise Problem(
            "not_available", "The account of this configuration is no longer yours to use; ask your operator."
        )


def check_changed_parameters(config: Config, given: Sequence[Mapping[str, Any]]) -> None:
    """Those that are to replace the config's. Problem `invalid` names the parameter, by its place among the given.

    What stays as it is is not looked at: a value that Fortinet has taken out of its catalogue may be kept, as far as anybody knows.
    """
    api_user = reader_of(config.program_id, config.account_id)
    product = find_product_type(api_user.api_url, config.product_type_id)
    check_parameters(product, as_parameters([dict(item) for item in given]), before=as_parameters(config.parameters))


def program_of(config: Config) -> Program:
    """Read as the gateway: a tenant's role can't."""
    with acting_as(JOURNAL):
        return Program.objects.get(serial_number=config.program_id)


def reader_of(program_serial: str, account_id: int) -> ApiUser:
    """The API user that writes go through. Problem `upstream_unavailable` where none is left."""
    api_user = api_user_for(program_serial, account_id)
    if api_user is None or not api_user.enabled:
        raise Problem("upstream_unavailable", "No enabled API user reaches this account; ask your operator.")
    return api_user


def find_entitlement(actor: Actor, serial: str) -> Entitlement:
    """The entitlement that a path names, inside an open `acting_as`. Problem `not_found`."""
    row = (
        Entitlement.objects.visible_to(actor).filter(serial_number=serial).first() if SERIAL.fullmatch(serial) else None
    )
    if row is None:
        raise not_found()
    return row


def refuse_vanished(row: Entitlement) -> None:
    if row.vanished_at is not None:
        raise Problem("state_conflict", "FortiFlex no longer lists this entitlement, so nothing can be done with it.")


def _reaches(tenant: Tenant | None, config: Config) -> bool:
    return any(
        (reached.program_serial, reached.account_id) == (config.program_id, config.account_id)
        for reached in accounts_for(tenant)
    )
