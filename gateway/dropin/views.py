"""One view for all of FortiFlex's paths and one for each of its login's: who asks, may they, what did they ask, and the form of the answer."""

import re
from collections.abc import Callable

import structlog
from django.conf import settings
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.views.decorators.csrf import csrf_exempt

from gateway.dropin.body import Body, read_json
from gateway.dropin.calls import CALLS, V1_CALLS, Call
from gateway.dropin.envelope import refuse, render_success
from gateway.dropin.login import answer_login, answer_revoke
from gateway.dropin.places import Asked
from tenants.actors import Actor
from tenants.authentication import actor_of, not_authenticated
from tenants.body_slots import read_body
from tenants.context import acting_as, current_address
from tenants.exceptions import problem_for
from tenants.models import Tenant, Token
from tenants.problems import Problem, answer_problem, not_found, plain_path
from tenants.refusals import record_refusal
from tenants.session_tokens import find_session

VERSIONED = re.compile(r"/es/api/(fortiflex/v2|flexvm/v1|flexvm/fortiflex/v2)/(.+)")
log = structlog.get_logger("flexgate.dropin")
View = Callable[[HttpRequest], HttpResponse]


def _in_their_form(view: View) -> View:
    """Whatever goes wrong in `view` is answered in the form of its path. POST is the only method that FortiFlex knows."""

    @csrf_exempt
    def answer(request: HttpRequest) -> HttpResponse:
        try:
            if not settings.FLEXGATE_DROPIN:
                raise not_found()
            return view(request)
        except UnreadablePostError:
            return answer_problem(request, refuse("The body ended before its Content-Length."))
        except Exception as error:
            problem = problem_for(error)
            if problem.code == "internal_error":
                log.exception("unhandled error", path=request.path)
            return answer_problem(request, problem)

    return answer


def _refuse_other_methods(request: HttpRequest) -> None:
    if request.method != "POST":
        raise Problem("method_not_allowed", "Only POST is allowed here.", headers={"Allow": "POST"})


@_in_their_form
def log_in(request: HttpRequest) -> HttpResponse:
    _refuse_other_methods(request)
    return answer_login(request)


@_in_their_form
def revoke(request: HttpRequest) -> HttpResponse:
    _refuse_other_methods(request)
    return answer_revoke(request)


@_in_their_form
def answer_call(request: HttpRequest) -> HttpResponse:
    """404, 405, 401, 403, 400: in this order, and each before anything is looked up."""
    name, call = find_call(request.path)
    _refuse_other_methods(request)
    token = _authenticate(request)
    actor = actor_of(token)
    _check_permission(actor, name, call)
    raw = read_body(request.read, request.META, str(actor.tenant_id))
    asked = Asked(actor, _tenant_of(token), name, Body(read_json(raw)))
    try:
        if not call.reads:
            return render_success(call.answer(asked))
        with acting_as(actor):
            content = call.answer(asked)
        return render_success(content)
    except Problem as problem:
        if problem.code == "token_narrowed":  # only its body told that it is about more
            _record(actor, name, problem)
        if problem.code == "not_found":  # a path that is unknown is 404, a thing that is unknown is a refusal
            raise refuse(problem.detail) from problem
        raise


def find_call(path: str) -> tuple[str, Call]:
    """The call that a path names, in any case, with doubled slashes and a trailing one. Problem `not_found`."""
    match = VERSIONED.fullmatch(plain_path(path))
    if match is None or match[2] not in CALLS or (match[1] == "flexvm/v1" and match[2] not in V1_CALLS):
        raise Problem("not_found", "There is no such path here.")
    return match[2], CALLS[match[2]]


def _authenticate(request: HttpRequest) -> Token:
    """Access tokens of the login alone: a token of the REST API itself is none here, so that there is one way in."""
    scheme, _, text = request.headers.get("Authorization", "").partition(" ")
    token = find_session(text.strip(), address=current_address()) if scheme.lower() == "bearer" else None
    if token is None:
        raise not_authenticated()
    return token


def _check_permission(actor: Actor, name: str, call: Call) -> None:
    problem = None
    if not actor.may(call.scope):
        problem = Problem("insufficient_scope", f"This token lacks the scope {call.scope}.")
    elif actor.reach is not None and not call.narrowed:
        problem = Problem("token_narrowed", "This token is narrowed to some entitlements or configs.")
    if problem is not None:
        _record(actor, name, problem)
        raise problem


def _record(actor: Actor, name: str, problem: Problem) -> None:
    record_refusal(actor, problem.code, method="POST", path=f"ES/api/fortiflex/v2/{name}")


def _tenant_of(token: Token) -> Tenant:
    if token.tenant is None:
        raise not_authenticated()
    return token.tenant
