"""The demo, whole and real: its calendar on every day of a year, and its run on awkward ones, one of them in the long target alone."""

import os
import re
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from billing.demo.story import WINDOW_DAYS, plan_story
from gateway.fortiflex.days import month_bounds, pacific_moment

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("start", [date(2026, 1, 1), date(2027, 7, 1), date(2028, 2, 1)])
def test_the_story_fits_on_every_day(start: date) -> None:
    for offset in range(366):
        for hour in (0, 8, 9, 23):
            story = plan_story(start + timedelta(days=offset), hour=hour)
            _, last = month_bounds(story.second_month)
            opens = pacific_moment(last + timedelta(days=3), 9)
            assert pacific_moment(story.today, hour) >= opens
            assert (story.today - story.begins).days < WINDOW_DAYS
            ordered = [
                story.begins,
                story.activated_on,
                story.resized_on,
                story.stopped_on,
                story.handed_over_on,
                story.today,
            ]
            assert ordered == sorted(ordered)


@pytest.mark.parametrize(
    ("day", "months"),
    [
        (date(2027, 3, 1), ("2026-12", "2027-01")),  # over the end of a year
        pytest.param(date(2026, 8, 31), ("2026-06", "2026-07"), marks=pytest.mark.soak),
    ],
    ids=str,
)
def test_the_demo_issues_two_months_as_if_today_were(tmp_path: Path, day: date, months: tuple[str, str]) -> None:
    shift = round((pacific_moment(day, 12) - datetime.now(UTC)).total_seconds())
    environment = {
        **os.environ,
        "FLEXGATE_DATA": str(tmp_path / "data"),
        "FLEXGATE_CLOCK_SHIFT": str(shift),
        "FLEXGATE_DEBUG": "1",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", "demo", "--exit", "--port", "0"],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for slug in ("ACME", "GLOBEX", "INITECH"):
        for month, number in zip(months, ("0001", "0002"), strict=True):
            assert re.search(rf"{slug.lower()}\W+{month}\W+[\d.]+\W+{slug}-{day.year}-{number}", done.stdout), (
                done.stdout
            )
    assert "6 statements: every hash, chain and sum holds." in done.stdout
    assert done.stdout.count("difference 0.0000") == 3
    for month in months:
        exported = tmp_path / "data" / "demo" / "exports" / month
        assert sorted(path.name for path in exported.iterdir())[-3:] == ["lines.csv", "manifest.json", "statements.csv"]
