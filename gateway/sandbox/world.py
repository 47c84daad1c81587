"""The sandbox's state: accounts, API users, programs, configs and entitlements, each with the history that points are computed from."""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TypeVar

from gateway.sandbox.clock import pacific_day, pacific_midnight


@dataclass(slots=True)
class ApiUser:
    """`account_ids` None = the whole organisation. One live access token at a time."""

    username: str
    password: str
    account_ids: list[int] | None = None
    permission: str = "ReadWrite"
    access_token: str = ""
    refresh_token: str = ""
    token_expires_at: datetime | None = None


@dataclass(slots=True)
class Program:
    """`point_balance` None = postpaid; else what was bought, from which consumption is taken."""

    serial_number: str
    account_id: int
    start: datetime
    end: datetime
    point_balance: Decimal | None = None


@dataclass(slots=True)
class ConfigChange:
    at: datetime
    parameters: list[tuple[int, str]]
    status: str


Change = TypeVar("Change", bound="ConfigChange | EntitlementChange")


@dataclass(slots=True)
class Config:
    id: int
    name: str
    program: str
    account_id: int
    product_type_id: int
    changes: list[ConfigChange]

    def at(self, moment: datetime) -> ConfigChange:
        return _in_force(self.changes, moment)

    @property
    def now(self) -> ConfigChange:
        return self.changes[-1]


@dataclass(slots=True)
class EntitlementChange:
    at: datetime
    config_id: int
    account_id: int
    status: str


@dataclass(slots=True)
class Entitlement:
    serial_number: str
    description: str | None
    start: datetime
    end: datetime
    token: str | None
    token_status: str | None
    folder_path: str
    visible_from: datetime
    changes: list[EntitlementChange]
    removed: bool = False

    @property
    def ends_at(self) -> datetime:
        """A bare date (midnight) includes that day: an end of today is allowed, and today is still used. Not documented by Fortinet."""
        midnight = pacific_midnight(pacific_day(self.end))
        return pacific_midnight(pacific_day(self.end) + timedelta(days=1)) if self.end == midnight else self.end

    @property
    def now(self) -> EntitlementChange:
        return self.changes[-1]

    def at(self, moment: datetime) -> EntitlementChange:
        return _in_force(self.changes, moment)


@dataclass(slots=True)
class Correction:
    serial_number: str
    day: date
    points: Decimal


@dataclass(slots=True)
class World:
    account_ids: list[int] = field(default_factory=list)
    api_users: list[ApiUser] = field(default_factory=list)
    programs: list[Program] = field(default_factory=list)
    configs: list[Config] = field(default_factory=list)
    entitlements: list[Entitlement] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    next_config_id: int = 42_000
    next_serial: int = 26_000_001

    def program(self, serial: object) -> Program | None:
        return next((program for program in self.programs if program.serial_number == serial), None)

    def config(self, config_id: object) -> Config | None:
        return next((config for config in self.configs if config.id == config_id), None)

    def entitlement(self, serial: object) -> Entitlement | None:
        return next((item for item in self.entitlements if item.serial_number == serial and not item.removed), None)


def candidates(changes: list[Change], moment: datetime) -> list[Change]:
    """Every change made at exactly `moment` (several may share an instant), or else the one in force."""
    return [change for change in changes if change.at == moment] or [_in_force(changes, moment)]


def _in_force(changes: list[Change], moment: datetime) -> Change:
    """The newest change that was made at or before `moment`; the first one before all of them."""
    return next((change for change in reversed(changes) if change.at <= moment), changes[0])
