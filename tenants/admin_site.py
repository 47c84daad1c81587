"""The admin's frame: signing in with all factors, and pages that show a person what their rights let them see."""

from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.contrib import admin
from django.contrib.admin.forms import AdminAuthenticationForm
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django_otp import match_token, user_has_device

from tenants.actors import AUTHENTICATOR, Actor, ActorKind, system
from tenants.audit import record_audit
from tenants.context import acting_as, current_address
from tenants.failed_signins import failures_from, wait_after_failures
from tenants.rate_limits import has_room
from tenants.staff import is_fully_signed_in

if TYPE_CHECKING:
    ModelAdmin = admin.ModelAdmin[Any]
else:
    ModelAdmin = admin.ModelAdmin
NOBODY = Actor(kind=ActorKind.STAFF, name="nobody")
SIGN_IN = system("sign-in")
NOT_OFFERED = frozenset({"view_on_site", "autocomplete"})  # pages that look rows up past the walls below


class SignInForm(AdminAuthenticationForm):
    """Name, password and, for who has one, the code of the second factor. One message for every way to be wrong."""

    code = forms.CharField(
        required=False,
        label="Code",
        help_text="From your authenticator app, if you have one.",
        max_length=20,
        widget=forms.TextInput(attrs={"autocomplete": "one-time-code", "inputmode": "numeric"}),
    )

    def clean(self) -> dict[str, Any]:
        address = current_address()
        with acting_as(AUTHENTICATOR):  # the slot is taken before the password is tried: of many at once, each counts
            slot = has_room(failures_from(address, kind="password"))
        if not slot:
            wait = wait_after_failures(address, kind="password")
            raise ValidationError(f"Too many sign-ins from this address. Try again in {wait} s.", code="too_many")
        try:
            super().clean()
            self._check_code()
        except ValidationError as error:
            self.user_cache = None
            _record_sign_in(str(self.cleaned_data.get("username", "")), done=False)
            raise ValidationError("Name, password or code is wrong.", code="invalid_login") from error
        user = self.get_user()
        if user is not None:
            _record_sign_in(user.get_username(), done=True)
        return self.cleaned_data

    def _check_code(self) -> None:
        user = self.get_user()
        if user is None or not user_has_device(user):
            return
        device = match_token(user, self.cleaned_data.get("code", ""))
        if device is None:
            raise ValidationError("code")
        user.otp_device = device  # type: ignore[attr-defined] # django_otp writes it into the session when the sign-in is done


def _record_sign_in(username: str, *, done: bool) -> None:
    """Names that nobody has are not kept: people type their password there."""
    with acting_as(SIGN_IN):
        known = User.objects.filter(username=username).exists()
        record_audit(
            SIGN_IN,
            "user.signed_in" if done else "user.refused",
            subject_type="user",
            subject_key=username[:100] if known else "unknown",
            tenant_id=None,
        )


class OperatorSite(admin.AdminSite):
    """flexgate's admin: reading for everybody with rights, a few acts, users and rights for superusers."""

    site_header = site_title = "flexgate"
    index_title = "Administration"
    login_form = SignInForm
    index_template = "console/index.html"
    login_template = "console/login.html"
    site_url = "/api/v1/docs"
    enable_nav_sidebar = False

    def has_permission(self, request: HttpRequest) -> bool:
        user = request.user
        return isinstance(user, User) and user.is_active and user.is_staff and is_fully_signed_in(request, user)

    def get_urls(self) -> list[Any]:
        return [url for url in super().get_urls() if getattr(url, "name", None) not in NOT_OFFERED]

    def password_change(self, request: HttpRequest, extra_context: Any = None) -> Any:
        response = super().password_change(request, extra_context)
        if request.method == "POST" and response.status_code == 302:
            record_audit(
                actor_of(request),
                "user.password_changed",
                subject_type="user",
                subject_key=request.user.get_username()[:100],
                tenant_id=None,
            )
        return response

    def login(self, request: HttpRequest, extra_context: Any = None) -> Any:
        response: Any = super().login(request, extra_context)
        if request.method == "POST" and response.status_code == 200:
            full = response.context_data["form"].has_error("__all__", "too_many")
            response.status_code = 429 if full else 401
            if full:
                response["Retry-After"] = str(wait_after_failures(current_address(), kind="password"))
        return response


def actor_of(request: HttpRequest) -> Actor:
    """Who looks at this admin page; set by the middleware that opened the context."""
    actor = getattr(request, "actor", NOBODY)
    return actor if isinstance(actor, Actor) else NOBODY


class CarefulAdmin(ModelAdmin):
    """Filters by what the page offers and by nothing else: a filter on a hidden column would tell it letter by letter."""

    list_per_page = 100
    show_full_result_count = False

    def lookup_allowed(self, lookup: str, value: Any, request: Any = None) -> bool:
        offered = [name for name in self.list_filter if isinstance(name, str)]
        return lookup in {f"{name}{way}" for name in offered for way in ("", "__exact", "__isnull", "__id__exact")}

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> Any:
        """Who changed what is in the audit trail; Django's own log is the operator's."""
        if actor_of(request).kind is not ActorKind.OPERATOR:
            raise PermissionDenied
        return super().history_view(request, object_id, extra_context)


class WalledAdmin(CarefulAdmin):
    """A read-only page over `visible_to`, for who holds `scope`. Changes are acts that call the same verbs as the API."""

    scope = ""
    list_select_related: ClassVar[Any] = ()

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        rows: QuerySet[Any] = self.model.objects.visible_to(actor_of(request).with_scope(self.scope))
        return rows.select_related(*self.list_select_related)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).may(self.scope)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return actor_of(request).may(self.scope)

    def has_add_permission(self, request: HttpRequest, *args: Any) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class SuperusersOwn(CarefulAdmin):
    """A page that superusers alone see and change; every change is audited. For anybody else there is nothing to look up."""

    def get_queryset(self, request: HttpRequest) -> "QuerySet[Any]":
        return super().get_queryset(request) if self.has_module_permission(request) else self.model.objects.none()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return actor_of(request).kind is ActorKind.OPERATOR

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return self.has_module_permission(request)

    has_add_permission = has_module_permission
    has_change_permission = has_delete_permission = has_view_permission

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        self._audit(request, obj, "added", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> LogEntry:
        self._audit(request, obj, "changed", message)
        return super().log_change(request, obj, message)

    def log_deletions(self, request: HttpRequest, queryset: "QuerySet[Any]") -> Any:
        for obj in queryset:
            self._audit(request, obj, "deleted", [])
        return super().log_deletions(request, queryset)

    def describe(self, obj: Any) -> dict[str, Any]:
        """What the audit trail keeps of a change, besides the names of the fields."""
        return {}

    def _audit(self, request: HttpRequest, obj: Model, act: str, message: Any) -> None:
        name = str(obj._meta.model_name)
        record_audit(
            actor_of(request),
            f"{name}.{act}",
            subject_type=name,
            subject_key=str(obj)[:100],
            tenant_id=None,
            before=getattr(request, "described_before", None),
            after={"fields": message} | self.describe(obj),
        )

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        if change:
            request.described_before = self.describe(self.model.objects.get(pk=obj.pk))  # type: ignore[attr-defined]
        super().save_model(request, obj, form, change)
