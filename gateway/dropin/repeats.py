"""Requests of clients that repeat what was not answered, and have no idempotency keys: Terraform sends a failing create four times.

Identical writes of one token (`repeat_key`) go one after another. A new request first takes an identical operation whose outcome nobody
was given; a definite refusal is repeated from memory; else it is a new write. So a lost answer reaches the next identical request, once,
and equal creates side by side or one after the other (`count = 3`, an Ansible loop) stay as many as they are.
"""

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from django.conf import settings

from gateway.dropin.body import canonical
from gateway.dropin.deadlines import NoPlace, OutOfTime, begin, seconds_until
from gateway.dropin.envelope import not_known_yet
from gateway.dropin.findings import (
    definite_refusal,
    find_open_or_unclaimed,
    follow,
    given_lately,
    hand_over,
    note_possible_duplicate,
    note_waiting,
    still_stands,
)
from gateway.dropin.places import Asked
from gateway.dropin.turns import POLL_SECONDS, Turn, place_to_wait, turn_of
from gateway.models import Operation
from gateway.operations import may_try_again
from gateway.provisioning.failures import as_problem
from gateway.provisioning.idempotency import Outcome
from gateway.provisioning.manner import Manner
from tenants import clock
from tenants.problems import Problem

A_PERSON_HAS_TO_LOOK = "What became of this request before can't be told by machine. Your provider has to look at it; don't repeat it until then."
IN_PROGRESS_PAUSE = 0.5
VERB_MARGIN = 1.0  # of a verb's time that its checks may take before it waits for FortiFlex
State = Operation.State
Verb = Callable[[Manner], Outcome | None]
Show = Callable[[Operation | None], dict[str, Any]]


def write_once(asked: Asked, values: Mapping[str, Any], verb: Verb, show: Show) -> dict[str, Any]:
    """What `show` makes of the succeeded operation that answers this request, which is given to it alone; None = `verb` had nothing to do.

    `values` are the checked fields, by which a repeated request is known. Problems: what refused it, or 503 where it is not known yet.
    """
    key = repeat_key(asked, values)
    with turn_of(key, time.monotonic() + settings.FLEXGATE_DROPIN_SECONDS, asked.actor.tenant_id) as turn:
        while (earlier := find_open_or_unclaimed(asked, key)) is not None:
            if earlier.settled_at is not None and not still_stands(asked, earlier):
                hand_over(earlier)  # nobody can be given it any more
                continue
            if earlier.state == State.UNKNOWN and earlier.next_check_at is None:
                raise Problem("upstream_unavailable", A_PERSON_HAS_TO_LOOK, headers={"Retry-After": "900"})
            return _take_over(asked, earlier, turn, show)
        refused = definite_refusal(asked, key)
        if refused is not None:
            raise as_problem(refused.error or {}, asked.actor)
        before = given_lately(asked, key)
        outcome = _carry_out(turn, verb, Manner(repeat_key=key, fence=turn))
        if outcome is None:
            return show(None)
        if before is not None:
            note_possible_duplicate(outcome.operation, before)
        return _take_over(asked, outcome.operation, turn, show)


def repeat_key(asked: Asked, values: Mapping[str, Any]) -> str:
    told = json.dumps([str(asked.actor.token_id), asked.name, canonical(values)], sort_keys=True, ensure_ascii=False)
    return hashlib.sha256(told.encode()).hexdigest()


def _carry_out(turn: Turn, verb: Verb, manner: Manner) -> Outcome | None:
    """Run the verb as long as there is time. If it takes longer it ends by itself, and the turn with it: nobody plans the same meanwhile."""
    while True:
        left = seconds_until(turn.deadline)
        if left <= 0:
            raise not_known_yet()
        timed = replace(manner, wait_seconds=max(left - VERB_MARGIN, 0.1))
        try:
            work = begin(lambda timed=timed: verb(timed))  # type: ignore[misc] # mypy can't infer a lambda's default
        except NoPlace:
            raise not_known_yet(retry_after=2) from None
        try:
            return work.result(timeout=left)
        except OutOfTime:
            turn.kept = True
            work.add_done_callback(lambda _: turn.give_back())
            raise not_known_yet() from None
        except Problem as problem:
            # What follows a write by itself (the text of new hardware) is soon done.
            if problem.code != "in_progress" or seconds_until(turn.deadline) <= IN_PROGRESS_PAUSE:
                raise
            time.sleep(IN_PROGRESS_PAUSE)


def _take_over(asked: Asked, operation: Operation, turn: Turn, show: Show) -> dict[str, Any]:
    """Wait until it is settled, and be the one who is told. Its answer is this request's if nobody else has had it.

    Given last: where the answer can't be made, nobody was told, and the next identical request is.
    """
    last = follow(operation)
    if last.settled_at is None:
        last = _wait(operation, turn)
    if last.state == State.SUCCEEDED:
        answer = show(last)
        if hand_over(operation):
            return answer
        raise not_known_yet()
    if may_try_again(last) and (last.error or {}).get("code") == "not_done":
        raise not_known_yet()  # provably not done: the same request starts anew
    raise as_problem(last.error or {}, asked.actor)


def _wait(operation: Operation, turn: Turn) -> Operation:
    left = timedelta(seconds=seconds_until(turn.deadline))
    note_waiting(operation, until=clock.now() + left)
    try:
        with place_to_wait(operation.tenant_id):
            while seconds_until(turn.deadline) > POLL_SECONDS[1]:
                time.sleep(POLL_SECONDS[1])
                last = follow(operation)
                if last.settled_at is not None:
                    return last
    finally:
        note_waiting(operation, until=None)
    raise not_known_yet()
