"""The ground floor: who may do what."""

from importlib import import_module

from django.apps import AppConfig


class TenantsConfig(AppConfig):
    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("tenants.openapi")  # registers how to authenticate
        from tenants.event_types import register_events
        from tenants.rls import owned_by, register_table

        register_events()

        register_table(
            "tenants_tenant",
            tenant="SELECT",
            operator="SELECT, INSERT, UPDATE",
            auth="SELECT",
            tenant_rule=owned_by("id"),
        )
        register_table(
            "tenants_token",
            tenant="SELECT, INSERT, UPDATE",
            operator="SELECT, INSERT, UPDATE",
            auth="SELECT, UPDATE (last_used_at, last_used_from)",
            tenant_rule=owned_by(),
        )
        # Append-only by privilege: nobody at run time may change or remove what was written down.
        register_table("tenants_auditentry", tenant="SELECT, INSERT", operator="SELECT, INSERT", tenant_rule=owned_by())
        register_table("tenants_event", tenant="SELECT, INSERT", operator="SELECT, INSERT", tenant_rule=owned_by())
        register_table("tenants_lease", operator="SELECT, INSERT, UPDATE, DELETE")
