"""The middle floor: the proxy of FortiFlex."""

from importlib import import_module

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    name = "gateway"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        # Celery is loaded here and not in gateway/__init__.py: importing the pure client must not load it.
        import_module("gateway.celery")
        from gateway.dropin.forms import register_forms
        from gateway.event_types import register_events
        from gateway.metrics import read_state
        from gateway.rights import register_tables
        from tenants.metrics import register_reader

        register_tables()
        register_events()
        register_forms()
        register_reader(read_state)
