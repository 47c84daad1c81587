"""configs/list: own configs, offered ones, and those under the tenant's entitlements; DISABLED ones too."""

from typing import Any

from gateway.dropin.places import Asked, check_place, known_places
from gateway.dropin.shapes import show_config
from gateway.models import Config


def list_configs(asked: Asked) -> dict[str, Any]:
    program, account = asked.body.required_text("programSerialNumber"), asked.body.whole("accountId")
    check_place(known_places(asked), program=program, account=account)
    rows = Config.objects.visible_to(asked.actor).filter(program_id=program, vanished_at__isnull=True)
    if account is not None:
        rows = rows.filter(account_id=account)
    return {"configs": [show_config(row, asked.actor) for row in rows.order_by("id")]}
