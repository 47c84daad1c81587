"""The ground floor: who may do what."""

from importlib import import_module

from django.apps import AppConfig
from django.contrib.admin.apps import AdminConfig


class AdminSiteConfig(AdminConfig):
    """Django's admin on our own site."""

    default_site = "tenants.admin_site.OperatorSite"


class TenantsConfig(AppConfig):
    name = "tenants"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        import_module("tenants.openapi")  # registers how to authenticate
        import_module("tenants.checks")
        from tenants.event_types import register_events
        from tenants.rights import register_tables

        register_events()
        register_tables()
