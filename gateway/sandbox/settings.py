"""How this sandbox behaves where FortiFlex's behaviour is a matter of account, plan, or not documented."""

from dataclasses import dataclass


@dataclass(slots=True)
class SandboxSettings:
    end_day_counts: bool = True  # whether endDate of entitlements/points is inclusive: not documented
    nothing_consumed: str = "empty"  # or "refused": HTTP 400, as one client reports
    list_zero: bool = False  # whether entitlements that consumed nothing are listed with 0
    window_days: int = 90
    null_lists: bool = False  # empty lists as null
    vms_key: bool = True  # stop and reactivate answer under `vms`
    config_as_list: bool = False  # configs/create and the like answer an array of one
    token_seconds: int = 3660
    per_minute: int | None = None  # rate limits are off unless set
    per_hour: int | None = None
    errors_per_hour: int | None = None
    appear_after_seconds: float = 0.0  # new entitlements show in lists only later
    latency_ms: int = 0
