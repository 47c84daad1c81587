"""A world of tenants, faults and dying processes for the state machine of test_write_machine: each verb runs in a process of its own."""

import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.test import override_settings

from gateway import ownership, upstream
from gateway.days import today
from gateway.fortiflex.days import PACIFIC
from gateway.fortiflex.errors import FortiFlexError
from gateway.mirror import PassUnderWay, sync_api_user
from gateway.models import ApiUser, Config, ConfigOffer, Operation
from gateway.operations import CREATIONS
from gateway.provisioning.draining import drain_queue
from gateway.reconciliation import reconcile_operations
from gateway.sandbox import serve_sandbox
from gateway.tag_following import follow_tags
from gateway.upstream import client_for
from tenants.context import acting_as
from tests import databases
from tests.end_to_end.processes import add_user_of, wait_for
from tests.gateway.dropin.clients import ask_by_drop_in
from tests.gateway.write_checks import check_all
from tests.gateway.write_facts import Facts, read_facts
from tests.gateway.write_processes import Job, Kill, MortalTransport, run_at_once
from tests.gateway.write_wishes import OTHER_ACCOUNT, Request, Wish, make_request
from tests.people import SETUP, People, make_people
from tests.worlds import ACCOUNT, ENT_2, ENT_4, PROGRAM, make_sandbox

TENANTS = ("acme", "globex")
LIMITS = {"per_minute": 40, "per_hour": 300, "errors_per_hour": 9}
CALL_SECONDS = 1.0  # a call that hangs costs this much real time
DROPIN_SECONDS = 2.5  # a drop-in request without an answer waits so long, in real time too
LATENCY_MS = 20  # without it two calls at once would hardly ever meet
WAIT_SECONDS = 0.2
PRODUCTS = {
    "vm": (1, ENT_2),
    "spare": (1, ENT_4),
    "hardware": (101, [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")]),
    "web": (202, [(32, "10"), (33, "1")]),
    "leaks": (212, [(90, "DLPSTD"), (91, "25")]),
}


class World:
    """Set up with `__init__`, taken down with `close`; `settle` waits until nothing is open, `check` holds what must hold then."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._stack.enter_context(databases.own_database())
        self._stack.enter_context(
            override_settings(FLEXGATE_CALL_SECONDS=CALL_SECONDS, FLEXGATE_DROPIN_SECONDS=DROPIN_SECONDS)
        )
        morning = datetime.combine(today(), datetime.min.time(), PACIFIC) + timedelta(hours=10)
        self.time = self._stack.enter_context(time_machine.travel(morning.astimezone(UTC), tick=True))
        ownership.forget_day()
        self.sandbox = make_sandbox(latency_ms=LATENCY_MS)
        self.sandbox.add_account(OTHER_ACCOUNT)
        made = {name: self._make_config(name, *product) for name, product in PRODUCTS.items()}
        self._make_config("elsewhere", 1, ENT_2, OTHER_ACCOUNT)
        self.vm, self.spare, self.hardware = made["vm"], made["spare"], made["hardware"]
        self.cloud = (made["web"], made["leaks"])
        self.made_outside = {config.id for config in self.sandbox.world.configs}
        self.server = serve_sandbox(self.sandbox)
        self._stack.callback(self.server.close)
        self.transport = MortalTransport()
        upstream.install_transport(self.transport)
        self._stack.callback(upstream.install_transport, None)
        self.people = make_people()
        self.api_user = add_user_of(self.server)
        self.outside: set[str] = set()
        self.may_own: dict[str, set[str | None]] = {}  # of what the operator handed over: whose it can be
        self.answers: list[tuple[Wish, Request, Any]] = []
        self.longest_delay = 0
        with acting_as(SETUP):
            ApiUser.objects.update(**LIMITS, tags_follow=True)
            self.api_user.refresh_from_db()
            for slug in TENANTS:
                for config in Config.objects.filter(account_id=ACCOUNT):
                    ConfigOffer.objects.create(config=config, tenant=People.tenant(slug))

    def close(self) -> None:
        self._stack.close()
        ownership.forget_day()

    def _make_config(self, name: str, product: int, parameters: Any, account: int = ACCOUNT) -> int:
        shown = self.sandbox.create_config(
            program=PROGRAM, name=name, product_type_id=product, parameters=parameters, account_id=account
        )
        return int(shown["id"])

    # --- what happens ---

    def ask(self, *wishes: Wish) -> None:
        """Requests, each in a process of its own, all at the same moment."""
        self.run(*self.jobs_of(wishes))

    def jobs_of(self, wishes: Sequence[Wish]) -> list[tuple[Job, Callable[[Any], None]]]:
        """A job for each wish that something can be asked for, and what to do with its answer."""
        found = [(wish, request) for wish in wishes if (request := make_request(self, wish)) is not None]
        for wish, request in found:
            if wish.fault is not None and request.upstream:
                self.sandbox.plan_fault(request.upstream, wish.fault[0], when=wish.fault[1])
        given = [serial for _, request in found for serial in request.gives]
        return [
            (Job(self._sending(wish, request), wish.kill), self._noting(wish, request, given))
            for wish, request in found
        ]

    def _sending(self, wish: Wish, request: Request) -> Callable[[], Any]:
        tenant = self.people.acme if wish.slug == "acme" else self.people.globex
        if request.drop_in:
            return lambda: ask_by_drop_in(tenant, request.path, request.body)
        who = self.people.operator if request.by_operator else tenant
        headers = {"Prefer": wish.prefer} | ({"Idempotency-Key": wish.key} if wish.key else {})

        def send() -> Any:
            answer = who.send(request.method, request.path, request.body, **headers)
            assert answer.status_code < 500 or answer.status_code in {502, 503}, answer.content
            return {"status": answer.status_code, "body": answer.json() if answer.content else None}

        return send

    def _noting(self, wish: Wish, request: Request, given: Sequence[str]) -> Callable[[Any], None]:
        def note(answer: Any) -> None:
            self.answers.append((wish, request, answer))
            for serial in request.gives if answer is None or answer["status"] == 201 else ():
                sure = answer is not None and given.count(serial) == 1
                self.may_own[serial] = {wish.slug} | (set() if sure else self.may_own.get(serial, {*TENANTS, None}))

        return note

    def run(self, *jobs: tuple[Job, Callable[[Any], None]]) -> None:
        """All of them at the same moment; afterwards FortiFlex has done what was sent, also by those who died."""
        said = run_at_once([job for job, _ in jobs], self.transport)
        for answer, (_, note) in zip(said, jobs, strict=True):
            note(answer)
        if any(job.kill is not None for job, _ in jobs):
            time.sleep(0.02)
        wait_for(lambda: self.server.is_idle)

    def do(self, *jobs: Job) -> None:
        self.run(*((job, lambda _: None) for job in jobs))

    def draining(self, kill: Kill | None = None) -> Job:
        return Job(lambda: drain_queue(self.api_user, seconds=20, wait_seconds=WAIT_SECONDS) and None, kill)

    def reconciling(self, kill: Kill | None = None) -> Job:
        def work() -> None:
            reconcile_operations(everything=True, drain=False, wait_seconds=WAIT_SECONDS)

        return Job(work, kill)

    def syncing(self, kill: Kill | None = None) -> Job:
        return Job(self._sync, kill)

    def following(self, kill: Kill | None = None) -> Job:
        return Job(lambda: follow_tags(self.api_user, most=2) and None, kill)

    def _sync(self, *, ask_refused: bool = False) -> bool:
        client = client_for(self.api_user, wait_seconds=WAIT_SECONDS)
        try:
            report = sync_api_user(self.api_user, client=client, ask_refused=ask_refused)
        except (FortiFlexError, PassUnderWay):
            return False
        return not report.stopped and not report.failed

    def pass_time(self, seconds: float) -> None:
        self.time.shift(timedelta(seconds=seconds))

    def appear_late(self, seconds: int) -> None:
        self.longest_delay = max(self.longest_delay, seconds)
        self.sandbox.delay_appearance(seconds)

    def make_outside(self) -> None:
        """Somebody makes one in the vendor's portal."""
        self.outside |= set(self.sandbox.create_vm(self.vm, description="made in the portal"))

    # --- how it ends ---

    def settle(self) -> None:
        """Nothing fails any more: what is open settles by itself, and a person settles what only a person can."""
        self.sandbox.clear_faults()
        for _ in range(60):
            self.pass_time(240)
            self.do(self.draining())
            self.do(self.reconciling())
            if not self._open():
                break
        assert self._open() == [], "something never settled"
        self._read_all()
        for row in self._open(left_to_a_person=True):
            self._resolve(row)
        for _ in range(30):
            if not self._open():
                break
            self.pass_time(240)
            self.do(self.draining())
            self.do(self.reconciling())
        assert self._open() == [], "what a person settled led to something that never settled"
        self._read_all()

    def check(self) -> None:
        check_all(self, read_facts(self.sandbox), LIMITS)

    def word_on(self, row: Operation) -> Request:
        """What a person who sees all of FortiFlex says about an unknown operation."""
        facts: Facts = read_facts(self.sandbox)
        done = [call for call in facts.calls_of(row) if call.done]
        word: dict[str, Any] = {"done": bool(done), "reason": "seen in the portal"}
        if done and row.kind in CREATIONS:
            word["entitlements"] = list(done[-1].serials)
        return Request("POST", f"operations/{row.id}/resolve", word, by_operator=True)

    def _resolve(self, row: Operation) -> None:
        request = self.word_on(row)
        answer = self.people.operator.post(request.path, request.body)
        if answer.status_code != 200:  # somebody else owns by now what it made: that is dealt with
            assert answer.json()["code"] == "invalid", answer.content
            answer = self.people.operator.post(request.path, {"done": True, "reason": "it is another's by now"})
        assert answer.status_code == 200, answer.content

    def _read_all(self) -> None:
        """A pass of the mirror that came through, after everything has appeared, also over what was put off."""
        for _ in range(15):
            self.pass_time(max(400, self.longest_delay))
            read: list[Any] = []
            self.run((Job(lambda: self._sync(ask_refused=True)), read.append))
            if read == [True]:
                return
        raise AssertionError("no pass of the mirror came through")

    def _open(self, *, left_to_a_person: bool = False) -> list[Operation]:
        with acting_as(SETUP):
            rows = Operation.objects.filter(state__in=["planned", "sent", "unknown"]).select_related("tenant")
            return list(rows.filter(next_check_at__isnull=left_to_a_person))
