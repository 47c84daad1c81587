"""Fill the ledger: which account-days are missing or may have changed, and one request for each. Resumable: each day commits by itself."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

import structlog

from gateway.days import today
from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.days import days_between, pacific_moment
from gateway.ledger.calibrate import calibrate, current_finding
from gateway.ledger.fetch import LEDGER, Asked, fetch_points
from gateway.ledger.store import store_day
from gateway.models import AccountDay, ApiUser, PointsFetch, ProgramAccount
from gateway.ownership import ensure_flipped
from gateway.upstream import client_for
from tenants import clock
from tenants.context import acting_as

WINDOW_DAYS = 90  # FortiFlex answers no more [documented]
MAY_CHANGE_DAYS = 4  # FortiFlex may correct a past day: these are read again
SETTLED_AFTER = timedelta(hours=24)  # a day's points count for a statement when read this long after the day's end
REREAD_AFTER = timedelta(hours=6)
REFUSALS_PER_HOUR = 2  # asking accounts that refuse costs the error budget of everybody
GIVE_UP_AFTER = 3  # failures in a row on one account
log = structlog.get_logger("flexgate.ledger")
Progress = Callable[[int, int], None]


@dataclass(slots=True)
class PullReport:
    """How many account-days ended in which state, and what the calibration says."""

    api_user: str
    end_day_counts: bool | None = None
    states: dict[str, int] = field(default_factory=dict)


def pull_points(
    api_user: ApiUser,
    *,
    first: date | None = None,
    last: date | None = None,
    window_days: int = WINDOW_DAYS,
    client: FortiFlexClient | None = None,
    progress: Progress = lambda done, total: None,
) -> PullReport:
    """Read what is missing or may have changed, up to yesterday. With `first` or `last`, every day of that range is read again.

    Raises NotSent, LoginRefused, LoginFailed or RateLimited when the gate stays shut; what was read by then is stored.
    """
    ensure_flipped()
    client = client or client_for(api_user, interactive=False)
    with acting_as(LEDGER):
        finding = current_finding(api_user.api_url)
    if finding is None:
        finding = calibrate(api_user, client)
    counts = finding.end_day_counts if finding else None
    report, wanted = PullReport(api_user.name, counts), list(_wanted_days(api_user, first, last, window_days))
    failures: dict[tuple[str, int], int] = {}
    for done, (account, day) in enumerate(wanted, start=1):
        key = (account.program_id, account.account_id)
        if failures.get(key, 0) < GIVE_UP_AFTER and not _is_refusing(api_user, *key):
            state = _read_day(client, api_user, account, day, counts)
            report.states[state] = report.states.get(state, 0) + 1
            failures[key] = failures.get(key, 0) + 1 if state == AccountDay.State.UNANSWERED else 0
        progress(done, len(wanted))
    return report


def _read_day(
    client: FortiFlexClient, api_user: ApiUser, account: ProgramAccount, day: date, counts: bool | None
) -> str:
    # Not calibrated: (D, D+1) covers day D under both meanings, so an empty answer is certainly zero.
    end = day if counts is True else day + timedelta(days=1)
    asked = Asked(api_user, account.program_id, account.account_id, day, end)
    return store_day(fetch_points(client, asked, purpose="day"), day, certain=counts is not None)


def _wanted_days(
    api_user: ApiUser, first: date | None, last: date | None, window_days: int
) -> Iterator[tuple[ProgramAccount, date]]:
    """(account, day) to ask for, oldest first; accounts that refused before come last."""
    yesterday = today() - timedelta(days=1)
    begin = max(first or date.min, today() - timedelta(days=window_days))
    end = min(last or yesterday, yesterday)
    with acting_as(LEDGER):
        accounts = list(
            ProgramAccount.objects.filter(api_user=api_user)
            .select_related("program")
            .order_by("program_id", "account_id")
        )
        known = {
            (row.program_serial, row.account_id, row.day): row
            for row in AccountDay.objects.filter(
                program_serial__in={a.program_id for a in accounts}, day__gte=begin, day__lte=end
            )
        }
    refusing = {
        (row.program_serial, row.account_id) for row in known.values() if row.state == AccountDay.State.UNANSWERED
    }
    accounts.sort(key=lambda account: (account.program_id, account.account_id) in refusing)
    explicit = first is not None or last is not None
    for account in accounts:
        start = max(begin, account.program.start_day or begin)
        for day in days_between(start, min(end, account.program.end_day or end)):
            row = known.get((account.program_id, account.account_id, day))
            if explicit or row is None or _may_have_changed(row, yesterday):
                yield account, day


def _may_have_changed(row: AccountDay, yesterday: date) -> bool:
    if row.state != AccountDay.State.ANSWERED:
        return True
    now, settled = clock.now(), settled_at(row.day)
    if row.fetched_at < settled <= now:
        return True
    return row.day > yesterday - timedelta(days=MAY_CHANGE_DAYS) and now - row.fetched_at >= REREAD_AFTER


def settled_at(day: date) -> datetime:
    """The instant from which a reading of `day` counts for a statement: 24 hours after the Pacific day's end."""
    return pacific_moment(day + timedelta(days=1), 0) + SETTLED_AFTER


def _is_refusing(api_user: ApiUser, program_serial: str, account_id: int) -> bool:
    """This API user had its share of refusals this hour, and this account is one that refuses."""
    hour_ago = clock.now() - timedelta(hours=1)
    with acting_as(LEDGER):
        refused = PointsFetch.objects.filter(
            api_user=api_user, outcome=PointsFetch.Outcome.REFUSED, sent_at__gt=hour_ago
        )
        if refused.count() < REFUSALS_PER_HOUR:
            return False
        return refused.filter(program_serial=program_serial, account_id=account_id).exists()
