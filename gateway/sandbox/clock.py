"""The sandbox's own clock, which tests move. Pacific days are what FortiFlex counts in."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

PACIFIC = ZoneInfo("America/Los_Angeles")


class Clock:
    """Real time until it is set; then it stands still and moves only when told to."""

    def __init__(
        self, fixed: datetime | None = None, source: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._fixed, self._source = fixed, source

    def now(self) -> datetime:
        return self._fixed or self._source()

    def set(self, moment: datetime) -> None:
        if moment.tzinfo is None:
            raise ValueError("The sandbox's clock takes aware times only.")
        self._fixed = moment.astimezone(UTC)

    def advance(self, by: timedelta) -> None:
        self.set(self.now() + by)

    def run_free(self) -> None:
        """Back to real time."""
        self._fixed = None

    def today(self) -> date:
        return pacific_day(self.now())

    @contextmanager
    def at(self, moment: datetime) -> Iterator[None]:
        before, self._fixed = self._fixed, moment.astimezone(UTC)
        try:
            yield
        finally:
            self._fixed = before


def pacific_day(moment: datetime) -> date:
    return moment.astimezone(PACIFIC).date()


def pacific_midnight(day: date) -> datetime:
    """The instant at which a Pacific day begins (days of 23 and 25 hours included)."""
    return datetime(day.year, day.month, day.day, tzinfo=PACIFIC).astimezone(UTC)


def write_time(moment: datetime) -> str:
    """As FortiFlex writes it: naive Pacific, milliseconds with trailing zeros cut."""
    local = moment.astimezone(PACIFIC)
    fraction = f"{local.microsecond // 1000:03}".rstrip("0")
    return f"{local:%Y-%m-%dT%H:%M:%S}" + (f".{fraction}" if fraction else "")


def write_stop_time(moment: datetime) -> str:
    """The form of a stop's endDate: seven fraction digits and the Pacific offset."""
    local = moment.astimezone(PACIFIC)
    offset = f"{local:%z}"
    return f"{local:%Y-%m-%dT%H:%M:%S}.{local.microsecond:06}1{offset[:3]}:{offset[3:]}"


def read_time(text: str) -> datetime:
    """Request dates: YYYY-MM-DD, with a space or a T and a time, naive = Pacific. ValueError otherwise."""
    moment = datetime.fromisoformat(text.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=PACIFIC)).astimezone(UTC)
