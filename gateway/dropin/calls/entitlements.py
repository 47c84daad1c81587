"""entitlements/list: what the tenant owns today, whole, from the mirror."""

from typing import Any

from django.db.models import QuerySet

from gateway.dropin.envelope import refuse
from gateway.dropin.places import EITHER, Asked, check_place, find_config, known_places
from gateway.dropin.shapes import show_entitlements
from gateway.models import Entitlement


def list_entitlements(asked: Asked) -> dict[str, Any]:
    """By config, or by program and account; an account left out means all that the caller has there, as for FortiFlex's local users."""
    body = asked.body
    rows = Entitlement.objects.visible_to(asked.actor).filter(vanished_at__isnull=True)
    config_id, program, account = body.whole("configId"), body.text("programSerialNumber"), body.whole("accountId")
    if config_id is not None:
        rows = rows.filter(config_id=config_id)
        if (
            not rows.exists()
        ):  # a token narrowed to entitlements does not see their config, and reads them by it as Terraform does
            find_config(asked.actor, config_id)
    elif program:
        check_place(known_places(asked), program=program, account=account)
        rows = rows.filter(program_id=program)
        rows = rows if account is None else rows.filter(account_id=account)
    else:
        raise refuse(EITHER)
    return {"entitlements": show_entitlements(_narrow(rows, asked), asked.actor)}


def _narrow(rows: "QuerySet[Entitlement]", asked: Asked) -> "QuerySet[Entitlement]":
    """The four filters, each exact. `description` is the user's own text: our tag behind it is nobody's to search for."""
    columns = {
        "serialNumber": "serial_number",
        "status": "status",
        "tokenStatus": "token_status",
        "description": "description",
    }
    given = {column: asked.body.text(name) for name, column in columns.items()}
    return rows.filter(**{column: value for column, value in given.items() if value})
