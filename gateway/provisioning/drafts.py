"""A write that is not journaled yet: its rows are committed with the taking of the lane in one step, or by themselves before all else."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.models import Operation
from gateway.operations import Plan, plan_operation
from gateway.provisioning.manner import Fence, Manner
from gateway.provisioning.standing import refuse_unplannable
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.last_words import Word, collect_words, write_last
from tenants.rows import Statement


class GroundChanged(Exception):
    """What the draft stands on was remembered and may stand otherwise by now: it has to be asked for, and the draft made anew."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What `actor` wants. `unchanged` = an expression of the gateway's without which it must not be journaled."""

    actor: Actor
    plan: Plan
    operation: Operation
    words: Sequence[Word]
    fence: Fence | None = None
    unchanged: Statement | None = None

    def journal(self) -> None:
        """Write the rows by themselves. Problems of `refuse_unplannable`; GroundChanged where they stand on what was remembered."""
        if self.unchanged is not None:
            raise GroundChanged
        with acting_as(self.actor):
            refuse_unplannable(self.plan, fence=self.fence)
            write_last(self.words)


def draft_operation(actor: Actor, plan: Plan, *, manner: Manner, unchanged: Statement | None = None) -> Draft:
    """Only for what nobody can ask for a second time by a key, and what nothing has to be counted for first."""
    with collect_words() as words:
        operation = plan_operation(actor, plan, repeat_key=manner.repeat_key)
    return Draft(actor, plan, operation, words, fence=manner.fence, unchanged=unchanged)
