"""The demo's calendar, as a pure function of today: which two months are issued, and what happened on which day."""

from dataclasses import dataclass
from datetime import date, timedelta

from gateway.fortiflex.days import month_bounds, month_of

WINDOW_DAYS = 100  # of the demo's sandbox: two whole months and what came after them always fit
GRACE_DAYS = 3


@dataclass(frozen=True, slots=True)
class Story:
    """Days are billing days. `begins`: the first day of history; the two months are the newest that may be issued today."""

    today: date
    begins: date
    first_month: str
    second_month: str
    resized_on: date
    activated_on: date
    stopped_on: date
    handed_over_on: date

    @property
    def months(self) -> tuple[str, str]:
        return self.first_month, self.second_month


def plan_story(today: date, *, hour: int = 12) -> Story:
    """The story as it stands on `today` (`hour` Pacific): a month may be issued from the 3rd of the next one, 09:00 Pacific, on."""
    last_of_previous = today.replace(day=1) - timedelta(days=1)
    ready = today.day > GRACE_DAYS or (today.day == GRACE_DAYS and hour >= 9)
    second = last_of_previous if ready else last_of_previous.replace(day=1) - timedelta(days=1)
    second_first, _ = month_bounds(month_of(second))
    first = second_first - timedelta(days=1)
    first_first, _ = month_bounds(month_of(first))
    return Story(
        today=today,
        begins=first_first,
        first_month=month_of(first),
        second_month=month_of(second),
        resized_on=first_first + timedelta(days=19),
        activated_on=first_first + timedelta(days=9),
        stopped_on=second_first + timedelta(days=9),
        handed_over_on=second_first + timedelta(days=14),
    )
