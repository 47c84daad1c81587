"""A write that is not journaled yet: its rows are committed with the taking of the lane in one step, or by themselves before all else."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.models import Operation
from gateway.operations import Plan, plan_operation
from gateway.provisioning.manner import Fence, Manner
from gateway.provisioning.standing import refuse_unplannable
from tenants.actors import Actor
from tenants.context import acting_as
from tenants.last_words import Word, collect_words, write_last


@dataclass(slots=True)
class Draft:
    """What `actor` wants. `decided` is set when its rows stand there (`written`), or never will."""

    actor: Actor
    plan: Plan
    operation: Operation
    words: Sequence[Word]
    fence: Fence | None = None
    decided: threading.Event = field(default_factory=threading.Event)
    written: bool = False

    def journal(self) -> None:
        """Write the rows by themselves. Problems of `refuse_unplannable`."""
        try:
            with acting_as(self.actor):
                refuse_unplannable(self.plan, fence=self.fence)
                write_last(self.words)
            self.written = True
        finally:
            self.decided.set()

    def note_written(self) -> None:
        """The rows were committed with the taking of the lane."""
        self.written = True
        self.decided.set()


def draft_operation(actor: Actor, plan: Plan, *, manner: Manner) -> Draft:
    """Only for what nobody can ask for a second time by a key, and what nothing has to be counted for first."""
    with collect_words() as words:
        operation = plan_operation(actor, plan, repeat_key=manner.repeat_key)
    return Draft(actor, plan, operation, words, fence=manner.fence)
