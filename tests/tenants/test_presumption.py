"""Who is only presumed is confirmed by the first access, whichever that is, and by no answer left out."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.test import APIRequestFactory

from tenants import exceptions
from tenants.actors import Actor, ActorKind, system
from tenants.api import ApiView
from tenants.authentication import not_authenticated
from tenants.context import acting_as, ask_as, write_if
from tenants.presumption import Presumption, StandsOtherwise, is_confirmed, one_request, presume
from tenants.problems import Problem
from tenants.rows import Statement

SOMEBODY = Actor(kind=ActorKind.TENANT, name="somebody")
NOTHING = Statement("SELECT 1", [])
ACCESSES: dict[str, Callable[[], Any]] = {
    "a context": lambda: acting_as(SOMEBODY).__enter__(),
    "the gateway's own": lambda: acting_as(system("test")).__enter__(),
    "a question": lambda: ask_as(SOMEBODY, "SELECT 1", []),
}


def presume_somebody(confirm: Callable[[], None]) -> None:
    presume(Presumption(lambda: NOTHING, NOTHING, lambda rows: True, confirm))


def refuse() -> None:
    raise not_authenticated()


@pytest.mark.parametrize("name", ACCESSES)
def test_the_first_access_of_any_kind_confirms(name: str) -> None:
    with one_request():
        presume_somebody(refuse)
        for _ in range(2):  # whoever catches it comes no further
            with pytest.raises(Problem, match="valid, unexpired"):
                ACCESSES[name]()
        with pytest.raises(Problem, match="valid, unexpired"):
            write_if(system("test"), locks=[], holds=NOTHING, words=[])
        assert not is_confirmed()
    assert is_confirmed()


def answer(handler: Callable[[Request], Response], confirm: Callable[[], None]) -> Any:
    class View(ApiView):
        scopes = {"POST": None}

        def perform_authentication(self, request: Request) -> None:
            request.user = SOMEBODY  # type: ignore[assignment]
            presume_somebody(confirm)

        def post(self, request: Request) -> Response:
            return handler(request)

    return View.as_view()(APIRequestFactory().post("/", {}, format="json"))


def fail(_: Request) -> Response:
    raise ValueError("anything")


@pytest.mark.django_db
def test_a_refusal_is_no_answer_to_whoever_is_not_let_in() -> None:
    assert answer(fail, refuse).status_code == 401
    assert answer(fail, lambda: None).status_code == 500


def test_an_answer_to_whoever_was_not_looked_up_is_none() -> None:
    with pytest.raises(RuntimeError, match="not looked up"):
        answer(lambda _: Response({}), lambda: None)
    assert is_confirmed()


def test_a_refusal_that_a_view_swallows_is_no_answer_either() -> None:
    def swallow(request: Request) -> Response:
        with contextlib.suppress(Problem), acting_as(SOMEBODY):
            pass
        return Response({"all": "well"}, status=201)

    with pytest.raises(RuntimeError, match="not looked up"):
        answer(swallow, refuse)


@pytest.mark.django_db
def test_a_fault_of_ours_is_logged_though_it_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    logged = list[str]()
    monkeypatch.setattr(exceptions.log, "error", lambda text, **told: logged.append(str(told["exc_info"])))
    assert answer(fail, refuse).status_code == 401
    assert logged == ["anything"]


@pytest.mark.django_db
def test_whoever_stands_otherwise_is_served_as_who_they_are() -> None:
    other, served = Actor(kind=ActorKind.TENANT, name="other"), list[Any]()

    def stand_otherwise() -> None:
        raise StandsOtherwise(other)

    def handler(request: Request) -> Response:
        served.append(request.user)
        with acting_as(request.user):  # type: ignore[arg-type]
            return Response({}, status=201)

    assert answer(handler, stand_otherwise).status_code == 201
    assert served == [SOMEBODY, other]
