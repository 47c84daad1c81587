"""entitlements/points: one total per entitlement for the range (FortiFlex API reference, 5.5)."""

from datetime import timedelta
from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.calls.call import Call
from gateway.sandbox.clock import pacific_day
from gateway.sandbox.points import points_of_range
from gateway.sandbox.refusals import Refusal


def total_points(call: Call) -> dict[str, Any]:
    """Days that are over and inside the window; today is computed after its end. A removed entitlement's past stays."""
    start, end = checks.moment(call.body, "startDate"), checks.moment(call.body, "endDate")
    if start is None or end is None or end < start:
        raise Refusal("Invalid date range.")
    config_id = checks.whole(call.body, "configId")
    if config_id is not None:
        chosen = [item for item in call.world.entitlements if item.now.config_id == call.config().id]
    else:
        program, account_id = call.program(), call.account()
        configs = {config.id for config in call.world.configs if config.program == program.serial_number}
        chosen = [
            item
            for item in call.world.entitlements
            if item.now.account_id == account_id and item.now.config_id in configs
        ]
    serial = checks.text(call.body, "serialNumber")
    today = pacific_day(call.now)
    last = pacific_day(end) - timedelta(days=0 if call.settings.end_day_counts else 1)
    last = min(last, today - timedelta(days=1))
    first = max(pacific_day(start), today - timedelta(days=call.settings.window_days))
    rows = []
    for item in chosen:
        total = points_of_range(call.world, item, first, last) if first <= last else None
        if (total or (call.settings.list_zero and total is not None)) and serial in {None, item.serial_number}:
            rows.append({"serialNumber": item.serial_number, "accountId": item.now.account_id, "points": total})
    if not rows and call.settings.nothing_consumed == "refused":
        raise Refusal("No points were consumed in this range.")
    return {"entitlements": rows}
