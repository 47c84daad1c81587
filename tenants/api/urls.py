"""The ground floor's paths under /api/v1/."""

from django.urls import path

from tenants.api.audit import AuditExportView, AuditView
from tenants.api.events import EventsView, EventTypesView
from tenants.api.tenants import TenantsView, TenantView
from tenants.api.tokens import TokenRotateView, TokensView, TokenView
from tenants.api.whoami import WhoamiView

urlpatterns = [
    path("whoami", WhoamiView.as_view()),
    path("events", EventsView.as_view()),
    path("event-types", EventTypesView.as_view()),
    path("audit", AuditView.as_view()),
    path("audit/export", AuditExportView.as_view()),
    path("tenants", TenantsView.as_view()),
    path("tenants/<slug:slug>", TenantView.as_view()),
    path("tenants/<slug:slug>/tokens", TokensView.as_view()),
    path("tenants/<slug:slug>/tokens/<uuid:token_id>", TokenView.as_view()),
    path("tenants/<slug:slug>/tokens/<uuid:token_id>/rotate", TokenRotateView.as_view()),
]
