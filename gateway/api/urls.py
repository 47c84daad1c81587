"""The gateway's paths under /api/v1/."""

from django.urls import path

from gateway.api.accounts import AccountsView
from gateway.api.api_users import ApiUsersView, ApiUserView
from gateway.api.assignment_import import AssignmentImportView
from gateway.api.assignment_rules import AssignmentRulesView, AssignmentRuleView, RulesApplyView, RulesDryRunView
from gateway.api.assignments import AssignmentsView, ProposalsView
from gateway.api.configs import ConfigsView, ConfigSwitchView, ConfigView, OffersView, OfferView
from gateway.api.consumption import ConsumptionView, EntitlementConsumptionView
from gateway.api.diagnosis import DiagnosisView
from gateway.api.entitlements import (
    EntitlementsView,
    EntitlementView,
    NextTokenView,
    ReactivateView,
    RemoveView,
    RenewTokenView,
    StopView,
    TransferView,
)
from gateway.api.estimates import EstimatesView, ProductsView
from gateway.api.operations import CancelView, OperationsView, OperationView, ResolveView
from gateway.api.programs import ProgramsView, ProgramView

# In this order they are tried: first what is asked for most.
urlpatterns = [
    path("entitlements", EntitlementsView.as_view()),
    path("entitlements/next-token", NextTokenView.as_view()),
    path("entitlements/<str:serial>", EntitlementView.as_view()),
    path("entitlements/<str:serial>/stop", StopView.as_view()),
    path("entitlements/<str:serial>/reactivate", ReactivateView.as_view()),
    path("entitlements/<str:serial>/token", RenewTokenView.as_view()),
    path("entitlements/<str:serial>/transfer", TransferView.as_view()),
    path("entitlements/<str:serial>/remove", RemoveView.as_view()),
    path("entitlements/<str:serial>/consumption", EntitlementConsumptionView.as_view()),
    path("entitlements/<str:serial>/diagnosis", DiagnosisView.as_view()),
    path("api-users", ApiUsersView.as_view()),
    path("api-users/<str:name>", ApiUserView.as_view()),
    path("products", ProductsView.as_view()),
    path("estimates", EstimatesView.as_view()),
    path("programs", ProgramsView.as_view()),
    path("programs/<str:serial>", ProgramView.as_view()),
    path("programs/<str:serial>/accounts", AccountsView.as_view()),
    path("configs", ConfigsView.as_view()),
    path("configs/<int:config_id>", ConfigView.as_view()),
    path("configs/<int:config_id>/enable", ConfigSwitchView.as_view(enabled=True)),
    path("configs/<int:config_id>/disable", ConfigSwitchView.as_view(enabled=False)),
    path("configs/<int:config_id>/offers", OffersView.as_view()),
    path("configs/<int:config_id>/offers/<slug:slug>", OfferView.as_view()),
    path("assignments", AssignmentsView.as_view()),
    path("assignments/import", AssignmentImportView.as_view()),
    path("assignments/proposals", ProposalsView.as_view()),
    path("assignment-rules", AssignmentRulesView.as_view()),
    path("assignment-rules/dry-run", RulesDryRunView.as_view()),
    path("assignment-rules/apply", RulesApplyView.as_view()),
    path("assignment-rules/<uuid:rule_id>", AssignmentRuleView.as_view()),
    path("operations", OperationsView.as_view()),
    path("operations/<uuid:operation_id>", OperationView.as_view()),
    path("operations/<uuid:operation_id>/cancel", CancelView.as_view()),
    path("operations/<uuid:operation_id>/resolve", ResolveView.as_view()),
    path("consumption", ConsumptionView.as_view()),
]
