"""Assign by rule: one transaction for everything, or nothing."""

from gateway.assignment_rules.foreseeing import Foreseen, foresee_rules
from gateway.ownership import Change, assign_each, lock_unowned
from tenants.actors import Actor
from tenants.audit import record_audit
from tenants.context import acting_as
from tenants.problems import Problem


def apply_rules(actor: Actor, *, expected: str | None = None) -> Foreseen:
    """Assign everything that the rules match, in force at once; what was assigned and what was left.

    `expected` = the digest of the dry run that somebody looked at: Problem `state_conflict`, and nothing is written, if what would come
    of it is another by now. None = what holds now. Problem `in_progress` as in `assign_each`.
    """
    with acting_as(actor):
        lock_unowned()
        foreseen = foresee_rules(actor)
        if expected is not None and expected != foreseen.digest:
            raise Problem(
                "state_conflict", "What the rules would assign has changed since this dry run; run it again and look."
            )
        changes = [
            Change(row.candidate.serial_number, row.rule.tenant, row.from_day)
            for row in foreseen.rows
            if row.rule is not None and row.from_day is not None
        ]
        assign_each(actor, changes)
        record_audit(
            actor,
            "assignment_rules.applied",
            subject_type="assignment_rules",
            subject_key="all",
            tenant_id=None,
            after={"digest": foreseen.digest, "tenants": foreseen.count_by_tenant(), "left": foreseen.count_left()},
        )
    return foreseen
