"""What a new token may be at most: the kind's own list and time, and never more than whoever makes it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.utils.module_loading import import_string

from tenants import clock
from tenants.actors import Actor, ActorKind
from tenants.addresses import covers
from tenants.models import Tenant, Token, TokenReach
from tenants.problems import Problem, invalid
from tenants.scopes import OPERATOR_SCOPES, TENANT_SCOPES, expand_scopes, unknown_scopes

DEEPEST_FAMILY = 5  # a chain of tokens that make tokens: each use looks at all of them


@dataclass(frozen=True, slots=True)
class TokenWish:
    """What somebody asks of a new token; None = as much as they may give. `entitlements` and `configs` narrow it to what they name.

    `replaces` is the token whose place it takes: its ancestors, its family, and what it was narrowed to, handed over since or not.
    """

    name: str
    scopes: Sequence[str] | None = None
    expires_at: datetime | None = None
    allowed_ips: Sequence[str] | None = None
    entitlements: Sequence[str] | None = None
    configs: Sequence[int] | None = None
    replaces: Token | None = None


@dataclass(frozen=True, slots=True)
class Bounded:
    """A wish after it was held against what its maker may give. `reach`: (kind, key) pairs; None = not narrowed."""

    scopes: list[str]
    expires_at: datetime | None
    allowed_ips: list[str]
    reach: list[tuple[str, str]] | None

    def as_record(self) -> dict[str, Any]:
        """For the audit trail."""
        names = {"entitlements": TokenReach.Kind.ENTITLEMENT, "configs": TokenReach.Kind.CONFIG}
        reach = {name: [key for kind, key in self.reach or () if kind == wanted] for name, wanted in names.items()}
        record = {"scopes": self.scopes, "expires_at": self.expires_at, "allowed_ips": self.allowed_ips}
        return record if self.reach is None else record | reach


def bound_token(actor: Actor, wish: TokenWish, *, tenant: Tenant | None, maker: Token | None) -> Bounded:
    """The wish, completed and checked. `maker` is the token that makes it, if one does. Inside `acting_as(actor)`."""
    if maker is not None and wish.replaces is None and len(maker.ancestors) + 1 >= DEEPEST_FAMILY:
        raise Problem("state_conflict", f"Tokens make tokens at most {DEEPEST_FAMILY} deep; use one further up.")
    return Bounded(
        scopes=_bound_scopes(actor, wish.scopes, tenant=tenant),
        expires_at=_bound_expiry(
            wish.expires_at, operator=tenant is None, maker=maker, rotated=wish.replaces is not None
        ),
        allowed_ips=_bound_networks(wish.allowed_ips, maker=maker),
        reach=_bound_reach(actor, wish, tenant=tenant),
    )


def refuse_beyond(actor: Actor, token: Token, maker: Token | None, *, to_copy: bool = False) -> None:
    """Problem `insufficient_scope` where `token` is not the actor's to end or, with `to_copy`, to rotate."""
    if not is_within(actor, token, maker, to_copy=to_copy):
        raise Problem(
            "insufficient_scope", "This token is not yours to handle: it may do more, or was not made by yours."
        )


def is_within(actor: Actor, token: Token, maker: Token | None, *, to_copy: bool = False) -> bool:
    """A tenant's token handles itself and what it made; one that the operator gave out also ends others that may do no more.

    A person and an operator's token handle what may do no more than they. `maker` is the token that asks, if one does.
    """
    if actor.kind is ActorKind.SYSTEM or token.id == actor.token_id or actor.token_id in token.ancestors:
        return True
    if maker is not None and maker.tenant_id is not None and (to_copy or maker.ancestors):
        return False
    return expand_scopes(token.scopes) <= actor.scopes_on(token.tenant_id)


def _bound_scopes(actor: Actor, asked: Sequence[str] | None, *, tenant: Tenant | None) -> list[str]:
    every = OPERATOR_SCOPES if tenant is None else TENANT_SCOPES
    mine = expand_scopes(every) if actor.kind is ActorKind.SYSTEM else actor.scopes_on(tenant.id if tenant else None)
    if asked is None:
        return sorted(every & mine)
    if not asked:
        raise invalid("/scopes", "Name at least one scope, or leave scopes out for all of them.")
    unknown = unknown_scopes(asked, operator=tenant is None)
    if unknown:
        kind = "an operator" if tenant is None else "a tenant"
        raise invalid("/scopes", f"Unknown scope for {kind} token: {', '.join(unknown)}.")
    if not expand_scopes(asked) <= mine:
        raise invalid("/scopes", "A token can only make tokens with no more scopes than its own.")
    return sorted(set(asked))


def _bound_expiry(asked: datetime | None, *, operator: bool, maker: Token | None, rotated: bool) -> datetime | None:
    now = clock.now()
    latest = now + timedelta(days=settings.FLEXGATE_TOKEN_MAX_DAYS)
    if asked is not None and asked <= now:
        raise invalid("/expires_at", "The expiry is in the past; name a later moment.")
    if operator:
        return asked
    mine = maker.expires_at if maker is not None else None
    if asked is not None and rotated:
        return asked if mine is None else min(asked, mine)
    if asked is None:
        return min(latest, mine) if mine is not None else latest
    if asked > latest:
        days = settings.FLEXGATE_TOKEN_MAX_DAYS
        raise invalid("/expires_at", f"A token lives at most {days} days; name an earlier expiry or leave it out.")
    if mine is not None and asked > mine:
        raise invalid(
            "/expires_at", "A token can't outlive the one that makes it; name an earlier expiry or leave it out."
        )
    return asked


def _bound_networks(asked: Sequence[str] | None, *, maker: Token | None) -> list[str]:
    mine = maker.allowed_ips if maker is not None else []
    if not asked:
        return list(mine)
    if not covers(mine, asked):
        raise invalid("/allowed_ips", "A token can only make tokens for networks within its own.")
    return list(asked)


def _bound_reach(actor: Actor, wish: TokenWish, *, tenant: Tenant | None) -> list[tuple[str, str]] | None:
    """Names that exist, are the tenant's and, for a narrowed maker, are among its own. Nothing named = the maker's own reach."""
    mine = actor.reach
    if wish.entitlements is None and wish.configs is None:
        return None if mine is None else _pairs(sorted(mine.entitlements), sorted(mine.configs))
    if tenant is None:
        raise invalid("/entitlements", "An operator's token can't be narrowed.")
    serials, configs = list(dict.fromkeys(wish.entitlements or ())), list(dict.fromkeys(wish.configs or ()))
    if not serials and not configs:
        raise invalid("/entitlements", "Name at least one entitlement or config, or leave both out.")
    if wish.replaces is None:  # a rotated token keeps what it was narrowed to, handed over or not
        for index, serial in _not_among(
            serials, mine.entitlements if mine else None, _known(tenant, "entitlement", serials)
        ):
            raise invalid(f"/entitlements/{index}", f"There is no entitlement {serial}.")
        for index, config in _not_among(configs, mine.configs if mine else None, _known(tenant, "config", configs)):
            raise invalid(f"/configs/{index}", f"There is no config {config}.")
    return _pairs(serials, configs)


def _known(tenant: Tenant, kind: str, names: Sequence[Any]) -> set[Any]:
    """Those of `names` that the tenant sees. The floor above knows; the settings say whom to ask."""
    find = import_string(settings.FLEXGATE_REACH_FINDER)
    return set(find(tenant, kind, names)) if names else set()


def _not_among(names: Sequence[Any], mine: Iterable[Any] | None, known: set[Any]) -> list[tuple[int, Any]]:
    allowed = known if mine is None else known & set(mine)
    return [(index, name) for index, name in enumerate(names) if name not in allowed]


def _pairs(serials: Sequence[str], configs: Sequence[int]) -> list[tuple[str, str]]:
    kind = TokenReach.Kind
    return [(str(kind.ENTITLEMENT), serial) for serial in serials] + [
        (str(kind.CONFIG), str(config)) for config in configs
    ]
