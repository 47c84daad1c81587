"""Admin pages of the ground floor: tenants, tokens, audit and events to read; users, groups, rights and factors for superusers."""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin, UserAdmin
from django.contrib.auth.models import Group, User
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.http import HttpRequest
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from tenants.access import grant_right, withdraw_right
from tenants.admin_site import SuperusersOwn, WalledAdmin, actor_of
from tenants.directory import update_tenant
from tenants.discretion import OPERATOR, own_names
from tenants.models import AuditEntry, Event, Tenant, TenantGroupGrant, TenantUserGrant, Token
from tenants.problems import Problem
from tenants.tokens import revoke_token

for model in (User, Group, TOTPDevice, StaticDevice):
    if admin.site.is_registered(model):
        admin.site.unregister(model)


@admin.register(Tenant)
class TenantAdmin(WalledAdmin):
    scope = "entitlements:read"
    list_display = ("slug", "name", "status", "currency", "customer_code", "internal")
    list_filter = ("status",)
    search_fields = ("slug", "name", "customer_code")
    ordering = ("slug",)
    actions = ("suspend", "activate")

    def get_actions(self, request: HttpRequest) -> Any:
        return super().get_actions(request) if actor_of(request).sees_every_tenant else {}

    @admin.action(description="Suspend: refuse all tokens; points and billing go on", permissions=["view"])
    def suspend(self, request: HttpRequest, queryset: "QuerySet[Tenant]") -> None:
        for tenant in queryset:
            update_tenant(actor_of(request), tenant, changes={"status": Tenant.Status.SUSPENDED})

    @admin.action(description="End the suspension", permissions=["view"])
    def activate(self, request: HttpRequest, queryset: "QuerySet[Tenant]") -> None:
        for tenant in queryset:
            update_tenant(actor_of(request), tenant, changes={"status": Tenant.Status.ACTIVE})


@admin.register(Token)
class TokenAdmin(WalledAdmin):
    scope = "tokens:write"
    list_display = ("name", "tenant", "created_at", "expires_at", "revoked_at", "last_used_at", "last_used_from")
    list_select_related = ("tenant",)
    search_fields = ("name",)
    ordering = ("-id",)
    # Named one by one: a tenant's role has no right on the hash, or on which pepper made it.
    fields = readonly_fields = (
        "id",
        "tenant",
        "name",
        "scopes",
        "allowed_ips",
        "narrowed",
        "ancestors",
        "created_at",
        "expires_at",
        "revoked_at",
        "last_used_at",
        "last_used_from",
    )
    actions = ("revoke",)

    @admin.action(description="Revoke, with all that they made", permissions=["view"])
    def revoke(self, request: HttpRequest, queryset: "QuerySet[Token]") -> None:
        actor = actor_of(request).with_scope(self.scope)
        for token in queryset.order_by("tenant_id", "id"):  # tenants are locked in this order
            try:
                revoke_token(actor, tenant_slug=token.tenant.slug if token.tenant else None, token_id=token.id)
            except Problem as problem:
                self.message_user(request, f"{token.name}: {problem.detail}", level="ERROR")


@admin.register(AuditEntry)
class AuditEntryAdmin(WalledAdmin):
    scope = "audit:read"
    list_display = ("at", "tenant", "who", "from_where", "action", "subject_type", "subject_key")
    list_select_related = ("tenant",)
    search_fields = ("action", "subject_key", "request_id")
    ordering = ("-id",)
    fields = readonly_fields = (
        "id",
        "at",
        "tenant",
        "who",
        "from_where",
        "action",
        "subject_type",
        "subject_key",
        "request_id",
        "before",
        "after",
    )

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        """As in the API: whoever does not see every tenant reads of the operator's people and machines as "operator"."""
        own = own_names(actor_of(request).with_scope(self.scope))
        rows: QuerySet[Any] = super().get_queryset(request)
        if own is None:
            return rows.annotate(who=F("actor"), from_where=F("address"))  # type: ignore[no-any-return]
        mine = Q(actor__in=own)
        return rows.annotate(  # type: ignore[no-any-return]
            who=Case(When(mine, then=F("actor")), default=Value(OPERATOR)),
            from_where=Case(When(mine, then=F("address")), default=Value("")),
        )

    @admin.display(description="who")
    def who(self, row: Any) -> str:
        return str(row.who)

    @admin.display(description="from")
    def from_where(self, row: Any) -> str:
        return str(row.from_where)


@admin.register(Event)
class EventAdmin(WalledAdmin):
    scope = "events:read"
    list_display = ("at", "tenant", "type", "subject_type", "subject_key")
    list_select_related = ("tenant",)
    search_fields = ("type", "subject_key")
    ordering = ("-id",)


@admin.register(User)
class StaffUserAdmin(SuperusersOwn, UserAdmin):  # type: ignore[type-arg]
    """Rights on tenants are granted below and under "grants"; Django's own permissions mean nothing here and are not shown."""

    list_display = ("username", "email", "is_active", "is_staff", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")
    filter_horizontal = ("groups",)
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Standing", {"fields": ("is_active", "is_staff", "is_superuser", "groups")}),
    )

    def describe(self, obj: User) -> dict[str, Any]:
        standing = {name: getattr(obj, name) for name in ("is_active", "is_staff", "is_superuser")}
        return standing | {"groups": sorted(obj.groups.values_list("name", flat=True))}

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what they did stays theirs; end a person's access with "active"


@admin.register(Group)
class StaffGroupAdmin(SuperusersOwn, GroupAdmin):
    fields = ("name",)
    filter_horizontal = ()

    def describe(self, obj: Group) -> dict[str, Any]:
        grants = TenantGroupGrant.objects.filter(group=obj).order_by("content_object__slug", "permission__codename")
        return {
            "name": obj.name,
            "members": sorted(obj.user_set.values_list("username", flat=True)),
            "rights": [
                f"{slug} {name}" for slug, name in grants.values_list("content_object__slug", "permission__codename")
            ],
        }


class GrantAdmin(SuperusersOwn):
    """One right on one tenant. Grants are made and withdrawn, never changed."""

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        grant_right(actor_of(request), self.holder_of(obj), obj.content_object, self.right_of(obj))
        obj.pk = (
            type(obj).objects.get(permission=obj.permission, content_object=obj.content_object, **self.key_of(obj)).pk
        )

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        withdraw_right(actor_of(request), self.holder_of(obj), obj.content_object, self.right_of(obj))

    def delete_queryset(self, request: HttpRequest, queryset: "QuerySet[Any]") -> None:
        for obj in queryset:
            self.delete_model(request, obj)

    def holder_of(self, obj: Any) -> Any:
        return obj.user if hasattr(obj, "user_id") else obj.group

    def key_of(self, obj: Any) -> dict[str, Any]:
        return {"user": obj.user} if hasattr(obj, "user_id") else {"group": obj.group}

    def right_of(self, obj: Any) -> str:
        return str(obj.permission.codename).removesuffix("_tenant")

    def _audit(self, request: HttpRequest, obj: Any, act: str, message: Any) -> None:
        """The verbs have written it down."""

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "permission":
            codenames = ("view_tenant", "provision_tenant", "bill_tenant", "administer_tenant")
            kwargs["queryset"] = db_field.related_model.objects.filter(codename__in=codenames)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)


@admin.register(TenantUserGrant)
class TenantUserGrantAdmin(GrantAdmin):
    list_display = ("user", "permission", "content_object")
    list_select_related = ("user", "permission__content_type", "content_object")


@admin.register(TenantGroupGrant)
class TenantGroupGrantAdmin(GrantAdmin):
    list_display = ("group", "permission", "content_object")
    list_select_related = ("group", "permission__content_type", "content_object")


@admin.register(TOTPDevice)
class SecondFactorAdmin(SuperusersOwn):
    """Set up with `manage.py add_staff_user --second-factor`; taken away here when a phone is lost. The key is never shown."""

    list_display = ("user", "name", "confirmed", "last_used_at")
    fields = ("user", "name", "confirmed")

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
