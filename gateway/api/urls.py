"""The gateway's paths under /api/v1/."""

from django.urls import path

from gateway.api.api_users import ApiUsersView, ApiUserView
from gateway.api.assignments import AssignmentsView, ProposalsView
from gateway.api.consumption import ConsumptionView, EntitlementConsumptionView
from gateway.api.programs import ProgramsView, ProgramView

urlpatterns = [
    path("api-users", ApiUsersView.as_view()),
    path("api-users/<str:name>", ApiUserView.as_view()),
    path("programs", ProgramsView.as_view()),
    path("programs/<str:serial>", ProgramView.as_view()),
    path("assignments", AssignmentsView.as_view()),
    path("assignments/proposals", ProposalsView.as_view()),
    path("consumption", ConsumptionView.as_view()),
    path("entitlements/<str:serial>/consumption", EntitlementConsumptionView.as_view()),
]
