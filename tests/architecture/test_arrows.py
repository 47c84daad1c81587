"""The arrows: one way between floors, and the pure rooms stay pure. A check that can't fail is none, so each is shown to fail."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from django.apps import apps

ROOT = Path(__file__).resolve().parent.parent.parent
FLOORS = {"tenants": 0, "gateway": 1, "billing": 2}


def lint(root: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.mark.parametrize(
    ("file", "line", "contract"),
    [
        ("tenants/clock.py", "import gateway.days", "billing stands on gateway, gateway on tenants"),
        ("gateway/days.py", "import billing.money", "billing stands on gateway, gateway on tenants"),
        ("gateway/fortiflex/days.py", "import django", "the FortiFlex client is pure"),
        ("gateway/sandbox/prices.py", "import gateway.fortiflex.days", "the sandbox is an independent witness"),
        (
            "gateway/dropin/body.py",
            "import gateway.sandbox.catalogue",
            "the drop-in API does not ask the witness how FortiFlex answers",
        ),
        ("billing/rating.py", "import django", "rating is pure"),
        ("gateway/ownership/flipping.py", "import gateway.tasks", "verbs never import tasks"),
        ("gateway/reach.py", "import guardian", "only tenants.access talks to guardian"),
    ],
)
def test_a_planted_arrow_is_caught(tmp_path: Path, file: str, line: str, contract: str) -> None:
    for package in ("tenants", "gateway", "billing"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    planted = tmp_path / file
    planted.write_text(f"{planted.read_text()}\n{line}\n")
    done = lint(tmp_path)
    assert done.returncode != 0
    assert f"{contract} BROKEN" in done.stdout


def test_importing_the_client_loads_neither_django_nor_celery() -> None:
    code = (
        "import sys, gateway.fortiflex.client, gateway.fortiflex.session\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} & {'django', 'celery', 'rest_framework', 'tenants', 'billing'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_relation_points_upward() -> None:
    wrong = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        if model._meta.app_label in FLOORS
        for field in model._meta.get_fields()
        if field.is_relation and field.concrete and field.related_model is not None
        if FLOORS.get(field.related_model._meta.app_label, 0) > FLOORS[model._meta.app_label]  # type: ignore[union-attr]
    ]
    assert wrong == []


def test_rooms_stay_small() -> None:
    rooms = [path for floor in FLOORS for path in (ROOT / floor).rglob("*.py") if "migrations" not in path.parts]
    lines = {path: len(path.read_text().splitlines()) for path in rooms}
    bulging = {str(path.relative_to(ROOT)): number for path, number in lines.items() if number > 250}
    assert bulging == {}


def test_every_variable_is_documented() -> None:
    import re

    settings = (ROOT / "gateway" / "settings.py").read_text()
    read = set(re.findall(r'(?:env\.\w+|read_secret)\(\s*"([A-Z_]+)"', settings))
    described = (ROOT / "docs" / "configuration.md").read_text()
    assert read - {name for name in read if f"`{name}`" in described} == set()
    assert len(read) > 15
