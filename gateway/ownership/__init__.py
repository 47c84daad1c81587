"""Whose a serial is: assign, hand over, flip at midnight. The database is the truth; tags move nothing."""

from gateway.ownership.assigning import (
    assign_each,
    assign_serials,
    end_ownership,
    find_periods,
    first_periods,
    foresee_each,
    own_new_serials,
    tell_first_periods,
)
from gateway.ownership.flipping import FLIP, ensure_flipped, flip_owners, forget_day
from gateway.ownership.never_owned import find_never_owned, lock_unowned
from gateway.ownership.timeline import Change, Step, UnknownSerials

__all__ = [
    "FLIP",
    "Change",
    "Step",
    "UnknownSerials",
    "assign_each",
    "assign_serials",
    "end_ownership",
    "ensure_flipped",
    "find_never_owned",
    "find_periods",
    "first_periods",
    "flip_owners",
    "foresee_each",
    "forget_day",
    "lock_unowned",
    "own_new_serials",
    "tell_first_periods",
]
