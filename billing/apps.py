"""The floor of prices, rating and documents."""

from django.apps import AppConfig


class BillingConfig(AppConfig):
    name = "billing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from billing.event_types import register_events
        from tenants.rls import NOBODYS, owned_by, register_table

        register_events()

        # The operator's prices reach no tenant: a tenant sees the unit price on its own lines.
        register_table("billing_rate", operator="SELECT, INSERT, UPDATE", tenant_rule=NOBODYS)
        register_table("billing_series", operator="SELECT, INSERT, UPDATE", tenant_rule=NOBODYS)
        register_table("billing_statementrun", operator="SELECT, INSERT, UPDATE")
        register_table("billing_statement", tenant="SELECT", operator="SELECT, INSERT, UPDATE", tenant_rule=owned_by())
        register_table("billing_statementline", tenant="SELECT", operator="SELECT, INSERT", tenant_rule=owned_by())
