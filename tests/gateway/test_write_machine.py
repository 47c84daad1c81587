"""Tenants write, FortiFlex fails in every way it can, processes die at any moment; in the end nothing is lost, doubled or another's."""

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test

from gateway.sandbox.faults import KINDS, NEVER_AFTER, Kind, When
from tests.databases import OwnDatabase
from tests.gateway.write_machine import TENANTS, World
from tests.gateway.write_processes import MOMENTS, Kill
from tests.gateway.write_wishes import VERBS, Wish

FAULTS = [(kind, when) for kind in KINDS for when in ("before", "after") if when == "before" or kind not in NEVER_AFTER]
READS = ("entitlements/list", "configs/list", "programs/list", "oauth/token")
# FortiFlex allows nine errors an hour: with more faults than this the gate would be shut most of the time.
faults = st.one_of(st.none(), st.none(), st.none(), st.sampled_from(FAULTS))
kills = st.one_of(
    st.none(),
    st.none(),
    st.builds(Kill, st.one_of(st.integers(1, 12), st.integers(1, 60))),  # a creation has few statements, a pass many
    st.builds(Kill, st.sampled_from([1, 1, 1, 2]), st.sampled_from(sorted(MOMENTS))),
)


def wishes(*verbs: str) -> st.SearchStrategy[Wish]:
    return st.builds(
        Wish,
        slug=st.sampled_from(TENANTS),
        verb=st.sampled_from(verbs),
        pick=st.integers(0, 11),
        name=st.sampled_from(["", "", "a", "b"]),
        prefer=st.sampled_from(["wait=1", "wait=1", "respond-async"]),
        fault=faults,
        kill=kills,
    )


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

    @rule(wish=wishes("create", "create by drop-in", "register", "order cloud", "make config"))
    def make(self, wish: Wish) -> None:
        self.world.ask(wish)

    @rule(wish=wishes("stop", "reactivate", "renew token", "describe", "end", "move", "resize", "transfer", "remove"))
    def change(self, wish: Wish) -> None:
        self.world.ask(wish)

    @rule(wish=wishes("stop", "reactivate", "end", "describe", "change config", "switch by drop-in"))
    def change_more(self, wish: Wish) -> None:
        self.world.ask(wish)

    @rule(wish=wishes("hand over", "resolve", "cancel"))
    def decide(self, wish: Wish) -> None:
        self.world.ask(wish)

    @rule(four=st.lists(wishes(*sorted(VERBS)), min_size=4, max_size=4))
    def ask_four_at_once(self, four: list[Wish]) -> None:
        self.world.ask(*four)

    @rule(wish=wishes("create", "register", "create by drop-in", "create by drop-in"), dying=kills)
    def repeat_at_once(self, wish: Wish, dying: Kill | None) -> None:
        """A client that asks again before it has its answer, through another process each time."""
        others = [Wish(wish.slug, wish.verb, wish.pick, wish.name, kill=kill) for kill in (None, None, dying)]
        self.world.ask(wish, *others)

    @rule(wish=wishes(*sorted(VERBS)), kill=kills, other_kill=kills)
    def work_at_once(self, wish: Wish, kill: Kill | None, other_kill: Kill | None) -> None:
        world = self.world
        machinery = [world.draining(kill), world.reconciling(other_kill), world.syncing(), world.following()]
        world.run(*((job, lambda _: None) for job in machinery), *world.jobs_of([wish]))

    @rule(path=st.sampled_from(READS), fault=st.sampled_from(FAULTS))
    def break_reading(self, path: str, fault: tuple[Kind, When]) -> None:
        self.world.sandbox.plan_fault(path, fault[0], when=fault[1])

    @rule(seconds=st.sampled_from([0, 0, 90, 600]))
    def appear_late(self, seconds: int) -> None:
        self.world.appear_late(seconds)

    @rule(kill=kills)
    def drain(self, kill: Kill | None) -> None:
        self.world.do(self.world.draining(kill))

    @rule(kill=kills)
    def reconcile(self, kill: Kill | None) -> None:
        self.world.do(self.world.reconciling(kill))

    @rule(kill=kills)
    def sync(self, kill: Kill | None) -> None:
        self.world.do(self.world.syncing(kill))

    @rule(kill=kills)
    def follow_tags(self, kill: Kill | None) -> None:
        self.world.do(self.world.following(kill))

    @rule()
    def make_outside(self) -> None:
        self.world.make_outside()

    @rule(seconds=st.sampled_from([5, 15, 70, 200, 3700, 3700, 30_000]))
    def pass_time(self, seconds: int) -> None:
        self.world.pass_time(seconds)


def run(*, examples: int, steps: int) -> None:
    run_state_machine_as_test(
        WriteMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=examples < 20,  # the same ones in every quick run; the long one looks elsewhere each time
            suppress_health_check=list(HealthCheck),
            print_blob=True,
            phases=(Phase.explicit, Phase.generate),  # each step starts a process: shrinking would take an hour
        ),
    )


def test_nothing_is_lost_or_doubled_whatever_fails_and_whoever_dies(own_database: OwnDatabase) -> None:
    run(examples=6, steps=16)


@pytest.mark.soak
@pytest.mark.parametrize("part", ["one", "other"])  # at the same time, where there are two cores
def test_nothing_is_lost_or_doubled_at_length(own_database: OwnDatabase, part: str) -> None:
    run(examples=75, steps=30)
