"""Admin pages of the middle floor, to read: what is mirrored, what was asked of FortiFlex, and how it is reached."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from gateway.models import ApiUser, Config, Entitlement, Operation
from tenants.admin_site import SuperusersOwn, WalledAdmin, actor_of


@admin.register(Entitlement)
class EntitlementAdmin(WalledAdmin):
    scope = "entitlements:read"
    # A config by its number: after a hand-over it may be one that another tenant made and named.
    list_display = ("serial_number", "tenant", "config_id", "status", "start_day", "end_day", "description")
    list_select_related = ("tenant",)
    list_filter = ("status",)
    search_fields = ("serial_number", "description")
    ordering = ("serial_number",)
    # Named one by one: the licence token is not for reading here, and a program is the operator's alone to look into.
    fields = readonly_fields = (
        "serial_number",
        "tenant",
        "program_id",
        "account_id",
        "config_id",
        "status",
        "start_day",
        "end_day",
        "description",
        "labels",
        "token_status",
        "first_seen_at",
        "vanished_at",
    )


@admin.register(Config)
class ConfigAdmin(WalledAdmin):
    scope = "configs:read"
    list_display = ("id", "name", "tenant", "product", "status", "points_per_day")
    list_select_related = ("tenant",)
    search_fields = ("id", "name")
    ordering = ("id",)
    fields = readonly_fields = (
        "id",
        "name",
        "tenant",
        "program_id",
        "account_id",
        "product",
        "parameters",
        "status",
        "points_per_day",
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Config]":
        """Without those that a tenant nobody granted made, though an entitlement handed over stands under them."""
        rows, actor = super().get_queryset(request), actor_of(request)
        return rows if actor.sees_every_tenant else rows.filter(Q(tenant=None) | Q(tenant_id__in=actor.tenant_ids))


@admin.register(Operation)
class OperationAdmin(WalledAdmin):
    scope = "operations:read"
    list_display = ("created_at", "kind", "state", "tenant", "asked_by", "next_check_at")
    list_select_related = ("tenant",)
    list_filter = ("state", "kind")
    ordering = ("-id",)
    fields = readonly_fields = (
        "id",
        "kind",
        "state",
        "tenant",
        "program_serial",
        "account_id",
        "config_id",
        "serial_numbers",
        "points_per_day",
        "asked_by",
        "request_id",
        "created_at",
        "sent_at",
        "settled_at",
        "next_check_at",
    )


@admin.register(ApiUser)
class ApiUserAdmin(SuperusersOwn):
    """To read. Credentials are entered with `add_api_user` or over REST, where a login proves them first."""

    list_display = ("name", "username", "api_url", "tenant", "enabled")
    list_select_related = ("tenant",)
    exclude = ("password_encrypted",)

    def has_add_permission(self, request: object, *args: object) -> bool:
        return False

    def has_change_permission(self, request: object, obj: object = None) -> bool:
        return False

    has_delete_permission = has_change_permission
