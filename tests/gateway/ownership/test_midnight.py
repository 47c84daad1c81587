"""A write that is sent before midnight and answered after it, on the day of a hand-over."""

from datetime import timedelta
from typing import Any

import time_machine

from gateway.fortiflex.days import pacific_moment
from gateway.sandbox import SandboxTransport
from gateway.upstream import install_transport
from tests.gateway.ledger.scenes import give, vm
from tests.gateway.ownership.test_hand_over import START, TODAY, TOMORROW, august
from tests.people import People
from tests.worlds import SandboxWorld

__all__ = ["august"]


class SlowTransport(SandboxTransport):
    """Ten seconds pass before the answer is there."""

    clock: Any = None

    def handle_request(self, request: Any) -> Any:
        answer = super().handle_request(request)
        if request.url.path.endswith("entitlements/update"):
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
