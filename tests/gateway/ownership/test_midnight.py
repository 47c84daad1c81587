"""What is asked before midnight and answered after it, on the day of a hand-over."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from gateway.fortiflex.days import pacific_moment
from gateway.provisioning import sending
from gateway.sandbox import SandboxTransport
from gateway.upstream import install_transport
from tenants.context import acting_as
from tenants.models import Event
from tests.gateway.ledger.scenes import give, vm
from tests.gateway.ownership.test_hand_over import START, TODAY, TOMORROW, august
from tests.people import SETUP, People
from tests.worlds import ENT_4, SandboxWorld

__all__ = ["august"]


class SlowTransport(SandboxTransport):
    """Ten seconds pass before the answer is there."""

    clock: Any = None
    slow = "entitlements/update"

    def handle_request(self, request: Any) -> Any:
        answer = super().handle_request(request)
        if request.url.path.endswith(self.slow):
            self.clock.shift(10)
        return answer


def test_a_text_that_is_stored_after_midnight_stays_with_who_wrote_it(people: People, august: SandboxWorld) -> None:
    serial = vm(august, day=START)
    august.sandbox.use_token(serial)
    august.sync()
    give([serial], "acme", START)
    give([serial], "globex", TOMORROW)
    last_moment = pacific_moment(TODAY, 23) + timedelta(minutes=59, seconds=58)
    with time_machine.travel(last_moment, tick=False) as clock:
        transport = SlowTransport(august.sandbox)
        transport.clock = clock
        install_transport(transport)
        answer = people.acme.patch(f"entitlements/{serial}", {"description": "acme's words", "labels": {"cost": "7"}})
        assert answer.status_code in {200, 404}
        for _ in range(2):
            seen = people.globex.get(f"entitlements/{serial}").json()
            assert (seen["tenant"], seen["description"], seen["labels"]) == ("globex", "", {})
            august.sync()


def test_a_write_that_waited_past_midnight_is_not_sent_for_the_owner_before(
    people: People, august: SandboxWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    serial = vm(august, day=START)
    august.sandbox.use_token(serial)
    august.sync()
    give([serial], "acme", START)
    give([serial], "globex", TOMORROW)
    claim = sending.claim_for_sending
    with time_machine.travel(pacific_moment(TODAY, 23) + timedelta(minutes=59, seconds=58), tick=False) as clock:

        def take_lane(operation: Any) -> Any:
            clock.shift(5)
            return claim(operation)

        monkeypatch.setattr(sending, "claim_for_sending", take_lane)
        answer = people.acme.post(f"entitlements/{serial}/stop")
        assert (answer.status_code, answer.json()["code"]) == (409, "not_available")
        assert august.calls_of("entitlements/stop") == []
        assert people.globex.get(f"entitlements/{serial}").json()["status"] == "ACTIVE"


def test_what_a_pass_finds_after_midnight_is_news_of_the_new_owner(people: People, august: SandboxWorld) -> None:
    moved, gone = vm(august, day=START), vm(august, day=START)
    bigger = august.add_config("bigger", ENT_4)
    august.sandbox.use_token(moved)
    august.sync()
    give([moved, gone], "acme", START)
    give([moved, gone], "globex", TOMORROW)
    august.sandbox.move(moved, bigger)
    august.sandbox.world.entitlements[1].removed = True
    last_moment = pacific_moment(TODAY, 23) + timedelta(minutes=59, seconds=58)
    with time_machine.travel(last_moment, tick=False) as clock:
        transport = SlowTransport(august.sandbox)
        transport.clock, transport.slow = clock, "entitlements/list"
        install_transport(transport)
        august.sync()
    with acting_as(SETUP):
        found = Event.objects.filter(type__in=["entitlement.changed_outside", "entitlement.vanished"])
        told = set(found.values_list("type", "subject_key", "tenant__slug"))
    assert told == {("entitlement.changed_outside", moved, "globex"), ("entitlement.vanished", gone, "globex")}
