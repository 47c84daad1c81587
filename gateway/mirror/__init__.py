"""The mirror's verbs: one complete pass per account, and the same comparison for what our own writes answered."""

from gateway.mirror.apply import apply_configs, apply_entitlements
from gateway.mirror.sync import SyncReport, sync_api_user

__all__ = ["SyncReport", "apply_configs", "apply_entitlements", "sync_api_user"]
