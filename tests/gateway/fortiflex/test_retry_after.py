"""When FortiFlex, or what stands before it, says when to come again."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest

from gateway.fortiflex.errors import RateLimited
from gateway.fortiflex.records import Exchange
from gateway.fortiflex.verdicts import judge


def seconds_of(text: str | None) -> int | None:
    now = datetime.now(UTC)
    made = Exchange("programs/list", b"{}", 429, b'{"status": -10, "message": "slow down"}', now, now)
    with pytest.raises(RateLimited) as raised:
        judge(made, httpx.Headers({} if text is None else {"Retry-After": text}))
    return raised.value.retry_after_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (None, None),
        ("", None),
        ("soon", None),
        ("-5", None),
        ("120", 120),
        ("9" * 30, 86_400),  # no date lies so far away: the lane could not be given back
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86_400),
    ],
)
def test_it_is_read_as_far_as_it_makes_sense(text: str | None, seconds: int | None) -> None:
    assert seconds_of(text) == seconds


@pytest.mark.parametrize("usegmt", [True, False])
def test_a_date_is_as_good_as_seconds(usegmt: bool) -> None:
    until = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=usegmt)
    assert 85 <= (seconds_of(until) or 0) <= 91
