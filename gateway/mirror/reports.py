"""What a pass did and did not do."""

from dataclasses import dataclass, field
from datetime import datetime

from gateway.mirror.changes import Changes


@dataclass(frozen=True, slots=True)
class HeldBack:
    """Not asked in this pass, because FortiFlex refused it before. `account_id` 0 = all that the call says of the program."""

    call: str
    program_serial: str
    account_id: int
    reason: str
    times: int
    ask_again_at: datetime


@dataclass(slots=True)
class SyncReport:
    """`failed`: (program, account) and why; its mirror stands as it was. `stopped`: why the pass ended early, with `left` accounts
    unread; the next pass begins with those."""

    api_user: str
    accounts: int = 0
    new: int = 0
    changed: int = 0
    vanished: int = 0
    configs: int = 0
    failed: list[tuple[str, int, str]] = field(default_factory=list)
    held_back: list[HeldBack] = field(default_factory=list)
    stopped: str = ""
    left: int = 0

    @property
    def complete(self) -> bool:
        return not (self.failed or self.stopped)

    def add(self, changes: Changes) -> None:
        self.accounts += 1
        self.new += len(changes.new)
        self.changed += len(changes.changed)
        self.vanished += len(changes.vanished)
        self.configs += changes.configs
