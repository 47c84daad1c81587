"""Billing days: US Pacific calendar days (FortiFlex API reference, 5.1), and FortiFlex's many ways to write a time (2.5)."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")
ONE_DAY = timedelta(days=1)
WIRE_TIME = re.compile(
    r"(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(?:\.(\d{1,9}))?)?\s*(Z|[+-]\d{2}:?\d{2})?",
)


def billing_day_at(instant: datetime) -> date:
    """The US Pacific calendar day of an aware instant. ValueError for a naive one: it belongs to no day for sure."""
    if instant.tzinfo is None:
        raise ValueError("A naive time belongs to no billing day for sure.")
    return instant.astimezone(PACIFIC).date()


def parse_wire_time(text: str) -> datetime:
    """A FortiFlex time as an aware instant. Naive values are Pacific [inferred]; 7 fraction digits and offsets occur. ValueError otherwise."""
    match = WIRE_TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no FortiFlex time.")
    day, clock, fraction, offset = match.groups()
    micro = (fraction or "0")[:6].ljust(6, "0")
    clock = clock or "00:00:00"
    parsed = datetime.fromisoformat(
        f"{day}T{clock if len(clock) == 8 else clock + ':00'}.{micro}{'+00:00' if offset == 'Z' else offset or ''}"
    )
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=PACIFIC)


def parse_wire_day(text: str) -> date:
    """The Pacific calendar day of a FortiFlex time."""
    return billing_day_at(parse_wire_time(text))


def format_wire_day(day: date) -> str:
    """`YYYY-MM-DD`, the form that entitlements/points takes."""
    return day.isoformat()


def format_wire_end(day: date) -> str:
    """`YYYY-MM-DDT00:00:00`, the form in which FortiFlex itself writes end dates."""
    return f"{day.isoformat()}T00:00:00"


def month_bounds(month: str) -> tuple[date, date]:
    """First and last billing day of `YYYY-MM`. ValueError on anything else."""
    if not re.fullmatch(r"\d{4}-\d{2}", month):
        raise ValueError(f"{month!r} is no month; write it as YYYY-MM.")
    first = date.fromisoformat(f"{month}-01")
    if not 2000 <= first.year <= 2200:
        raise ValueError(f"{month!r} is not a month of FortiFlex's time.")
    return first, (first + timedelta(days=31)).replace(day=1) - ONE_DAY


def month_of(day: date) -> str:
    """`YYYY-MM` of a billing day."""
    return f"{day:%Y-%m}"


def days_between(first: date, last: date) -> Iterator[date]:
    """Every day from `first` to `last`, both inclusive."""
    for offset in range((last - first).days + 1):
        yield first + timedelta(days=offset)


def pacific_moment(day: date, hour: int) -> datetime:
    """`hour` o'clock Pacific on `day`, as a UTC instant (when a month may be issued, for example)."""
    return datetime(day.year, day.month, day.day, hour, tzinfo=PACIFIC).astimezone(UTC)
