"""Ask FortiFlex for points and keep the answer whole, whatever it is."""

import hashlib
import zlib
from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from gateway.fortiflex.client import FortiFlexClient
from gateway.fortiflex.errors import FortiFlexError, LoginFailed, LoginRefused, NotSent, RateLimited, Rejected
from gateway.fortiflex.records import Exchange, PointsTotal
from gateway.models import ApiUser, PointsFetch
from tenants import clock
from tenants.actors import system
from tenants.context import acting_as

LEDGER = system("ledger")
PLACES = Decimal("0.0001")


@dataclass(frozen=True, slots=True)
class Fetched:
    """A kept answer, and its totals by serial where it was one (None = refused or failed)."""

    row: PointsFetch
    totals: dict[str, Decimal] | None


@dataclass(frozen=True, slots=True)
class Asked:
    """Which points were asked for, of whom."""

    api_user: ApiUser
    program_serial: str
    account_id: int
    first: date
    last: date


def fetch_points(client: FortiFlexClient, asked: Asked, *, purpose: str) -> Fetched:
    """One call of entitlements/points. Raises NotSent, LoginRefused, LoginFailed and RateLimited: nothing was learnt. All else is kept."""
    try:
        answer = client.fetch_points(
            first=asked.first, last=asked.last, account_id=asked.account_id, program_serial=asked.program_serial
        )
    except (NotSent, LoginRefused, LoginFailed, RateLimited):
        raise
    except FortiFlexError as error:
        # HTTP 400 may mean "nothing consumed" [third party]: neither zero nor a gap, so it is kept as what it is (reference 5.5).
        outcome = PointsFetch.Outcome.REFUSED if isinstance(error, Rejected) else PointsFetch.Outcome.FAILED
        message = error.upstream_message if isinstance(error, Rejected) else str(error)
        return Fetched(_keep(asked, purpose, outcome, error.exchange, message=message), None)
    totals = _by_serial(answer.value)
    if totals is None:
        message = "The answer names a serial twice."
        return Fetched(_keep(asked, purpose, PointsFetch.Outcome.FAILED, answer.exchange, message=message), None)
    return Fetched(_keep(asked, purpose, PointsFetch.Outcome.ANSWERED, answer.exchange, totals=totals), totals)


def _by_serial(rows: list[PointsTotal]) -> dict[str, Decimal] | None:
    """Points by serial, to four places (more were never seen); None if a serial comes twice: adding would be a guess."""
    totals = {row.serial_number: row.points.quantize(PLACES) for row in rows}
    return totals if len(totals) == len(rows) else None


def _keep(
    asked: Asked,
    purpose: str,
    outcome: str,
    exchange: Exchange | None,
    *,
    message: str = "",
    totals: dict[str, Decimal] | None = None,
) -> PointsFetch:
    body, now = exchange.body if exchange else b"", clock.now()
    with acting_as(LEDGER):
        return PointsFetch.objects.create(
            api_user=asked.api_user,
            api_url=asked.api_user.api_url,
            program_serial=asked.program_serial,
            account_id=asked.account_id,
            asked_from=asked.first,
            asked_to=asked.last,
            purpose=purpose,
            sent_at=now - (exchange.answered_at - exchange.sent_at) if exchange else now,
            answered_at=now,
            outcome=outcome,
            http_status=exchange.http_status if exchange else None,
            message=message[:2000],
            body=zlib.compress(body),
            body_sha256=hashlib.sha256(body).hexdigest(),
            row_count=len(totals or {}),
            total=sum((totals or {}).values(), Decimal(0)),
        )
