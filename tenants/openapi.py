"""What the OpenAPI description needs besides the views: how to authenticate, what every call may answer with, and how strict bodies are."""

from collections.abc import Iterator, Mapping
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension, OpenApiSerializerFieldExtension
from drf_spectacular.utils import OpenApiParameter

from tenants.idempotency import LONGEST_KEY, REPLAYED
from tenants.problems import PROBLEM_TYPE, STATUS_BY_CODE

IF_MATCH = OpenApiParameter(
    "If-Match", str, OpenApiParameter.HEADER, description="the ETag you read; 412 if it is another one now"
)
IDEMPOTENCY_KEY = OpenApiParameter(
    "Idempotency-Key",
    {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY},
    OpenApiParameter.HEADER,
    description="one key, one creation, for 30 days; 422 if it comes with another path or body",
)


class BearerScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "tenants.authentication.BearerAuthentication"
    name = "token"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "An API token of the gateway: fxg_tenant_… or fxg_operator_…",
        }


class StaffSessionScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "tenants.staff.StaffSessionAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A staff user's session, from /admin/. Changes need the CSRF cookie's value as X-CSRFToken too.",
        }


class PlainDecimal(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = "tenants.api.fields.StrictDecimalField"

    def map_serializer_field(self, auto_schema: Any, direction: Any) -> dict[str, str]:
        whole, fraction = self.target.max_whole_digits, self.target.decimal_places
        return {"type": "string", "pattern": rf"^[0-9]{{1,{whole}}}(\.[0-9]{{1,{fraction}}})?$"}


PROBLEM = {
    "type": "object",
    "description": "RFC 9457; `code` is stable, `detail` says what to do",
    "required": ["type", "title", "status", "code", "detail", "request_id"],
    "properties": {
        "type": {"type": "string", "pattern": "^urn:flexgate:problem:[a-z_]+$"},
        "title": {"type": "string"},
        "status": {"type": "integer", "minimum": 400, "maximum": 599},
        "code": {"type": "string", "enum": sorted(STATUS_BY_CODE)},
        "detail": {"type": "string"},
        "request_id": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["pointer", "detail"],
                "properties": {
                    "pointer": {"type": "string", "description": "/field of the body, ?parameter, or a header's name"},
                    "detail": {"type": "string"},
                },
            },
        },
        "operation": {"$ref": "#/components/schemas/Operation", "description": "what was journaled, where it failed"},
        "upstream": {"type": "string", "description": "FortiFlex's own text, for the operator"},
    },
}
EVERYWHERE = ("400", "401", "403", "404", "405", "406", "413", "429", "500")
ON_WRITES = ("409", "415", "502", "503")
BY_HEADER = {"If-Match": "412", "Idempotency-Key": "422"}
TAG = {"ETag": {"schema": {"type": "string"}, "description": "for If-None-Match, and for If-Match of a change"}}
REPLAY = {
    name: {
        "schema": {"type": "string", "enum": [value]},
        "description": "an earlier request with the same key asked for this",
    }
    for name, value in REPLAYED.items()
}
IF_NONE_MATCH = {
    "in": "header",
    "name": "If-None-Match",
    "schema": {"type": "string"},
    "description": "ETags you have; 304 if one of them is still right",
}


def complete_description(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """A postprocessing hook: problems and tags of every operation, and bodies that take no other fields than the named."""
    schemas = result.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = PROBLEM
    for path in result["paths"].values():
        for method, operation in path.items():
            _describe_problems(method, operation)
            if method == "get":
                _describe_tags(operation)
            _describe_replays(operation)
            for name in _names_within(operation.get("requestBody", {}), schemas):
                schemas[name]["additionalProperties"] = False
    return result


def _describe_problems(method: str, operation: dict[str, Any]) -> None:
    content = {PROBLEM_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    headers = {parameter["name"] for parameter in operation.get("parameters", ())}
    statuses = EVERYWHERE + (ON_WRITES if method != "get" else ())
    for status in (*statuses, *(status for name, status in BY_HEADER.items() if name in headers)):
        operation["responses"].setdefault(status, {"description": "Problem", "content": content})


def _describe_tags(operation: dict[str, Any]) -> None:
    answer = operation["responses"]["200"]
    if "application/json" in answer["content"]:
        answer["headers"] = TAG
        operation["responses"]["304"] = {"description": "Not modified", "headers": TAG}
        operation.setdefault("parameters", []).append(IF_NONE_MATCH)


def _describe_replays(operation: dict[str, Any]) -> None:
    if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ())):
        for status, answer in operation["responses"].items():
            if status.startswith("2"):
                answer["headers"] = REPLAY


def _names_within(part: Any, schemas: Mapping[str, Any]) -> Iterator[str]:
    """The objects among the components that `part` refers to, directly or through others."""
    if isinstance(part, Mapping):
        name = str(part.get("$ref", "")).removeprefix("#/components/schemas/")
        if name in schemas:
            if "properties" in schemas[name]:
                yield name
            yield from _names_within(schemas[name], schemas)
    for item in part.values() if isinstance(part, Mapping) else part if isinstance(part, list) else ():
        yield from _names_within(item, schemas)
