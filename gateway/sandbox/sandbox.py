"""The sandbox as tests, the demo and its own command use it."""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.sandbox.application import Reply, handle
from gateway.sandbox.calls import HANDLERS
from gateway.sandbox.calls.call import Call
from gateway.sandbox.clock import Clock, pacific_midnight
from gateway.sandbox.faults import Kind, When
from gateway.sandbox.points import points_of_day
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.state import CallRecord, State
from gateway.sandbox.store import load_world, save_world
from gateway.sandbox.world import ApiUser, Correction, Entitlement, EntitlementChange, Program, World


class Sandbox:
    """A FortiFlex to practise on. `now` fixes its clock; without it the clock follows `source` (real time) until it is set."""

    def __init__(
        self,
        now: datetime | None = None,
        settings: SandboxSettings | None = None,
        world: World | None = None,
        source: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._state = State(world or World(), Clock(now, source), settings or SandboxSettings())
        self.clock, self.settings = self._state.clock, self._state.settings

    @classmethod
    def load(cls, path: Path, **more: Any) -> "Sandbox":
        return cls(world=load_world(path), **more)

    def save(self, path: Path) -> None:
        with self._state.lock:
            save_world(self._state.world, path)

    def handle(self, *, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Reply:
        with self._state.lock:
            return handle(self._state, method=method, path=path, headers=headers, body=body)

    def note_call(self, number: int, *, began_at: datetime | None = None, ended_at: datetime | None) -> None:
        """When a call in the log came and when its caller was done with it, where that took longer than handling it."""
        with self._state.lock:
            record = self._state.calls[number]
            self._state.amend(number, began_at=began_at or record.began_at, ended_at=ended_at)

    # --- setting the scene ---

    def add_account(self, account_id: int) -> None:
        self._state.world.account_ids.append(account_id)

    def add_program(
        self, serial: str, *, account_id: int, start: date, end: date, point_balance: Decimal | None = None
    ) -> None:
        program = Program(serial, account_id, pacific_midnight(start), pacific_midnight(end), point_balance)
        self._state.world.programs.append(program)

    def add_api_user(
        self, username: str, password: str, *, account_ids: list[int] | None = None, permission: str = "ReadWrite"
    ) -> None:
        self._state.world.api_users.append(ApiUser(username, password, account_ids, permission))

    def at(self, moment: datetime) -> AbstractContextManager[None]:
        """The clock stands at `moment` inside the block: this is how history is made."""
        return self.clock.at(moment)

    def call(self, path: str, **body: Any) -> dict[str, Any]:
        """Any call by its path, as the whole organisation, without HTTP. Raises Refusal as the API would answer it."""
        with self._state.lock:
            everybody = ApiUser("sandbox itself", "")
            return HANDLERS[path](Call(self._state.world, everybody, body, self.clock.now(), self.settings))

    def create_config(
        self, *, program: str, name: str, product_type_id: int, parameters: list[tuple[int, str]], account_id: int
    ) -> dict[str, Any]:
        values = [{"id": id, "value": value} for id, value in parameters]
        answer = self.call(
            "configs/create",
            programSerialNumber=program,
            name=name,
            productTypeId=product_type_id,
            parameters=values,
            accountId=account_id,
        )["configs"]
        shown: dict[str, Any] = answer[0] if isinstance(answer, list) else answer
        return shown

    def create_vm(self, config_id: int, *, count: int = 1, **more: Any) -> list[str]:
        """Serial numbers of new VM entitlements; `more` as on the wire (description, skipPending, endDate, folderPath)."""
        made = self.call("entitlements/vm/create", configId=config_id, count=count, **more)["entitlements"]
        return [row["serialNumber"] for row in made]

    def resize(self, config_id: int, parameters: list[tuple[int, str]]) -> None:
        self.call("configs/update", id=config_id, parameters=[{"id": id, "value": value} for id, value in parameters])

    def move(self, serial: str, config_id: int) -> None:
        """Put an entitlement under another config, keeping its description."""
        item = self._entitlement(serial)
        self.call("entitlements/update", serialNumber=serial, configId=config_id, description=item.description)

    def stop(self, serial: str) -> None:
        self.call("entitlements/stop", serialNumber=serial)

    def reactivate(self, serial: str) -> None:
        self.call("entitlements/reactivate", serialNumber=serial)

    # --- what happens outside the API ---

    def use_token(self, serial: str) -> None:
        """A VM injects its licence: PENDING becomes ACTIVE, the token is used."""
        with self._state.lock:
            item = self._entitlement(serial)
            now = self.clock.now()
            item.token_status = "USED"  # noqa: S105 - a status
            if item.now.status == "PENDING":
                item.changes.append(EntitlementChange(now, item.now.config_id, item.now.account_id, "ACTIVE"))

    def edit_description(self, serial: str, text: str) -> None:
        """What anybody with portal access can do."""
        with self._state.lock:
            self._entitlement(serial).description = text

    def correct_points(self, serial: str, day: date, points: Decimal) -> None:
        """FortiFlex changes its mind about a past day."""
        with self._state.lock:
            self._state.world.corrections.append(Correction(serial, day, points))

    def require(self, serial: str) -> None:
        """LookupError for a serial that does not exist."""
        with self._state.lock:
            self._entitlement(serial)

    # --- faults and facts ---

    def plan_fault(self, path: str, kind: Kind, *, when: When = "before", times: int = 1) -> None:
        with self._state.lock:
            if path not in {*HANDLERS, "oauth/token", "oauth/revoke_token", "*"}:
                raise ValueError(f"There is no call {path!r}.")
            self._state.faults.add(path, kind, when=when, times=times)

    def clear_faults(self) -> None:
        """What was planned and has not happened will not happen."""
        with self._state.lock:
            self._state.faults.clear()

    def delay_appearance(self, seconds: float) -> None:
        self.settings.appear_after_seconds = seconds

    @property
    def calls(self) -> list[CallRecord]:
        """The sandbox's own log."""
        with self._state.lock:
            return list(self._state.calls)

    @property
    def world(self) -> World:
        return self._state.world

    def points_on(self, day: date) -> dict[str, Decimal]:
        """The truth of one day: points by serial, only where there are any."""
        with self._state.lock:
            world = self._state.world
            found = {item.serial_number: points_of_day(world, item, day) for item in world.entitlements}
        return {serial: points for serial, points in found.items() if points}

    def entitlements(self) -> list[dict[str, Any]]:
        """Every entitlement with its description, whether lists show it already or not."""
        with self._state.lock:
            return [
                {"serialNumber": item.serial_number, "description": item.description, "status": item.now.status}
                for item in self._state.world.entitlements
                if not item.removed
            ]

    def _entitlement(self, serial: str) -> Entitlement:
        item = self._state.world.entitlement(serial)
        if item is None:
            raise LookupError(f"The sandbox has no entitlement {serial}.")
        return item
