"""The drop-in API's own table: every call of FortiFlex's, about acme's things, made by everybody who can log in.

What is not theirs answers exactly like what never was: the same status and the same words, for strangers, past owners and narrowed tokens.
"""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.dropin.calls import CALLS
from gateway.models import Operation
from tenants.context import acting_as
from tenants.models import AuditEntry
from tests.gateway.dropin.clients import API, FlexClient, login_body
from tests.isolation.scene import Scene, text_of
from tests.isolation.test_matrix import fill
from tests.isolation.test_replay import never_was
from tests.people import SETUP
from tests.worlds import ACCOUNT, PROGRAM

WHO = ("wrong_scope", "read_only", "narrowed", "other", "past_owner", "owner")
MEANING = {
    "200": None,
    "400": None,
    "400c": "Configuration not found.",
    "400e": "Entitlement not found.",
    "403": "Authorization denied.",
}
MONTH = {"startDate": "2026-08-01", "endDate": "2026-08-31"}
NEW_CONFIG = {
    "programSerialNumber": PROGRAM,
    "name": "fresh",
    "productTypeId": 1,
    "parameters": [{"id": 1, "value": "2"}, {"id": 2, "value": "ENT"}],
}
TRANSFER = {
    "sourceAccountId": ACCOUNT,
    "sourceConfigId": "{config}",
    "targetAccountId": ACCOUNT,
    "serialNumbers": ["{made}"],
}


@dataclass(frozen=True, slots=True)
class Rule:
    path: str
    body: Any
    answers: tuple[str, ...]

    def __str__(self) -> str:
        return self.path


def rule(path: str, answers: str, **body: Any) -> Rule:
    assert len(answers.split()) == len(WHO), path
    return Rule(path, body, tuple(answers.split()))


#                                    wrong read narrow other past owner
OWN_LIST = "403 200 200 200 200 200"
PROGRAM_LIST = "403 200 403 200 200 200"
OF_CONFIG = "403 403 400c 400c 400c 200"
OF_SERIAL = "403 403 400e 400e 400e 200"
RULES = (
    rule("programs/list", PROGRAM_LIST),
    rule("programs/points", "403 400 403 400 400 400", programSerialNumber=PROGRAM),
    rule("configs/list", OWN_LIST, programSerialNumber=PROGRAM),
    rule("configs/create", "403 403 403 200 200 200", **NEW_CONFIG),
    rule("configs/update", OF_CONFIG, id="{config}", name="renamed"),
    rule("configs/enable", OF_CONFIG, id="{config}"),
    rule("configs/disable", OF_CONFIG, id="{config}"),
    rule("entitlements/list", "403 200 400c 400c 400c 200", configId="{config}"),
    rule("entitlements/list", OWN_LIST, accountId=ACCOUNT, programSerialNumber=PROGRAM),
    rule("entitlements/list", OWN_LIST, programSerialNumber=PROGRAM, serialNumber="{serial}"),
    rule("entitlements/vm/create", OF_CONFIG, configId="{config}", count=1),
    rule(
        "entitlements/hardware/create", OF_CONFIG.replace("200", "400"), configId="{config}", serialNumbers=["X00001"]
    ),
    rule("entitlements/hardware/remove", OF_SERIAL.replace("200", "400"), serialNumbers=["{serial}"]),
    rule("entitlements/cloud/create", OF_CONFIG.replace("200", "400"), configId="{config}"),
    rule("entitlements/update", OF_SERIAL, serialNumber="{serial}", description="new"),
    rule("entitlements/stop", OF_SERIAL, serialNumber="{serial}"),
    rule("entitlements/reactivate", OF_SERIAL.replace("200", "400"), serialNumber="{serial}"),
    rule("entitlements/vm/token", OF_SERIAL, serialNumber="{serial}"),
    rule("entitlements/transfer", "403 403 403 400e 400e 400", **TRANSFER),
    rule("entitlements/points", "403 200 400c 400c 400c 200", configId="{config}", **MONTH),
    rule("entitlements/points", PROGRAM_LIST, accountId=ACCOUNT, programSerialNumber=PROGRAM, **MONTH),
    rule("entitlements/points", OWN_LIST, programSerialNumber=PROGRAM, serialNumber="{serial}", **MONTH),
    rule("groups/list", OWN_LIST),
    rule("groups/nexttoken", OF_CONFIG, configId="{config}"),
    rule("tools/calc", PROGRAM_LIST, count=1, **{key: NEW_CONFIG[key] for key in NEW_CONFIG if key != "name"}),
    rule("tools/metadata", PROGRAM_LIST),
)


@pytest.fixture(scope="module")
def clients(scene: Scene) -> dict[str, FlexClient]:
    return {who: FlexClient(scene.who[who]) for who in WHO}


def ask(clients: dict[str, FlexClient], who: str, path: str, body: Any) -> Any:
    headers = {"Authorization": f"Bearer {clients[who].access_token}"}
    raw = json.dumps(body)
    return clients[who].http.generic("POST", API + path, data=raw, content_type="application/json", headers=headers)


def test_every_call_has_its_line() -> None:
    assert {line.path for line in RULES} == set(CALLS)


@pytest.mark.parametrize("who", ["suspended", "operator"])
def test_who_can_t_log_in(scene: Scene, who: str) -> None:
    answer = scene.ask("nobody", "POST", "/api/v1/oauth/token/", login_body(scene.who[who]))
    assert (answer.status_code, answer.json()["message"]) == (400, "Invalid credentials given.")


@pytest.mark.parametrize("line", RULES, ids=str)
def test_the_answer_is_the_tables(scene: Scene, clients: dict[str, FlexClient], line: Rule) -> None:
    body = fill(line.body, scene.ids)
    for who, expected in zip(WHO, line.answers, strict=True):
        with scene.undone():
            asked = len(scene.world.sandbox.calls)
            with acting_as(SETUP):
                audited, operations = AuditEntry.objects.count(), Operation.objects.count()
            answer = ask(clients, who, line.path, body)
            calls = len(scene.world.sandbox.calls) - asked
            with acting_as(SETUP):
                new = [entry.action for entry in AuditEntry.objects.order_by("id")[audited:]]
                made = Operation.objects.count() - operations
        told = answer.json()
        assert answer.status_code == int(expected[:3]), f"{who}: {answer.content!r}"
        assert told["status"] == (0 if answer.status_code == 200 else -1)
        wanted = MEANING[expected]
        assert wanted is None or told["message"].endswith(wanted), f"{who}: {told}"
        if answer.status_code != 200:
            assert (calls, made) == (0, 0), f"{who}: a refusal reached FortiFlex"
            assert new == (["request.refused"] if expected == "403" else []), who
        if who in {"other", "past_owner"}:
            text = text_of(answer)
            for sent in _scalars(body):
                text = text.replace(sent, "")
            leaked = [mark for mark in scene.marks if mark in text]
            assert leaked == [], f"{who} reads {leaked}"


def _scalars(value: Any) -> list[str]:
    """Longest first, so that none is cut out of another."""
    if isinstance(value, dict):
        value = list(value.values())
    found = [text for item in value for text in _scalars(item)] if isinstance(value, list) else [str(value)]
    return sorted(found, key=len, reverse=True)


@pytest.mark.parametrize("who", ["narrowed", "other", "past_owner"])
def test_a_foreign_name_answers_as_one_that_never_was(scene: Scene, clients: dict[str, FlexClient], who: str) -> None:
    """Every name of acme's, wherever a call takes a name, beside one that nobody ever had: the same words, as fast, as silent upstream."""
    told = []
    for line in RULES:
        for field, value in line.body.items():
            for mine in _names_for(field, scene):
                if (who, line.path, mine) == ("past_owner", "entitlements/points", scene.ids["serial"]):
                    continue  # the days that it owned are its to read
                answers = []
                for name in (mine, never_was(mine)):
                    put: Any = [name] if isinstance(value, list) else name
                    with scene.undone():
                        answer = ask(clients, who, line.path, fill(line.body, scene.ids) | {field: put})
                    answers.append((answer.status_code, text_of(answer).replace(str(name), "…")))
                if answers[0] != answers[1]:
                    told.append(f"{line.path} {field}={mine}: {answers[0]} is not {answers[1]}")
    assert told == []


def _names_for(field: str, scene: Scene) -> list[Any]:
    if field in {"configId", "id", "sourceConfigId"}:
        return [scene.ids["config"]]
    if field in {"serialNumber", "serialNumbers"}:
        return [scene.ids["serial"], scene.ids["made"]]
    return []


def test_a_past_owner_reads_its_own_days_alone(scene: Scene, clients: dict[str, FlexClient]) -> None:
    body = {"accountId": ACCOUNT, "programSerialNumber": PROGRAM, **MONTH}
    rows = {
        who: ask(clients, who, "entitlements/points", body).json()["entitlements"]
        for who in ("past_owner", "owner", "other")
    }
    per_serial = {who: {row["serialNumber"]: row["points"] for row in found} for who, found in rows.items()}
    shared = scene.ids["serial"]
    assert list(per_serial["past_owner"]) == [shared]
    whole = sum(float(scene.world.sandbox.points_on(day).get(shared, 0)) for day in _august())
    assert per_serial["past_owner"][shared] + per_serial["owner"][shared] == pytest.approx(whole)
    assert min(per_serial["past_owner"][shared], per_serial["owner"][shared]) > 0
    assert shared not in per_serial["other"]
    listed = ask(clients, "past_owner", "entitlements/list", {"programSerialNumber": PROGRAM}).json()
    assert shared not in [row["serialNumber"] for row in listed["entitlements"]]


def _august() -> list[Any]:
    from datetime import date

    return [date(2026, 8, day) for day in range(1, 32)]


def test_a_narrowed_token_sees_what_it_names_and_nothing_else(scene: Scene, clients: dict[str, FlexClient]) -> None:
    named = scene.ids["named"]
    listed = ask(clients, "narrowed", "entitlements/list", {"programSerialNumber": PROGRAM}).json()["entitlements"]
    assert [row["serialNumber"] for row in listed] == [named]
    assert len(ask(clients, "owner", "entitlements/list", {"programSerialNumber": PROGRAM}).json()["entitlements"]) > 2
    assert ask(clients, "narrowed", "configs/list", {"programSerialNumber": PROGRAM}).json()["configs"] == []
    groups = ask(clients, "narrowed", "groups/list", {}).json()["groups"]
    assert sum(group["availableTokens"] + group["usedTokens"] for group in groups) <= 1


def test_the_queryset_wall_and_the_database_wall_each_hold_alone(
    scene: Scene, clients: dict[str, FlexClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without `visible_to` the policies alone answer the same."""
    from gateway.models import Config, Entitlement

    lines = [
        line
        for line in RULES
        if line.path.endswith(("/list", "/nexttoken", "/points")) or line.path == "entitlements/stop"
    ]

    def answers() -> list[tuple[int, str]]:
        found = []
        for line in lines:
            for who in ("other", "past_owner"):
                with scene.undone():
                    answer = ask(clients, who, line.path, fill(line.body, scene.ids))
                found.append((answer.status_code, answer.content.decode()))
        return found

    before = answers()
    for model in (Config, Entitlement, Operation):
        monkeypatch.setattr(type(model.objects.all()), "visible_to", lambda self, actor: self)
    assert answers() == before
