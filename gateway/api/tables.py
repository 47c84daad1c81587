"""What the API says of itself: the head of its description, and the headers that portals in browsers send and read. Tables for the settings."""

from collections.abc import Mapping
from typing import Any

DESCRIPTION: Mapping[str, Any] = {
    "TITLE": "flexgate",
    "DESCRIPTION": "The gateway between an MSP's customers and Fortinet FortiFlex. Points and money are strings; days are US Pacific days.",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "tenants.openapi.complete_description"],
    "ENUM_NAME_OVERRIDES": {
        "OperationStateEnum": "gateway.models.Operation.State",
        "OperationKindEnum": "gateway.models.Operation.Kind",
        "TenantStatusEnum": "tenants.models.Tenant.Status",
    },
}
ALLOWED_HEADERS = (
    "accept",
    "authorization",
    "content-type",
    "idempotency-key",
    "if-match",
    "if-none-match",
    "prefer",
    "request-id",
)
EXPOSED_HEADERS = (
    "ETag",
    "Idempotent-Replayed",
    "Location",
    "RateLimit",
    "RateLimit-Policy",
    "Request-Id",
    "Retry-After",
)
