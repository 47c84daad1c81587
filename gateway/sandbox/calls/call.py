"""What a handler is given: the world, who calls, the body and the time; and the look-ups that respect the caller's scope."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from gateway.sandbox import checks
from gateway.sandbox.refusals import Refusal
from gateway.sandbox.settings import SandboxSettings
from gateway.sandbox.world import ApiUser, Config, Entitlement, Program, World


@dataclass(frozen=True, slots=True)
class Call:
    world: World
    user: ApiUser
    body: Mapping[str, Any]
    now: datetime
    settings: SandboxSettings

    def reaches(self, account_id: int) -> bool:
        return account_id in (self.world.account_ids if self.user.account_ids is None else self.user.account_ids)

    def account(self, name: str = "accountId") -> int:
        """The account named in the body; a local user may leave it out."""
        account_id = checks.whole(self.body, name)
        if account_id is None:
            if self.user.account_ids is None or len(self.user.account_ids) != 1:
                raise Refusal(f"{name} is required.")
            account_id = self.user.account_ids[0]
        if not self.reaches(account_id):
            raise Refusal("Authorization denied.", http_status=401)
        return account_id

    def program(self) -> Program:
        program = self.world.program(checks.required_text(self.body, "programSerialNumber"))
        used = program is not None and any(
            config.program == program.serial_number and self.reaches(config.account_id) for config in self.world.configs
        )
        if program is None or not (self.reaches(program.account_id) or used):
            raise Refusal("Program serial number is invalid.")
        return program

    def config(self, name: str = "configId") -> Config:
        config = self.world.config(checks.required_whole(self.body, name))
        if config is None or not self.reaches(config.account_id):
            raise Refusal("Configuration not found.")
        return config

    def entitlement(self, serial: object = None) -> Entitlement:
        entitlement = self.world.entitlement(
            serial if serial is not None else checks.required_text(self.body, "serialNumber")
        )
        if entitlement is None or not self.reaches(entitlement.now.account_id):
            raise Refusal("Entitlement not found.")
        return entitlement
