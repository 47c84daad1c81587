"""Staff sessions in PostgreSQL, read and written as the authenticator: the gateway's own role has no right on any table."""

from typing import Any

from django.contrib.sessions.backends import db

from tenants.actors import AUTHENTICATOR
from tenants.context import acting_as


class SessionStore(db.SessionStore):
    """Django's database store, each access in its own short context."""

    def load(self) -> dict[str, Any]:
        with acting_as(AUTHENTICATOR):
            return super().load()

    def exists(self, session_key: str) -> bool:
        with acting_as(AUTHENTICATOR):
            return super().exists(session_key)

    def save(self, must_create: bool = False) -> None:
        with acting_as(AUTHENTICATOR):
            super().save(must_create)

    def delete(self, session_key: str | None = None) -> None:
        with acting_as(AUTHENTICATOR):
            super().delete(session_key)

    @classmethod
    def clear_expired(cls) -> None:
        with acting_as(AUTHENTICATOR):
            super().clear_expired()
