"""Other people's clients against the gateway with nothing changed but where they point: pyfortiflex as it is on PyPI, and the requests that
Terraform and Ansible send, in their order (reference, 8.4).
"""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from pyfortiflex import FlexError, FortiFlexClient, mint_token, owner_description, reset_reservations
from pyfortiflex.products import single_active_config

from gateway.models import ConfigOffer
from tenants.actors import system
from tenants.context import acting_as
from tenants.models import SessionToken
from tests.databases import OwnDatabase
from tests.end_to_end.processes import web
from tests.gateway.dropin.clients import credentials
from tests.gateway.dropin.customers import Ansible, AnsibleFailure, Terraform, TerraformError
from tests.gateway.dropin.servers import Stand, sandbox_with_people, stand_up
from tests.people import SETUP, make_client
from tests.worlds import ACCOUNT, ENT_2, PROGRAM

HW = [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")]
SASE = [(48, "50"), (49, "FSASESTD"), (50, "25"), (51, "0"), (59, "0"), (72, "0")]
PARAMETERS = [{"id": key, "value": value} for key, value in ENT_2]


@pytest.fixture
def stand(own_database: OwnDatabase) -> Iterator[Stand]:
    with stand_up() as stand:
        yield stand


@pytest.fixture
def two(own_database: OwnDatabase, tmp_path: Path) -> Iterator[list[Stand]]:
    """Two web processes as `serve` starts them, on one database."""
    with ExitStack() as stack:
        server, people, config = stack.enter_context(sandbox_with_people())
        bases = [
            stack.enter_context(web(own_database, tmp_path / f"web{n}", FLEXGATE_WAITING_THREADS="16"))
            for n in range(2)
        ]
        stack.callback(server.closing.set)
        yield [Stand(base, server, people, config) for base in bases]


def flex_of(stand: Stand, person: Any) -> FortiFlexClient:
    given = credentials(person)
    return FortiFlexClient(given["username"], given["password"], api_url=stand.api_url, auth_url=stand.auth_url)


def test_pyfortiflex_unmodified_against_real_processes(two: list[Stand]) -> None:
    first, second = two
    flex, other = flex_of(first, first.people.acme), flex_of(first, first.people.globex)
    assert [row["serialNumber"] for row in flex.programs()] == [PROGRAM]
    made = flex.create_config(PROGRAM, "soar", 1, PARAMETERS)
    assert (made["name"], flex.resolve_config_id("SOAR"), flex.config(str(made["id"]))) == ("soar", made["id"], made)
    assert made["id"] not in [row["id"] for row in other.configs()]
    assert flex.update_config(made["id"], parameters=[{"id": 1, "value": 4}])["parameters"][0]["value"] == "4"
    assert flex.disable_config(made["id"])["status"] == "DISABLED"
    assert single_active_config(flex, "FGT") == first.config, "the offered one alone is active"
    assert flex.enable_config(made["id"])["status"] == "ACTIVE"

    reset_reservations()
    owner = owner_description("fabric", "node", "pod")
    minted = mint_token(flex, made["id"], owner, poll_interval_s=0, timeout_s=20)
    assert (minted.created, len(minted.token)) == (True, 20)
    again = mint_token(flex_of(second, second.people.acme), "soar", owner, poll_interval_s=0, timeout_s=20)
    assert (again.serial_number, again.created) == (minted.serial_number, False)
    listed = flex.entitlements(program_serial=PROGRAM)
    assert [(row["serialNumber"], row["description"]) for row in listed] == [(minted.serial_number, owner)]
    assert other.entitlements(program_serial=PROGRAM) == []

    serial = minted.serial_number
    assert flex.stop_entitlement(serial)[0]["status"] == "STOPPED"
    back = mint_token(flex, made["id"], owner, poll_interval_s=0, timeout_s=20)
    assert (back.serial_number, back.created) == (serial, False)
    assert flex.update_entitlement(serial, config_id=made["id"], description="new")[0]["description"] == "new"
    assert flex.groups(ACCOUNT) == [
        {"folderPath": "My Assets", "accountId": ACCOUNT, "availableTokens": 1, "usedTokens": 0}
    ]
    assert flex.group_next_token(config_id=made["id"])[0]["serialNumber"] == serial
    assert flex.points(PROGRAM, "2026-01-01", "2026-12-31", account_id=ACCOUNT) == []
    with pytest.raises(FlexError, match="Entitlement not found"):
        other.stop_entitlement(serial)
    with pytest.raises(FlexError, match=r"\(403\)"):
        flex_of(first, make_client(slug="acme", scopes=["programs:read"])).entitlements(config_id=made["id"])
    with pytest.raises(FlexError, match=r"auth failed \(400\)"):
        FortiFlexClient("nobody", "nothing", api_url=first.api_url, auth_url=first.auth_url).programs()

    # Ended in one process, refused in the other; it logs in again on 401, and once more only.
    with acting_as(system("test")):
        SessionToken.objects.all().delete()
    assert flex_of(second, second.people.acme).programs() == flex.programs()
    row = first.people.acme.row
    assert row is not None
    operator = {"Authorization": f"Bearer {first.people.operator.token}"}
    httpx.delete(f"{second.base}/api/v1/tenants/acme/tokens/{row.id}", headers=operator, timeout=20)
    with pytest.raises(FlexError, match=r"auth failed \(400\)"):
        flex.programs()

    # Equal creates on both processes at once are as many as they are.
    tokens = [stand.access_token(stand.people.globex) for stand in two]

    def create(number: int) -> str:
        headers = {"Authorization": f"Bearer {tokens[number % 2]}"}
        body = {"configId": first.config, "count": 1}
        answer = httpx.post(f"{two[number % 2].api_url}/entitlements/vm/create", json=body, headers=headers, timeout=20)
        return str(answer.json()["entitlements"][0]["serialNumber"])

    with ThreadPoolExecutor(4) as pool:
        serials = set(pool.map(create, range(4)))
    assert len(serials) == 4
    assert serials | {serial} == set(first.made())
    raw_requests(first, tokens[0])


def raw_requests(stand: Stand, token: str) -> None:
    """What no client library sends, byte for byte."""
    url = httpx.URL(stand.base)
    lines = [f"Host: {url.host}", f"Authorization: Bearer {token}", "Connection: close"]

    def send(path: str, *headers: str, body: bytes = b"", host: str = "") -> tuple[int, Any]:
        head = "\r\n".join([f"POST {path} HTTP/1.1", *([f"Host: {host}", *lines[1:]] if host else lines), *headers])
        with socket.create_connection((url.host, url.port or 80)) as connection:
            connection.sendall(head.encode() + b"\r\n\r\n" + body)
            answer = b""
            while part := connection.recv(65536):
                answer += part
        top, _, content = answer.partition(b"\r\n\r\n")
        return int(top.split()[1]), json.loads(content)

    assert send("/ES/api/fortiflex/v2/programs/list")[0] == 200, "neither a length nor a body"
    assert send("//ES/api//fortiflex/v2/programs/list")[1]["status"] == 0
    assert send("/es/api/fortiflex/v2/programs/list", "Content-Length: 2", body=b'""')[0] == 200
    assert send("/ES/api/fortiflex/v2/programs/list", host="support.fortinet.com")[0] == 200
    assert send("/api/v1/oauth/token", host="customerapiauth.fortinet.com")[1]["status"] == -1
    status, told = send(
        "/ES/api/fortiflex/v2/programs/list", "Transfer-Encoding: chunked", body=b"2\r\n{}\r\n0\r\n\r\n"
    )
    assert (status, told["status"]) == (411, -1)
    assert send("/ES/api/fortiflex/v2/nope", host="support.fortinet.com")[0] == 404
    ours = httpx.post(f"{stand.base}/api/v1/whoami", headers={"Host": "support.fortinet.com"}, timeout=9)
    assert (ours.status_code, ours.json()["code"]) == (400, "invalid")


def offer(stand: Stand, name: str, product_type_id: int, parameters: list[tuple[int, str]]) -> int:
    from gateway.mirror import sync_api_user
    from gateway.models import ApiUser

    shown = stand.server.sandbox.create_config(
        program=PROGRAM, name=name, product_type_id=product_type_id, parameters=parameters, account_id=ACCOUNT
    )
    with acting_as(SETUP):
        api_user = ApiUser.objects.get()
    sync_api_user(api_user)
    with acting_as(SETUP):
        ConfigOffer.objects.create(config_id=shown["id"], tenant=stand.people.tenant("acme"))
    return int(shown["id"])


def test_terraforms_config_from_create_to_destroy(stand: Stand) -> None:
    terraform = Terraform(stand, stand.people.acme)
    body = {
        "programSerialNumber": PROGRAM,
        "name": "tf",
        "productTypeId": 1,
        "parameters": [
            {"id": 1, "value": 2},
            {"id": 2, "value": "ENT"},
            {"id": 10, "value": 0},
            {"id": 43, "value": "NONE"},
        ],
    }
    made = terraform.create_or_update("fortiflex/v2/configs/create", "configs", body)
    listed = terraform.send("fortiflex/v2/configs/list", {"programSerialNumber": PROGRAM})["configs"]
    assert next(row for row in listed if row["id"] == made["id"]) == made
    change = {"id": str(made["id"]), "name": "tf2", "parameters": [{"id": 1, "value": 4}, {"id": 2, "value": "ENT"}]}
    changed = terraform.create_or_update("fortiflex/v2/configs/update", "configs", change)
    assert (changed["name"], changed["parameters"][0]["value"]) == ("tf2", "4")
    for verb, status in (("disable", "DISABLED"), ("enable", "ACTIVE"), ("disable", "DISABLED")):
        found = terraform.create_or_update(f"fortiflex/v2/configs/{verb}", "configs", {"id": made["id"]})
        assert found["status"] == status
    assert terraform.sends == 6, "nothing was sent twice"


def test_terraforms_vm_from_create_to_destroy(stand: Stand) -> None:
    terraform = Terraform(stand, stand.people.acme)
    row = terraform.create_vm(stand.config, description="vm", folderPath="My Assets", skipPending=True)
    assert terraform.read_vm(row) == row
    assert terraform.update_vm(row, description="vm 2", endDate=row["endDate"]) == row | {"description": "vm 2"}
    assert terraform.update_vm(row, status="STOPPED", description="vm 3")["status"] == "STOPPED"
    assert terraform.update_vm(row, status="ACTIVE")["status"] == "ACTIVE"
    terraform.destroy_vm(row, refresh_token=True)
    assert terraform.read_vm(row)["status"] == "STOPPED"
    terraform.destroy_vm(row)
    assert [group["folderPath"] for group in terraform.groups()] == ["My Assets"]
    assert terraform.groups(ACCOUNT) == terraform.groups()
    token = terraform.send("fortiflex/v2/groups/nexttoken", {"folderPath": "My Assets", "status": ["STOPPED"]})
    assert token["entitlements"][0]["serialNumber"] == row["serialNumber"]


def test_terraforms_destroy_of_a_pending_one_fails_as_it_does_at_fortiflex(stand: Stand) -> None:
    terraform = Terraform(stand, stand.people.acme)
    row = terraform.create_vm(stand.config)
    with pytest.raises(TerraformError, match="Unable to update"):
        terraform.destroy_vm(row)


def test_terraforms_hardware_and_cloud(stand: Stand) -> None:
    hardware, cloud = offer(stand, "hw", 101, HW), offer(stand, "sase", 205, SASE)
    terraform = Terraform(stand, stand.people.acme)
    body = {"configId": hardware, "serialNumbers": ["FGT60FTK20000001"]}
    row = terraform.create_or_update("fortiflex/v2/entitlements/hardware/create", "entitlements", body)
    terraform.read_vm(row)
    text = {"serialNumber": row["serialNumber"], "configId": str(hardware), "description": "rack 7"}
    assert (
        terraform.create_or_update("fortiflex/v2/entitlements/update", "entitlements", text)["description"] == "rack 7"
    )
    assert terraform.switch(row, "stop")["status"] == "STOPPED"
    body = {"configId": cloud, "count": 1, "description": "cloud", "folderPath": "My Assets"}
    made = terraform.create_or_update("fortiflex/v2/entitlements/cloud/create", "entitlements", body)
    assert (made["status"], made["token"], made["description"]) == ("ACTIVE", None, "cloud")


def test_terraforms_group_of_vms_taken_and_given_back(stand: Stand) -> None:
    """retrieve_vm_group: writes its name into the description, reads it again, reactivates, takes a token; "" gives it back."""
    terraform = Terraform(stand, stand.people.acme)
    row = terraform.create_vm(stand.config, skipPending=True)
    terraform.switch(row, "stop")
    taken = {"serialNumber": row["serialNumber"], "configId": stand.config, "description": "task 1"}
    terraform.create_or_update("fortiflex/v2/entitlements/update", "entitlements", taken)
    assert terraform.read_vm(row)["description"] == "task 1"
    assert terraform.switch(row, "reactivate")["status"] == "ACTIVE"
    assert (
        terraform.create_or_update(
            "fortiflex/v2/entitlements/vm/token", "entitlements", {"serialNumber": row["serialNumber"]}
        )["tokenStatus"]
        == "NOTUSED"
    )
    terraform.create_or_update("fortiflex/v2/entitlements/update", "entitlements", taken | {"description": ""})
    assert terraform.read_vm(row)["description"] in (None, "")


def test_terraforms_points_and_a_repeat_without_its_body(stand: Stand) -> None:
    """Go may send a body's spent buffer again after a broken connection: nothing is taken for a creation."""
    terraform = Terraform(stand, stand.people.acme)
    asked = {"configId": stand.config, "startDate": "2026-01-01", "endDate": "2026-01-31"}
    assert terraform.send("fortiflex/v2/entitlements/points", asked)["entitlements"] == []
    token = stand.access_token(stand.people.acme)
    answer = httpx.post(
        f"{stand.api_url}/entitlements/vm/create", headers={"Authorization": f"Bearer {token}"}, timeout=9
    )
    assert (answer.status_code, answer.json()["message"]) == (400, "configId is required.")
    assert stand.made() == []


def test_ansible_logs_in_again_when_its_token_ran_out(stand: Stand) -> None:
    """A session file of an earlier run: five answers with the text, one login, one more try."""
    task = Ansible(stand, stand.people.acme, access_token="A" * 30)
    assert task.send("fortiflex/v2/programs/list", {})["programs"][0]["serialNumber"] == PROGRAM
    assert task.logins == 1


def test_ansibles_modules(stand: Stand) -> None:
    def task() -> Ansible:
        return Ansible(stand, stand.people.acme)

    config = task().send(
        "fortiflex/v2/configs/create",
        {
            "programSerialNumber": PROGRAM,
            "accountId": ACCOUNT,
            "name": "a",
            "productTypeId": 1,
            "parameters": PARAMETERS,
        },
    )["configs"]
    assert config["status"] == "ACTIVE"
    assert task().send("fortiflex/v2/configs/disable", {"id": config["id"]})["configs"]["status"] == "DISABLED"
    assert task().send("fortiflex/v2/configs/enable", {"id": config["id"]})["configs"]["status"] == "ACTIVE"
    made = task().send(
        "fortiflex/v2/entitlements/vm/create", {"configId": config["id"], "count": 2, "skipPending": True}
    )
    serial = made["entitlements"][0]["serialNumber"]
    assert len(task().send("fortiflex/v2/entitlements/list", {"configId": config["id"]})["entitlements"]) == 2
    told = task().update_entitlement(
        serial, config=config["id"], description="by ansible", endDate="2027-03-01T00:00:00"
    )
    assert told["entitlements"][0]["endDate"] == "2027-03-01T00:00:00"
    assert (
        task().update_entitlement(serial, config=config["id"], status="STOPPED")["entitlements"][0]["status"]
        == "STOPPED"
    )
    told = task().update_entitlement(serial, config=config["id"], status="ACTIVE", description="back")
    assert (told["entitlements"][0]["status"], told["entitlements"][0]["description"]) == ("ACTIVE", "back")
    with pytest.raises(AnsibleFailure) as failure:
        task().update_entitlement(serial, status="ACTIVE")  # it does not know the state, so it sends it
    assert failure.value.args[0]["error"] == {"errorCode": -1, "message": "Entitlement is not stopped."}
    for data in ({}, {"accountId": str(ACCOUNT)}):
        path = "fortiflex/v2/groups/list" if data else "flexvm/v1/groups/list"
        assert task().send(path, data)["groups"][0]["availableTokens"] == 2
    token = task().send("fortiflex/v2/groups/nexttoken", {"configId": config["id"], "accountId": str(ACCOUNT)})
    assert len(token["entitlements"]) == 1
    points = {
        "accountId": ACCOUNT,
        "programSerialNumber": PROGRAM,
        "serialNumber": serial,
        "startDate": "2026-01-01",
        "endDate": "2026-01-31",
    }
    assert task().send("fortiflex/v2/entitlements/points", points)["entitlements"] == []
    calc = {"programSerialNumber": PROGRAM, "count": 1, "productTypeId": 1, "parameters": PARAMETERS}
    assert Decimal(str(task().send("fortiflex/v2/tools/calc", calc)["points"]["current"])) == Decimal("6.39")
    with pytest.raises(AnsibleFailure):
        task().send("fortiflex/v2/programs/points", {"programSerialNumber": PROGRAM})


def test_every_failure_has_what_ansible_reads(stand: Stand) -> None:
    """`status` and `message` in each, or it dies of a KeyError."""
    task = Ansible(stand, stand.people.acme)
    for path in ("fortiflex/v2/nope", "fortiflex/v2/entitlements/list", "nope", ""):
        told = task.send(path, {}, check_error=False)
        assert told["status"] == -1
        assert told["message"]
    row = stand.people.acme.row
    assert row is not None
    operator = {"Authorization": f"Bearer {stand.people.operator.token}"}
    httpx.delete(f"{stand.base}/api/v1/tenants/acme/tokens/{row.id}", headers=operator, timeout=20)
    with pytest.raises(AnsibleFailure) as failure:
        task.send("fortiflex/v2/programs/list", {})
    assert failure.value.args[0]["message"] == "Invalid credentials given."
