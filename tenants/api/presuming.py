"""Views that may begin before a token that was let in lately is looked up again (tenants.presumption), and answer nobody who was not."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from tenants.actors import Actor
from tenants.exceptions import log_if_ours
from tenants.presumption import StandsOtherwise, confirm_presumed, forget_presumption, is_confirmed, one_request


class PresumingView(APIView):
    """`presuming_methods` = those that always ask PostgreSQL before they are done; the look-up goes with that, or first."""

    presuming_methods: ClassVar[frozenset[str]] = frozenset()
    _unreadable: Exception | None = None

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        with one_request():
            return super().dispatch(request, *args, **kwargs)

    def handle_exception(self, exc: Exception) -> Response:
        """A refusal is an answer too: whoever is only presumed is looked up before it, and served anew if they stand otherwise."""
        try:
            confirm_presumed()
        except Exception as unconfirmed:  # noqa: BLE001 - it is answered below
            if exc is not unconfirmed:
                log_if_ours(exc, view=self)
            exc = unconfirmed
        forget_presumption()
        if isinstance(exc, StandsOtherwise):
            try:
                return self._begin_anew(exc.actor)
            except Exception as error:  # noqa: BLE001 - as above
                exc = error
        return super().handle_exception(exc)

    def _begin_anew(self, actor: Actor) -> Response:
        self.request.user = actor  # type: ignore[assignment]
        self.check_permissions(self.request)
        handler: Callable[..., Response] = getattr(self, str(self.request.method).lower())
        return handler(self.request, *self.args, **self.kwargs)

    def finalize_response(self, request: Request, response: Response, *args: Any, **kwargs: Any) -> Response:
        if not is_confirmed():
            raise RuntimeError("Answered somebody who was not looked up.")
        return super().finalize_response(request, response, *args, **kwargs)

    def read_data(self) -> Any:
        """A body that could not be read can't be read again: what was wrong with it is said again."""
        if self._unreadable is not None:
            raise self._unreadable
        try:
            return self.request.data
        except Exception as error:
            self._unreadable = error
            raise
