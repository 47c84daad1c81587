"""Admin pages of the top floor, to read: issued statements."""

from django.contrib import admin

from billing.models import Statement
from tenants.admin_site import WalledAdmin


@admin.register(Statement)
class StatementAdmin(WalledAdmin):
    scope = "statements:read"
    list_display = ("number", "tenant", "period_from", "status", "total", "currency")
    list_select_related = ("tenant",)
    search_fields = ("number",)
    ordering = ("-id",)
    exclude = ("run",)
