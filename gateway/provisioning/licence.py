"""Licence tokens: a new one for an entitlement, and the next unused one."""

from gateway.catalogue import find_product_type, form_of
from gateway.models import Entitlement, Operation
from gateway.operations import digest_token
from gateway.ownership.renewal import UNUSED
from gateway.provisioning import checks
from gateway.provisioning.change import change_entitlement
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.manner import AS_USUAL, Manner
from tenants.actors import Actor
from tenants.problems import Problem

READY = ("PENDING", "ACTIVE")
TOP_FOLDER = "My Assets"  # where FortiFlex puts what is made without a folder


def renew_token(actor: Actor, serial: str, *, manner: Manner = AS_USUAL) -> Outcome:
    """A new licence token; the old one ends once the new one is used. Problem `state_conflict` where there are no tokens."""

    def check(row: Entitlement) -> None:
        api_user = checks.reader_of(row.program_id, row.account_id)
        product = find_product_type(api_user.api_url, row.config.product_type_id)
        if form_of(product, row.config.product_type_id) != "vm":
            raise Problem("state_conflict", "Only virtual machines have licence tokens.")
        if row.status == "EXPIRED":
            raise Problem("state_conflict", "This entitlement is expired.")

    return change_entitlement(
        actor,
        serial,
        kind=Operation.Kind.RENEW_TOKEN,
        check=check,
        intent={},
        before=lambda row: {"token_digest": digest_token(row.token)},
        manner=manner,
    )


def find_next_token(actor: Actor, *, config: int | None = None, folder_path: str | None = None) -> Entitlement:
    """The first of the actor's entitlements whose token is unused, inside an open `acting_as`. It is not reserved.

    Problem `not_available` if there is none.
    """
    rows = Entitlement.objects.visible_to(actor).filter(token_status=UNUSED, status__in=READY, vanished_at__isnull=True)
    if config is not None:
        rows = rows.filter(config_id=config)
    if folder_path is not None:
        rows = rows.filter(folder_path__in=stored_folders(folder_path))
    row = rows.exclude(token="").order_by("serial_number").first()
    if row is None:
        raise Problem("not_available", "No entitlement with an unused licence token is left here; create one.")
    return row


def stored_folders(path: str) -> list[str]:
    """What stands in the mirror for the folder `path`."""
    return [path, ""] if path == TOP_FOLDER else [path]
