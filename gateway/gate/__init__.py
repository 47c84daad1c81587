"""The gate to FortiFlex, per API user and over all processes and machines: one call in flight, calls and errors counted, a fair queue.

All of it is rows in PostgreSQL: a lease that runs out by itself if its holder dies, and one row per request put on the wire. No lock
and no transaction is held while a call is under way.
"""

from gateway.gate.lanes import Claim
from gateway.gate.limits import Asker, GateClosed, Standing, Why
from gateway.gate.records import closing_after, forget_old_calls
from gateway.gate.session import GatedSession
from gateway.gate.shares import count_withheld, expected_seconds, seconds_without_errors, share_left
from gateway.gate.turns import Turn, take_turn, take_turn_at_once
from gateway.gate.waiting import WaitingRoomFull, waiting_room

__all__ = [
    "Asker",
    "Claim",
    "GateClosed",
    "GatedSession",
    "Standing",
    "Turn",
    "WaitingRoomFull",
    "Why",
    "closing_after",
    "count_withheld",
    "expected_seconds",
    "forget_old_calls",
    "seconds_without_errors",
    "share_left",
    "take_turn",
    "take_turn_at_once",
    "waiting_room",
]
