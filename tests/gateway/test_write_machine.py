"""Tenants write, FortiFlex fails in every way it can, processes die at any statement; in the end nothing is lost, doubled or another's."""

from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway.sandbox.faults import KINDS, NEVER_AFTER
from tests.databases import OwnDatabase
from tests.gateway.write_machine import TENANTS, World

VERBS = {"stop": "entitlements/stop", "reactivate": "entitlements/reactivate", "token": "entitlements/vm/token"}
FAULTS = [(kind, when) for kind in KINDS if kind != "timeout" for when in ("before", "after")]
FAULTS = [(kind, when) for kind, when in FAULTS if when == "before" or kind not in NEVER_AFTER]
tenants = st.sampled_from(TENANTS)
faults = st.one_of(st.none(), st.sampled_from(FAULTS))
kills = st.one_of(st.none(), st.none(), st.integers(1, 110))
waits = st.sampled_from([{"Prefer": "wait=1"}, {"Prefer": "wait=1"}, {"Prefer": "respond-async"}])


class WriteMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    def teardown(self) -> None:
        try:
            self.world.settle()
            self.world.check()
        finally:
            self.world.close()

    @rule(
        slug=tenants,
        count=st.integers(1, 3),
        kill_at=kills,
        wait=waits,
        key=st.sampled_from(["", "", "a", "b"]),
        fault=faults,
    )
    def create(self, slug: str, count: int, kill_at: int | None, wait: dict[str, str], key: str, fault: Any) -> None:
        self.world.plan_fault("entitlements/vm/create", fault)
        headers = wait | ({"Idempotency-Key": key} if key else {})
        body = {"config": self.world.vm, "count": 1 if key else count, "description": "mine"}
        self.world.ask(slug, "entitlements", body, kill_at=kill_at, **headers)

    @rule(slug=tenants, number=st.integers(0, 3), kill_at=kills, wait=waits, fault=faults)
    def register(self, slug: str, number: int, kill_at: int | None, wait: dict[str, str], fault: Any) -> None:
        """Both tenants want the same few devices."""
        self.world.plan_fault("entitlements/hardware/create", fault)
        body = {"config": self.world.hardware, "serial_numbers": [f"FGT60FTK2000000{number}"], "description": "box"}
        self.world.ask(slug, "entitlements", body, kill_at=kill_at, **wait)

    @rule(
        slug=tenants,
        pick=st.integers(0, 9),
        verb=st.sampled_from(sorted(VERBS)),
        kill_at=kills,
        wait=waits,
        fault=faults,
    )
    def change(self, slug: str, pick: int, verb: str, kill_at: int | None, wait: dict[str, str], fault: Any) -> None:
        serials = self.world.serials_of(slug)
        if serials:
            self.world.plan_fault(VERBS[verb], fault)
            path = f"entitlements/{serials[pick % len(serials)]}/{verb}"
            self.world.ask(slug, path, {}, kill_at=kill_at, **wait)

    @rule(seconds=st.sampled_from([0, 0, 90]))
    def appear_late(self, seconds: int) -> None:
        self.world.sandbox.delay_appearance(seconds)

    @rule(kill_at=kills)
    def drain(self, kill_at: int | None) -> None:
        self.world.drain(kill_at=kill_at)

    @rule(kill_at=kills)
    def reconcile(self, kill_at: int | None) -> None:
        self.world.reconcile(kill_at=kill_at)

    @rule(kill_at=kills)
    def sync(self, kill_at: int | None) -> None:
        self.world.sync(kill_at=kill_at)

    @rule()
    def make_outside(self) -> None:
        self.world.make_outside()

    @rule(seconds=st.sampled_from([5, 70, 200]))
    def pass_time(self, seconds: int) -> None:
        self.world.pass_time(seconds)


def run(*, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        WriteMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 50,  # the same ones in every quick run; the long one looks elsewhere each time
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=(Phase.explicit, Phase.generate),  # each step starts a process: shrinking would take an hour
        ),
    )


def test_nothing_is_lost_or_doubled_whatever_fails_and_whoever_dies(own_database: OwnDatabase) -> None:
    run(examples=8, steps=14)


@pytest.mark.soak
def test_nothing_is_lost_or_doubled_at_length(own_database: OwnDatabase) -> None:
    run(examples=150, steps=30)
