"""What tenants and the operator may ask for in the write machine: each verb turns a draw into a request, or into none."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from gateway.days import today
from gateway.models import Config, Entitlement, Operation
from gateway.sandbox.faults import Kind, When
from tenants.context import acting_as
from tests.gateway.write_processes import Kill
from tests.people import SETUP
from tests.worlds import ACCOUNT, PROGRAM

if TYPE_CHECKING:
    from tests.gateway.write_machine import World

OTHER_ACCOUNT = ACCOUNT + 1
SIZES = ("2", "4", "8", "16")


@dataclass(frozen=True, slots=True)
class Wish:
    """One draw: who asks for what, how the call fails, how the process dies. `pick` chooses among what there is; `name` is a key."""

    slug: str
    verb: str
    pick: int = 0
    name: str = ""
    prefer: str = "wait=1"
    fault: tuple[Kind, When] | None = None
    kill: Kill | None = None

    @property
    def key(self) -> str:
        """The Idempotency-Key, on what a client repeats by one."""
        return self.name if self.verb in KEYED else ""


KEYED = ("create", "make config")


@dataclass(frozen=True, slots=True)
class Request:
    """`upstream`: the call that a fault is for. `gives`: the serials that a hand-over is about. `drop_in`: asked as FortiFlex is asked."""

    method: str
    path: str
    body: Any
    upstream: str = ""
    by_operator: bool = False
    gives: tuple[str, ...] = ()
    drop_in: bool = False


def make_request(world: "World", wish: Wish) -> Request | None:
    return VERBS[wish.verb](world, wish)


def _create(world: "World", wish: Wish) -> Request:
    configs = [world.vm, world.spare, *_own_configs(wish.slug)]
    body: dict[str, Any] = {"config": world.vm, "description": "mine", "skip_pending": True}
    if not wish.key:  # one key, one body
        body = {"config": configs[wish.pick % len(configs)], "count": 1 + wish.pick % 2, "description": f"m{wish.pick}"}
        body["skip_pending"] = wish.pick % 5 != 4
        if wish.pick % 3 == 0:
            body["end_date"] = _day(wish.pick)
    return Request("POST", "entitlements", body, "entitlements/vm/create")


def _register(world: "World", wish: Wish) -> Request:
    """Both tenants want the same few devices."""
    body: dict[str, Any] = {"config": world.hardware, "serial_numbers": [f"FGT60FTK2000000{wish.pick % 3}"]}
    return Request("POST", "entitlements", body | {"description": "box"}, "entitlements/hardware/create")


def _order_cloud(world: "World", wish: Wish) -> Request:
    """Both tenants want the same account's one of a product."""
    body = {"config": world.cloud[wish.pick % 2], "description": "cloud"}
    return Request("POST", "entitlements", body, "entitlements/cloud/create")


def _create_drop_in(world: "World", wish: Wish) -> Request:
    """A few bodies only, so that many requests are alike."""
    body = {"configId": world.vm, "count": 1 + wish.pick % 2, "description": f"d{wish.pick % 3}", "skipPending": True}
    return Request("POST", "entitlements/vm/create", body, "entitlements/vm/create", drop_in=True)


def _switch_drop_in(world: "World", wish: Wish) -> Request | None:
    row = _pick_entitlement(wish)
    if row is None:
        return None
    call = "entitlements/reactivate" if row.status == "STOPPED" else "entitlements/stop"
    return Request("POST", call, {"serialNumber": row.serial_number}, call, drop_in=True)


def _stop(world: "World", wish: Wish) -> Request | None:
    return _of_serial(wish, "POST", "/stop", {}, "entitlements/stop", without="STOPPED")


def _reactivate(world: "World", wish: Wish) -> Request | None:
    return _of_serial(wish, "POST", "/reactivate", {}, "entitlements/reactivate", without="ACTIVE")


def _renew_token(world: "World", wish: Wish) -> Request | None:
    return _of_serial(wish, "POST", "/token", {}, "entitlements/vm/token")


def _describe(world: "World", wish: Wish) -> Request | None:
    return _of_serial(wish, "PATCH", "", {"description": f"text {wish.pick}"}, "entitlements/update")


def _end(world: "World", wish: Wish) -> Request | None:
    return _of_serial(wish, "PATCH", "", {"end_date": _day(wish.pick)}, "entitlements/update", without="STOPPED")


def _move(world: "World", wish: Wish) -> Request | None:
    config = (world.vm, world.spare)[wish.pick % 2]
    return _of_serial(wish, "PATCH", "", {"config": config}, "entitlements/update")


def _resize(world: "World", wish: Wish) -> Request | None:
    body: dict[str, Any] = {"parameters": [{"id": 1, "value": SIZES[wish.pick % 4]}]}
    if wish.pick % 2:
        body["description"] = f"sized {wish.pick}"
    upstream = ("configs/create", "entitlements/update", "configs/update")[wish.pick % 3]
    return _of_serial(wish, "PATCH", "", body, upstream)


def _transfer(world: "World", wish: Wish) -> Request | None:
    row = _pick_entitlement(wish)
    if row is None:
        return None
    target = OTHER_ACCOUNT if row.account_id == ACCOUNT else ACCOUNT
    upstream = ("configs/create", "entitlements/transfer")[wish.pick % 2]
    return Request("POST", f"entitlements/{row.serial_number}/transfer", {"account_id": target}, upstream)


def _remove(world: "World", wish: Wish) -> Request | None:
    with acting_as(SETUP):
        rows = list(_entitlements(wish.slug).filter(config_id=world.hardware))
    if not rows:
        return None
    serial = rows[wish.pick % len(rows)].serial_number
    return Request("POST", f"entitlements/{serial}/remove", {}, "entitlements/hardware/remove")


def _make_config(world: "World", wish: Wish) -> Request:
    parameters = [{"id": 1, "value": SIZES[wish.pick % 4]}, {"id": 2, "value": "ENT"}]
    body = {"program": PROGRAM, "name": f"size {wish.pick % 3}", "product_type_id": 1, "parameters": parameters}
    return Request("POST", "configs", body | {"account_id": ACCOUNT + (wish.pick % 4 == 3)}, "configs/create")


def _change_config(world: "World", wish: Wish) -> Request | None:
    own = _own_configs(wish.slug, active=False)
    if not own:
        return None
    config, kind = own[wish.pick % len(own)], wish.pick % 4
    if kind < 2:
        body = {"name": f"new {wish.pick}"} if kind else {"parameters": [{"id": 1, "value": SIZES[wish.pick % 3]}]}
        return Request("PATCH", f"configs/{config}", body, "configs/update")
    verb = "enable" if kind == 2 else "disable"
    return Request("POST", f"configs/{config}/{verb}", {}, f"configs/{verb}")


def _hand_over(world: "World", wish: Wish) -> Request | None:
    """The operator gives `slug` something that another has or nobody, whatever is open about it."""
    with acting_as(SETUP):
        rows = Entitlement.objects.exclude(tenant__slug=wish.slug).order_by("serial_number")
        serials = list(rows.values_list("serial_number", flat=True))
    if not serials:
        return None
    chosen = (serials[wish.pick % len(serials)],)
    body = {"serials": list(chosen), "tenant": wish.slug, "from_day": today().isoformat()}
    return Request("POST", "assignments", body, by_operator=True, gives=chosen)


def _resolve(world: "World", wish: Wish) -> Request | None:
    """A person looked into the portal, and says what is true."""
    unknown = _operations(state="unknown")
    return world.word_on(unknown[wish.pick % len(unknown)]) if unknown else None


def _cancel(world: "World", wish: Wish) -> Request | None:
    planned = _operations(state="planned", tenant__slug=wish.slug)
    return Request("POST", f"operations/{planned[wish.pick % len(planned)].id}/cancel", {}) if planned else None


VERBS: dict[str, Callable[["World", Wish], Request | None]] = {
    "create": _create,
    "create by drop-in": _create_drop_in,
    "switch by drop-in": _switch_drop_in,
    "register": _register,
    "order cloud": _order_cloud,
    "stop": _stop,
    "reactivate": _reactivate,
    "renew token": _renew_token,
    "describe": _describe,
    "end": _end,
    "move": _move,
    "resize": _resize,
    "transfer": _transfer,
    "remove": _remove,
    "make config": _make_config,
    "change config": _change_config,
    "hand over": _hand_over,
    "resolve": _resolve,
    "cancel": _cancel,
}


def _of_serial(
    wish: Wish, method: str, path: str, body: Any, upstream: str, *, without: str | None = None
) -> Request | None:
    """A request about one of the tenant's own; what FortiFlex would certainly refuse is refused by the gateway and costs no step here."""
    row = _pick_entitlement(wish, without=without)
    return None if row is None else Request(method, f"entitlements/{row.serial_number}{path}", body, upstream)


def _pick_entitlement(wish: Wish, *, without: str | None = None) -> Entitlement | None:
    with acting_as(SETUP):
        rows = list(_entitlements(wish.slug).exclude(status=without))
    return rows[wish.pick % len(rows)] if rows else None


def _entitlements(slug: str) -> Any:
    return Entitlement.objects.filter(tenant__slug=slug, vanished_at=None).order_by("serial_number")


def _own_configs(slug: str, *, active: bool = True) -> list[int]:
    with acting_as(SETUP):
        rows = Config.objects.filter(tenant__slug=slug, product_type_id=1).order_by("id")
        return list((rows.filter(status="ACTIVE") if active else rows).values_list("id", flat=True))


def _operations(**more: Any) -> list[Operation]:
    with acting_as(SETUP):
        return list(Operation.objects.filter(**more).select_related("tenant").order_by("id"))


def _day(pick: int) -> str:
    return (today() + timedelta(days=30 + pick)).isoformat()
