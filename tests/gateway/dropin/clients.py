"""A customer's client of FortiFlex's API, with nothing of ours in it but where it points."""

import json
from decimal import Decimal
from typing import Any

from django.conf import settings
from django.test import Client

from tenants.bodies import dump_json
from tenants.token_format import parse_token
from tests.people import ApiClient

TOKEN_PATH, REVOKE_PATH, API = "/api/v1/oauth/token/", "/api/v1/oauth/revoke_token/", "/ES/api/fortiflex/v2/"
DONE = {"status": 0, "message": "Request processed successfully.", "error": None}


def credentials(person: ApiClient) -> dict[str, str]:
    """What the operator gives a customer: the token's id and its secret."""
    presented = parse_token(str(person.token), environment=settings.FLEXGATE_ENVIRONMENT)
    assert presented is not None
    return {"username": str(presented.token_id), "password": presented.secret}


def login_body(person: ApiClient, **more: Any) -> dict[str, Any]:
    return credentials(person) | {"client_id": "flexvm", "grant_type": "password"} | more


def refused(message: str, *, status: int = -1, error: Any = None) -> dict[str, Any]:
    return {"status": status, "message": message, "error": error}


class FlexClient:
    """Logged in as `person`; `call` answers (HTTP status, body), numbers exact."""

    def __init__(self, person: ApiClient) -> None:
        self.http = Client()
        self.access_token = self.post(TOKEN_PATH, login_body(person))[1]["access_token"]

    def call(self, path: str, body: Any = None, **headers: str) -> tuple[int, dict[str, Any]]:
        given = {"Authorization": f"Bearer {self.access_token}"} | headers
        return self.post(path if path.startswith("/") else API + path, {} if body is None else body, **given)

    def ok(self, path: str, body: Any = None) -> dict[str, Any]:
        status, answer = self.call(path, body)
        assert (status, answer["status"], answer["message"], answer["error"]) == (200, *DONE.values()), answer
        return answer

    def post(self, path: str, body: Any, **headers: str) -> tuple[int, dict[str, Any]]:
        raw = body if isinstance(body, bytes) else dump_json(body)
        answer = self.http.generic("POST", path, data=raw, content_type="application/json", headers=headers)
        assert answer["Content-Type"] == "application/json; charset=utf-8", answer.content
        return answer.status_code, json.loads(answer.content, parse_float=Decimal)


def ask_by_drop_in(person: ApiClient, path: str, body: Any) -> dict[str, Any]:
    """One call by a client that logs in for it: `status` as HTTP has it, `body`. AssertionError where an answer breaks the form."""
    client = FlexClient(person)
    status, answer = client.call(path, body)
    assert status < 500 or status == 503, answer
    assert (answer["status"] == 0) == (status == 200 and answer["error"] is None), answer
    return {"status": status, "body": answer}
