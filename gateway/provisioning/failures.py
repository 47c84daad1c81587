"""Why FortiFlex did not do something: our words for the tenant, FortiFlex's own for the operator."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gateway.catalogue import name_parameter
from gateway.fortiflex.errors import NotDone, RateLimited, Rejected, TokenRejected
from gateway.fortiflex.records import ProductType
from gateway.gate import GateClosed, Why, closing_after
from gateway.models import Operation
from tenants.actors import Actor
from tenants.problems import STATUS_BY_CODE, Problem

BUSY = "FortiFlex takes no more calls right now. Nothing was done; try again later."
UNREACHABLE = "FortiFlex can't be reached at the moment. Nothing was done; try again."
REFUSED = "FortiFlex refused this. Check the values; your operator can see its reason."
# The same sentence for a serial that FortiFlex refuses and for one that another customer owns.
NOT_AVAILABLE = "At least one of these serial numbers can't be registered. Check that they are yours and not in use."


# The same for a product that another customer has in a shared account and for one that FortiFlex refuses for whatever reason.
NO_SECOND = (
    "This cloud product can't be had in this account. FortiFlex gives one per product and account; ask your operator."
)


@dataclass(frozen=True, slots=True)
class Failure:
    """`upstream` is for the operator's eyes; `retry_after` in seconds where waiting helps."""

    code: str
    detail: str
    upstream: str = ""
    retry_after: int | None = None


def explain_failure(error: NotDone, *, kind: str | None = None, product: ProductType | None = None) -> Failure:
    """What to tell of a call that was definitely not done."""
    if isinstance(error, GateClosed):
        silent = error.why in {Why.SILENT, Why.LOGIN, Why.PROBE}
        code, detail = ("upstream_unavailable", UNREACHABLE) if silent else ("upstream_busy", BUSY)
        return Failure(code, detail, str(error), error.seconds)
    shut = closing_after(error, 0)  # who comes before the gate opens is only turned away
    if isinstance(error, RateLimited):
        return Failure("upstream_busy", BUSY, str(error), shut[0] if shut else 60)
    if isinstance(error, TokenRejected) or not isinstance(error, Rejected):
        return Failure("upstream_unavailable", UNREACHABLE, str(error), shut[0] if shut else 30)
    if kind == Operation.Kind.CREATE_HARDWARE:
        return Failure("not_available", NOT_AVAILABLE, error.upstream_message)
    if kind == Operation.Kind.CREATE_CLOUD:
        return Failure("not_available", NO_SECOND, error.upstream_message)
    if error.parameter_id is not None:
        detail = f"FortiFlex does not accept the value of {name_parameter(product, error.parameter_id)}."
        return Failure("upstream_rejected", detail, error.upstream_message)
    return Failure("upstream_rejected", REFUSED, error.upstream_message)


def as_problem(failure: Mapping[str, Any], actor: Actor, *, extra: Mapping[str, Any] | None = None) -> Problem:
    """An operation's error, or a Failure as a mapping, as the problem document of this caller."""
    code = failure["code"] if failure["code"] in STATUS_BY_CODE else "state_conflict"
    more = dict(extra or {})
    if actor.sees_every_tenant and failure.get("upstream"):
        more["upstream"] = failure["upstream"]
    wait = failure.get("retry_after")
    return Problem(code, failure["detail"], headers={"Retry-After": str(wait)} if wait else None, extra=more)
