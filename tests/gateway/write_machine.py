"""A world of tenants, faults and dying processes for the state machine of test_write_machine: each verb runs in a process of its own."""

import os
import sys
import traceback
import warnings
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta
from typing import Any

import time_machine
from django.db import connection, connections

from gateway import ownership, upstream
from gateway.mirror import sync_api_user
from gateway.models import ApiUser, Assignment, Attempt, Config, ConfigOffer, Entitlement, Operation
from gateway.provisioning.draining import drain_queue
from gateway.reconciliation import reconcile_operations
from gateway.sandbox import serve_sandbox
from gateway.sandbox.faults import Kind, When
from gateway.tags import split_tag
from gateway.upstream import client_for
from tenants import clock
from tenants.context import acting_as
from tests import databases
from tests.end_to_end.processes import add_user_of
from tests.people import SETUP, People, make_people
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, make_sandbox

TENANTS = ("acme", "globex")
LIMITS = {"per_minute": 40, "per_hour": 300, "errors_per_hour": 9}
_kept: list[Any] = []


class World:
    """Set up with `__init__`, taken down with `close`; `settle` waits until nothing is open, `check` holds what must hold then."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(databases.own_database())
        self.time = self._stack.enter_context(time_machine.travel(clock.now(), tick=True))
        ownership.forget_day()
        self.sandbox = make_sandbox()
        made = [
            self.sandbox.create_config(
                program=PROGRAM, name=name, product_type_id=product, parameters=parameters, account_id=ACCOUNT
            )
            for name, product, parameters in (
                ("vm", 1, ENT_2),
                ("hardware", 101, [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")]),
            )
        ]
        self.vm, self.hardware = (int(config["id"]) for config in made)
        self.server = serve_sandbox(self.sandbox)
        self._stack.callback(self.server.close)
        upstream.install_transport(None)
        self.people = make_people()
        self.api_user = add_user_of(self.server)
        self.outside: set[str] = set()
        self.number = 0
        with acting_as(SETUP):
            ApiUser.objects.update(**LIMITS)
            for slug in TENANTS:
                for config in Config.objects.all():
                    ConfigOffer.objects.create(config=config, tenant=People.tenant(slug))

    def close(self) -> None:
        self._stack.close()
        ownership.forget_day()

    # --- what happens ---

    def ask(self, slug: str, path: str, body: Any, *, kill_at: int | None, **headers: str) -> None:
        """One request of a tenant, in a process that dies before its `kill_at`-th statement."""
        who = self.people.acme if slug == "acme" else self.people.globex

        def work() -> None:
            code = who.post(path, body, **headers).status_code
            assert code < 500 or code in {502, 503}, code

        self.run(work, kill_at=kill_at)

    def run(self, work: Callable[[], object], *, kill_at: int | None = None) -> None:
        """`work` in a process of its own. A process that fails by itself fails the test."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            _be_child(work, kill_at)
        _, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        assert code == 0 or (code == 9 and kill_at is not None), f"a process ended with {code}"

    def drain(self, *, kill_at: int | None = None) -> None:
        self.run(lambda: drain_queue(self.api_user, seconds=20, wait_seconds=0.2), kill_at=kill_at)

    def reconcile(self, *, kill_at: int | None = None) -> None:
        self.run(lambda: reconcile_operations(everything=True, drain=False), kill_at=kill_at)

    def sync(self, *, kill_at: int | None = None) -> None:
        def work() -> None:
            try:
                sync_api_user(self.api_user, client=client_for(self.api_user, wait_seconds=0.2))
            except upstream_errors():
                return

        self.run(work, kill_at=kill_at)

    def pass_time(self, seconds: float) -> None:
        self.time.shift(timedelta(seconds=seconds))

    def plan_fault(self, path: str, fault: tuple[Kind, When] | None) -> None:
        if fault is not None:
            self.sandbox.plan_fault(path, fault[0], when=fault[1])

    def make_outside(self) -> None:
        """Somebody makes one in the vendor's portal."""
        self.outside |= set(self.sandbox.create_vm(self.vm, description="made in the portal"))

    def serials_of(self, slug: str) -> list[str]:
        with acting_as(SETUP):
            rows = Entitlement.objects.filter(tenant__slug=slug).order_by("pk")
            return list(rows.values_list("serial_number", flat=True))

    # --- what must hold ---

    def settle(self) -> None:
        self.sandbox.clear_faults()
        for _ in range(30):
            self.pass_time(240)
            self.drain()
            self.reconcile()
            if not self.open_operations():
                break
        assert self.open_operations() == [], "something never settled"
        self.pass_time(240)
        self.sync()

    def open_operations(self) -> list[str]:
        with acting_as(SETUP):
            rows = Operation.objects.filter(state__in=["planned", "sent", "unknown"], next_check_at__isnull=False)
            return [str(row) for row in rows]

    def check(self) -> None:
        with acting_as(SETUP):
            operations = list(Operation.objects.select_related("tenant"))
            owners = dict(Assignment.objects.values_list("serial_number", "tenant__slug"))
            attempts = list(Attempt.objects.values_list("operation_id", "number", "tag", "request"))
        claims = [(serial, row) for row in operations if _made_something(row) for serial in row.serial_numbers]
        made_by = dict(claims)
        assert len(made_by) == len(claims), f"two operations claim one entitlement: {claims}"
        for item in self.sandbox.entitlements():
            serial = item["serialNumber"]
            _, tag = split_tag(item["description"] or "")
            if serial in self.outside:
                assert serial not in owners, "somebody got what was made outside"
            elif serial in made_by:
                row = made_by[serial]
                assert owners[serial] == row.tenant.slug, "it went to another tenant than the one that asked"
                assert tag is None or tag.tenant_slug == owners[serial]
            else:
                # FortiFlex shows within its delay all that it makes here, so nothing may even count as a late duplicate.
                raise AssertionError(f"{serial} exists, and no operation knows it")
        assert set(owners) <= {item["serialNumber"] for item in self.sandbox.entitlements()}
        self._check_calls(attempts)

    def _check_calls(self, attempts: list[Any]) -> None:
        sent = Counter(
            call.body["description"].rsplit("[", 1)[-1].rstrip("]")
            for call in self.sandbox.calls
            if call.path == "entitlements/vm/create" and "description" in call.body
        )
        assert all(number == 1 for number in sent.values()), f"an attempt was sent twice: {sent}"
        known = {tag.strip("[]") for _, _, tag, _ in attempts}
        assert set(sent) <= known, "something was sent that the journal does not know"
        times = sorted(call.at for call in self.sandbox.calls if call.path != "oauth/token")
        for window, limit in ((60, LIMITS["per_minute"]), (3600, LIMITS["per_hour"])):
            for index, at in enumerate(times):
                inside = sum(1 for other in times[index:] if (other - at).total_seconds() < window)
                assert inside <= limit, f"{inside} calls in {window} s"


def _made_something(row: Operation) -> bool:
    partly = (row.error or {}).get("code") == "partly_created"
    return row.kind.startswith("create_") and (row.state == "succeeded" or partly)


def upstream_errors() -> type[Exception]:
    from gateway.fortiflex.errors import FortiFlexError

    return FortiFlexError


class _Killer:
    """Ends the process before its n-th statement, as a kill would: no clean-up, no rollback of our own."""

    def __init__(self, at: int) -> None:
        self.left = at

    def __call__(self, execute: Any, sql: Any, params: Any, many: Any, context: Any) -> Any:
        self.left -= 1
        if self.left <= 0:
            os._exit(9)
        return execute(sql, params, many, context)


def _be_child(work: Callable[[], object], kill_at: int | None) -> None:
    try:
        # The parent's connection is the parent's: even to close it would end it there.
        _kept.append(connections["default"].connection)
        connections["default"].connection = None
        if kill_at is None:
            work()
        else:
            with connection.execute_wrapper(_Killer(kill_at)):
                work()
    except BaseException:  # noqa: BLE001 - whatever it was, the parent has to hear of it
        traceback.print_exc(file=sys.__stderr__)
        os._exit(1)
    os._exit(0)
