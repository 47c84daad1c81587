"""Billing's paths under /api/v1/."""

from django.urls import path

from billing.api.price_plans import PricePlansView
from billing.api.statement_runs import StatementRunsView
from billing.api.statements import EvidenceView, StatementCsvView, StatementsView, StatementView

urlpatterns = [
    path("price-plans", PricePlansView.as_view()),
    path("statements", StatementsView.as_view()),
    path("statements/<str:number>", StatementView.as_view()),
    path("statements/<str:number>/csv", StatementCsvView.as_view()),
    path("statements/<str:number>/lines/<uuid:line_id>/evidence", EvidenceView.as_view()),
    path("statement-runs", StatementRunsView.as_view()),
]
