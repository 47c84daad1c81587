"""One pass over everything an API user can see, the account that was read longest ago first, so that a pass that was cut short goes on
where it stopped. No transaction is open while FortiFlex is asked.
"""

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import structlog
from django.db import DataError, IntegrityError

from gateway.catalogue import refresh_catalogue
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.errors import FortiFlexError, LoginFailed, LoginRefused, NotSent, OutcomeUnknown, RateLimited
from gateway.mirror.accounts import ListedConfigs, find_accounts, store_account
from gateway.mirror.balances import is_balance_due, store_balance
from gateway.mirror.configs import apply_programs
from gateway.mirror.hold import Hold
from gateway.mirror.refusals import Question, Refusals
from gateway.mirror.reports import HeldBack, SyncReport
from gateway.mirror.vanishing import confirm_vanished
from gateway.models import ApiUser, ProductCatalogue, Program, ProgramAccount
from gateway.operations import note_tags
from gateway.ownership import ensure_flipped
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as

SYNC = system("sync")
log = structlog.get_logger("flexgate.sync")
CATALOGUE_LIFE = timedelta(hours=24)
CONFIGS_LIFE = timedelta(
    minutes=15
)  # a pass over thousands of accounts takes hours: configs are not applied older than this
MOST_UNANSWERED = 2  # in a row; then FortiFlex itself is unwell, and each further question would cost an error more
LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)
STOPS = (NotSent, LoginRefused, LoginFailed, RateLimited)  # nothing more can be asked now, whatever it is about
Progress = Callable[[str], None]
T = TypeVar("T")


@dataclass(slots=True)
class Pass:
    """One pass under way. `queue`: was it refused, when was it read, program, account (0 = no account is known yet).
    `configs`: what was asked already, by program; None = refused."""

    api_user: ApiUser
    client: FortiFlexClient
    hold: Hold
    refusals: Refusals
    progress: Progress
    ask_refused: bool
    report: SyncReport
    queue: list[tuple[bool, datetime, str, int]] = field(default_factory=list)
    rows: dict[tuple[str, int], ProgramAccount] = field(default_factory=dict)
    configs: dict[str, ListedConfigs | None] = field(default_factory=dict)
    unanswered: int = 0

    def run(self) -> None:
        self._refresh_catalogue()
        self._list_programs()
        while self.queue:
            *_, serial, account_id = heapq.heappop(self.queue)
            self.progress(f"{serial}/{account_id}" if account_id else serial)
            try:
                self._read_account(serial, account_id)
            except STOPS as error:
                if not self.report.accounts:
                    raise
                self.report.stopped, self.report.left = str(error), len(self.queue) + 1
                log.warning("pass cut short", api_user=self.api_user.name, reason=str(error), left=self.report.left)
                break
        ensure_flipped()
        with acting_as(SYNC):
            self.report.vanished += len(confirm_vanished())

    def _list_programs(self) -> None:
        """Queue every account, and every program of which no account is known yet. FortiFlex does not reliably list them all."""
        listed = self._ask(Question("programs/list"), lambda: self.client.list_programs().value, alone=True) or []
        with acting_as(SYNC):
            apply_programs(listed)
            rows = list(ProgramAccount.objects.filter(api_user=self.api_user))
        for row in rows:
            self._enqueue(row)
        if self.report.failed and not rows:
            raise NotSent(f"No program can be read. {self.report.failed[-1][2]}")
        for serial in {program.serial_number for program in listed} - {row.program_id for row in rows}:
            heapq.heappush(self.queue, (self._was_refused(serial), LONG_AGO, serial, 0))

    def _enqueue(self, row: ProgramAccount) -> None:
        key = (row.program_id, row.account_id)
        if key not in self.rows:
            self.rows[key] = row
            heapq.heappush(self.queue, (self._was_refused(*key), row.mirrored_at or LONG_AGO, *key))

    def _was_refused(self, serial: str, account_id: int = 0) -> bool:
        questions = (Question("configs/list", serial), Question("entitlements/list", serial, account_id))
        return any(question in self.refusals.rows for question in questions)

    def _read_account(self, serial: str, account_id: int) -> None:
        """Its program's configs, if they are not at hand, then its entitlements, then both into the mirror."""
        listed, row = self._configs_of(serial), self.rows.get((serial, account_id))
        if listed is None or row is None:
            return
        asked_at = clock.now()
        found = self._ask(
            Question("entitlements/list", serial, account_id),
            lambda: self.client.list_entitlements(account_id=account_id, program_serial=serial).value,
        )
        if found is None:
            return
        known = {config.id for config in listed.configs}
        if any(item.config_id not in known for item in found):  # made, or moved here, since the configs were asked for
            listed = self._configs_of(serial, fresh=True) or listed
        self.hold.renew()
        ensure_flipped()  # a pass takes long, and news of a new day is for who owns it on that day
        try:
            try:
                with acting_as(SYNC):
                    changes = store_account(row, listed=listed, entitlements=found, asked_at=asked_at)
            except IntegrityError:  # a write of ours stored the same new one this moment: it stands there now
                with acting_as(SYNC):
                    changes = store_account(row, listed=listed, entitlements=found, asked_at=asked_at)
        except (LookupError, ValueError, DataError) as error:
            # One record that can't be kept stops its own account, not all those that come after it.
            self._fail(serial, account_id, error)
            return
        if changes is not None:
            with acting_as(SYNC):
                note_tags(changes.tags)
            self.report.add(changes)

    def _configs_of(self, serial: str, *, fresh: bool = False) -> ListedConfigs | None:
        """The program's configs, asked for once; accounts that they name for the first time are queued."""
        at_hand, now = self.configs.get(serial), clock.now()
        if serial in self.configs and not fresh and (at_hand is None or at_hand.asked_at > now - CONFIGS_LIFE):
            return at_hand
        configs = self._ask(Question("configs/list", serial), lambda: self.client.list_configs(serial).value)
        self.configs[serial] = None if configs is None else ListedConfigs(now, configs)
        if configs is None:
            return None
        with acting_as(SYNC):
            program = Program.objects.get(pk=serial)
            rows = find_accounts(self.api_user, program, configs)
        for row in rows:
            self._enqueue(row)
        if at_hand is None:
            self._read_balance(program)
        return self.configs[serial]

    def _read_balance(self, program: Program) -> None:
        asked_at, question = clock.now(), Question("programs/points", program.serial_number)
        if is_balance_due(program, now=asked_at):
            balance = self._ask(question, lambda: self.client.get_balance(program.serial_number).value, needed=False)
            if balance is not None:
                with acting_as(SYNC):
                    store_balance(program, balance, asked_at=asked_at)

    def _refresh_catalogue(self) -> None:
        """Once a day is enough for what Fortinet sells; a pass does not fail for it."""
        with acting_as(SYNC):
            rows = ProductCatalogue.objects.filter(api_url=self.api_user.api_url)
            if rows.filter(fetched_at__gt=clock.now() - CATALOGUE_LIFE).exists():
                return
        self._ask(Question("tools/metadata"), lambda: refresh_catalogue(self.api_user), needed=False)

    def _ask(self, question: Question, call: Callable[[], T], *, needed: bool = True, alone: bool = False) -> T | None:
        """The answer, or None where it is refused or must not be asked for yet. `needed` = without it the pass is not complete.

        `alone`: where this one is not answered at all, no other will be.
        """
        held_back = None if self.ask_refused else self.refusals.held_back(question, now=clock.now())
        if held_back is not None:
            self.report.held_back.append(
                HeldBack(
                    question.call,
                    question.program_serial,
                    question.account_id,
                    held_back.reason,
                    held_back.times,
                    held_back.ask_again_at,
                )
            )
            return None
        self.hold.renew()
        try:
            answer = call()
        except STOPS:
            raise
        except FortiFlexError as error:
            self.refusals.remember(question, error)
            if needed:
                self._fail(question.program_serial, question.account_id, error)
            self.unanswered = self.unanswered + 1 if isinstance(error, OutcomeUnknown) else 0
            if self.unanswered >= MOST_UNANSWERED or (alone and self.unanswered):
                raise NotSent(f"FortiFlex does not answer. {error}") from error
            return None
        self.unanswered = 0
        self.refusals.forget(question)
        return answer

    def _fail(self, serial: str, account_id: int, error: Exception) -> None:
        self.report.failed.append((serial, account_id, str(error)))
        log.warning("not read", program=serial, account=account_id, reason=str(error))
