"""The mirror's verbs: complete passes, account by account, and the same comparison for what our own writes answered."""

from gateway.mirror.configs import apply_configs
from gateway.mirror.entitlements import apply_entitlements
from gateway.mirror.hold import PassUnderWay
from gateway.mirror.reports import SyncReport
from gateway.mirror.sync import sync_api_user

__all__ = ["PassUnderWay", "SyncReport", "apply_configs", "apply_entitlements", "sync_api_user"]
