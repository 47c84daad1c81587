"""Production refuses what is for practising."""

import base64
import os
from pathlib import Path
from typing import Any

import pytest
from django.core.checks import run_checks

from tenants.checks import check_production, check_second_factor


def key(number: int) -> str:
    return f"1:{base64.b64encode(bytes((number * 7 + n * 13) % 256 for n in range(32))).decode()}"


@pytest.fixture
def production(settings: Any, tmp_path: Path) -> Any:
    settings.FLEXGATE_DEBUG, settings.FLEXGATE_ENVIRONMENT, settings.FLEXGATE_DATA = False, "live", tmp_path
    settings.ALLOWED_HOSTS, settings.FLEXGATE_SECOND_FACTOR = ["gateway.example"], True
    settings.SECRET_KEY = "a-long-random-text-0123456789-abcdefghij"
    settings.FLEXGATE_TAG_KEY = "another-long-random-text-0123456789-abcdef"
    settings.FLEXGATE_TOKEN_PEPPERS, settings.FLEXGATE_CREDENTIAL_KEYS, settings.FLEXGATE_AUDIT_KEYS = (
        key(1),
        key(2),
        key(3),
    )
    return settings


def found() -> list[str]:
    return [str(message.id) for message in check_production()]


def test_a_production_that_is_set_up_well_passes(production: Any) -> None:
    assert found() == []
    assert check_second_factor() == []


@pytest.mark.parametrize(
    ("name", "value", "number"),
    [
        ("ALLOWED_HOSTS", ["*"], "E003"),
        ("ALLOWED_HOSTS", [".example.com"], "E003"),
        ("ALLOWED_HOSTS", [], "E003"),
        ("FLEXGATE_AUDIT_KEYS", key(1), "E004"),
        ("FLEXGATE_TOKEN_PEPPERS", "1:" + base64.b64encode(b"0" * 32).decode(), "E004"),
        ("SECRET_KEY", "changeme", "E004"),
        ("FLEXGATE_TAG_KEY", "a-long-random-text-0123456789-abcdefghij", "E004"),
        ("CORS_ALLOWED_ORIGINS", ["http://portal.example"], "E005"),
    ],
)
def test_each_fault_is_refused_by_its_own_id(production: Any, name: str, value: Any, number: str) -> None:
    setattr(production, name, value)
    assert found() == [f"flexgate.{number}"]


def test_a_generated_secret_is_refused_in_production(production: Any, tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "FLEXGATE_TAG_KEY").write_text(production.FLEXGATE_TAG_KEY)
    assert found() == ["flexgate.E002"]


def test_debug_is_refused_in_the_live_environment(settings: Any) -> None:
    settings.FLEXGATE_DEBUG, settings.FLEXGATE_ENVIRONMENT = True, "live"
    assert found() == ["flexgate.E001"]


def test_every_command_and_the_web_server_run_these_checks(production: Any) -> None:
    production.ALLOWED_HOSTS = ["*"]
    assert "flexgate.E003" in [str(message.id) for message in run_checks(tags=["security"])]
    assert "run_checks" in (Path(__file__).resolve().parents[2] / "gateway" / "wsgi.py").read_text()
    assert os.environ["FLEXGATE_DEBUG"] == "1"
