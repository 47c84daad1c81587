"""Writes through FortiFlex's own calls: what goes upstream, what is refused here, and in which shape each is answered."""

from datetime import timedelta
from typing import Any

import pytest

from gateway.days import today
from gateway.models import Config, Operation
from gateway.tags import split_tag
from tenants.context import acting_as
from tests.gateway.dropin.clients import DONE, FlexClient, refused
from tests.gateway.ledger.scenes import give
from tests.people import SETUP, People, make_client
from tests.worlds import ACCOUNT, ENT_2, PROGRAM, SandboxWorld

NEW_CONFIG = {
    "programSerialNumber": PROGRAM,
    "name": "branch",
    "productTypeId": 1,
    "parameters": [{"id": key, "value": value} for key, value in ENT_2],
}
NO_CONFIG = (400, refused("Configuration not found."))
NO_ENTITLEMENT = (400, refused("Entitlement not found."))
MANAGED = (403, refused("This configuration is managed by your provider."))
WRONG_FORM = (400, refused("The configuration is not valid for this request."))


def make(client: FlexClient, config: int, **more: Any) -> dict[str, Any]:
    return dict(client.ok("entitlements/vm/create", {"configId": config, "count": 1} | more)["entitlements"][0])


def test_a_vm_is_made_tagged_and_owned(acme: FlexClient, world: SandboxWorld, offered: int) -> None:
    end = today() + timedelta(days=30)
    body = {"configId": str(offered), "count": 3, "description": "branch office", "folderPath": "My Assets/Bonn"}
    made = acme.ok("entitlements/vm/create", body | {"endDate": f"{end}T00:00:00", "skipPending": "true"})
    rows = made.pop("entitlements")
    assert made == DONE
    assert [(row["description"], row["status"], row["endDate"][:10], row["tokenStatus"]) for row in rows] == [
        ("branch office", "ACTIVE", str(end), "NOTUSED")
    ] * 3
    assert all(len(row["token"]) == 20 for row in rows)
    for row in world.sandbox.entitlements():
        text, tag = split_tag(row["description"])
        assert (text, tag is not None and tag.valid and tag.tenant_slug) == ("branch office", "acme")
    with acting_as(SETUP):
        operation = Operation.objects.get()
        assert (operation.state, operation.handed_at is not None, len(operation.repeat_key)) == ("succeeded", True, 64)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"configId": None}, "configId is required."),
        ({"configId": 7}, "Configuration not found."),
        ({"count": 0}, "Invalid value for count. From 1 to 100 at once."),
        ({"count": "x"}, "Invalid value for count."),
        ({"endDate": "2020-01-01"}, None),
        ({"endDate": "soon"}, "Invalid value for endDate."),
        (
            {"folderPath": "Elsewhere"},
            "Invalid value for folderPath. A folder is a path such as 'My Assets/Branch offices'.",
        ),
        ({"description": "x" * 201}, "Invalid value for description. A description takes at most 200 characters."),
        ({"description": 7}, "Invalid value for description."),
        ({"skipPending": "perhaps"}, "Invalid value for skipPending."),
    ],
)
def test_what_is_certainly_wrong_costs_no_upstream_error(
    acme: FlexClient, world: SandboxWorld, offered: int, change: dict[str, Any], message: str | None
) -> None:
    asked = len(world.calls_of("entitlements/vm/create"))
    status, told = acme.call("entitlements/vm/create", {"configId": offered, "count": 1} | change)
    assert (status, told["status"]) == (400, -1)
    assert message is None or told == refused(message)
    assert len(world.calls_of("entitlements/vm/create")) == asked
    with acting_as(SETUP):
        assert not Operation.objects.exists()


def test_a_config_is_made_changed_switched_and_answered_as_an_object(acme: FlexClient, world: SandboxWorld) -> None:
    made = acme.ok("configs/create", NEW_CONFIG)["configs"]
    assert isinstance(made, dict)
    renamed = acme.ok(
        "configs/update",
        {"id": str(made["id"]), "name": "renamed", "parameters": [{"id": 1, "value": 4}, {"id": 2, "value": "ENT"}]},
    )["configs"]
    assert (renamed["name"], renamed["parameters"][0]["value"]) == ("renamed", "4")
    calls = len(world.sandbox.calls)
    again = {"id": made["id"], "name": "renamed", "parameters": [{"id": 1, "value": "4"}]}
    assert acme.ok("configs/update", again)["configs"] == renamed
    assert len(world.sandbox.calls) == calls, "it is so already"
    assert acme.ok("configs/disable", {"id": str(made["id"])})["configs"]["status"] == "DISABLED"
    assert acme.ok("configs/disable", {"id": made["id"]})["configs"]["status"] == "DISABLED"
    assert acme.ok("configs/list", {"programSerialNumber": PROGRAM})["configs"][1]["status"] == "DISABLED"
    assert acme.ok("configs/enable", {"id": made["id"]})["configs"]["status"] == "ACTIVE"
    status, told = acme.call("configs/create", NEW_CONFIG | {"name": "renamed"})
    assert (status, told["message"]) == (400, "You have a configuration called 'renamed' in this account already.")


def test_two_tenants_may_use_one_name(acme: FlexClient, globex: FlexClient) -> None:
    assert acme.ok("configs/create", NEW_CONFIG)["configs"]["name"] == "branch"
    assert globex.ok("configs/create", NEW_CONFIG)["configs"]["name"] == "branch"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"programSerialNumber": None}, "programSerialNumber is required."),
        ({"programSerialNumber": "ELAVMS0000000099"}, "Program serial number is invalid."),
        ({"accountId": 7}, "Invalid value for accountId. There is no such account."),
        ({"name": ""}, "name is required."),
        ({"productTypeId": None}, "productTypeId is required."),
        ({"productTypeId": -1}, "Invalid value for productTypeId."),
        ({"productTypeId": "0"}, "Invalid value for productTypeId."),
        ({"productTypeId": 10**17}, "Invalid value for productTypeId."),
        ({"parameters": [{"id": -1, "value": 2}]}, "Invalid value for id."),
        ({"parameters": {"id": 1}}, "Invalid value for parameters."),
        ({"parameters": [{"id": 1, "value": None}]}, "Parameter id 1: invalid value."),
        (
            {"parameters": [{"id": 1, "value": 500}, {"id": 2, "value": "ENT"}]},
            "Parameter 1 (Number of CPUs) takes 1 to 96.",
        ),
    ],
)
def test_a_config_that_can_t_be_is_refused_here(
    acme: FlexClient, world: SandboxWorld, change: dict[str, Any], message: str
) -> None:
    assert acme.call("configs/create", NEW_CONFIG | change) == (400, refused(message))
    assert world.calls_of("configs/create") == []
    if "name" not in change and "accountId" not in change:
        assert acme.call("tools/calc", NEW_CONFIG | change) == (400, refused(message))
        assert world.calls_of("tools/calc") == []


def test_a_shared_config_is_the_providers(
    people: People, acme: FlexClient, globex: FlexClient, world: SandboxWorld, offered: int
) -> None:
    calls = len(world.sandbox.calls)
    for path in ("configs/update", "configs/enable", "configs/disable"):
        assert acme.call(path, {"id": offered, "name": "mine"}) == MANAGED
        assert globex.call(path, {"id": offered, "name": "mine"}) == globex.call(path, {"id": 7}) == NO_CONFIG
    assert len(world.sandbox.calls) == calls


def test_an_update_keeps_what_it_does_not_name(acme: FlexClient, world: SandboxWorld, offered: int) -> None:
    end = today() + timedelta(days=30)
    row = make(acme, offered, description="first", endDate=str(end), skipPending=True)
    serial = row["serialNumber"]
    other = acme.ok("configs/create", NEW_CONFIG)["configs"]["id"]

    def update(**body: Any) -> dict[str, Any]:
        answer = acme.ok("entitlements/update", {"serialNumber": serial} | body)
        assert set(answer) == {*DONE, "entitlements"}
        return dict(answer["entitlements"][0])

    assert update(configId=str(offered)) == row
    assert update(configId=other) == row | {"configId": other}
    assert update(configId=other, description="second") == row | {"configId": other, "description": "second"}
    assert update(endDate=f"{end + timedelta(days=1)}T00:00:00")["description"] == "second"
    assert update(description=None)["description"] == "second"
    assert update(description="")["description"] is None
    assert update(configId=other)["endDate"] == f"{end + timedelta(days=1)}T00:00:00"
    assert acme.call("entitlements/update", {"serialNumber": serial, "configId": 7}) == NO_CONFIG


def test_stop_reactivate_and_a_new_token(acme: FlexClient, offered: int) -> None:
    row = make(acme, offered, skipPending=True)
    body = {"serialNumber": row["serialNumber"]}
    stopped = acme.ok("entitlements/stop", body)
    assert "vms" not in stopped
    assert (stopped["entitlements"][0]["status"], stopped["entitlements"][0]["token"]) == ("STOPPED", row["token"])
    status, told = acme.call("entitlements/stop", body)
    assert (status, told["message"]) == (400, "Unable to update the entitlement. This entitlement is stopped already.")
    renewed = acme.ok("entitlements/vm/token", body)["entitlements"]
    assert (len(renewed), renewed[0]["tokenStatus"], renewed[0]["token"] != row["token"]) == (1, "NOTUSED", True)
    active = acme.ok("entitlements/reactivate", body)["entitlements"][0]
    assert (active["status"], active["startDate"], active["endDate"]) == ("ACTIVE", row["startDate"], row["endDate"])


def test_reactivating_what_is_active_is_refused_here_with_an_error_object(
    acme: FlexClient, world: SandboxWorld, offered: int
) -> None:
    row = make(acme, offered, skipPending=True)
    error = {"errorCode": -1, "message": "Entitlement is not stopped."}
    told = refused("Unable to update the entitlement. It is active already.", error=error)
    assert acme.call("entitlements/reactivate", {"serialNumber": row["serialNumber"]}) == (400, told)
    assert world.calls_of("entitlements/reactivate") == []


def test_stop_and_reactivate_on_pending_go_upstream(acme: FlexClient, world: SandboxWorld, offered: int) -> None:
    """Ansible and `terraform destroy` send them, and what FortiFlex does with them nobody has written down."""
    row = make(acme, offered)
    for path in ("entitlements/stop", "entitlements/reactivate"):
        status, told = acme.call(path, {"serialNumber": row["serialNumber"]})
        assert (status, told["message"].startswith("Unable to update")) == (400, True)
        assert len(world.calls_of(path)) == 1


@pytest.mark.parametrize(
    "path",
    [
        "entitlements/update",
        "entitlements/stop",
        "entitlements/reactivate",
        "entitlements/vm/token",
        "entitlements/hardware/remove",
    ],
)
def test_a_foreign_serial_is_refused_like_an_unknown_one(
    acme: FlexClient, globex: FlexClient, world: SandboxWorld, offered: int, path: str
) -> None:
    serial, calls = make(acme, offered, skipPending=True)["serialNumber"], len(world.sandbox.calls)
    for one in (serial, "FGVMMLTM99999999"):
        assert globex.call(path, {"serialNumber": one, "serialNumbers": [one]}) == NO_ENTITLEMENT
    give([serial], "globex", today())
    assert acme.call(path, {"serialNumber": serial, "serialNumbers": [serial]}) == NO_ENTITLEMENT
    assert acme.call(path)[1]["message"] in {"serialNumber is required.", "serialNumbers is required."}
    assert len(world.sandbox.calls) == calls


@pytest.fixture
def hardware(people: People, world: SandboxWorld) -> int:
    config = world.add_config("hw", [(27, "FGT60F"), (28, "FGHWUTP"), (29, "NONE")], product_type_id=101)
    return share(people, world, config)


def share(people: People, world: SandboxWorld, config: int) -> int:
    world.sync()
    for slug in ("acme", "globex"):
        assert people.operator.post(f"configs/{config}/offers", {"tenant": slug}).status_code == 201
    return config


def test_hardware_is_registered_described_and_removed(
    acme: FlexClient, globex: FlexClient, world: SandboxWorld, hardware: int
) -> None:
    body = {"configId": hardware, "serialNumbers": ["FGT60FTK20000001"], "endDate": None, "description": "ignored"}
    row = acme.ok("entitlements/hardware/create", body)["entitlements"][0]
    assert (row["serialNumber"], row["status"], row["token"], row["tokenStatus"], row["description"]) == (
        "FGT60FTK20000001", "ACTIVE", None, None, None,
    )  # fmt: skip
    serial = {"serialNumber": row["serialNumber"]}
    updated = acme.ok("entitlements/update", serial | {"configId": hardware, "description": "rack 7"})
    assert updated["entitlements"][0]["description"] == "rack 7"
    taken = globex.call("entitlements/hardware/create", body)
    assert taken[0] == 400
    assert "registered" in taken[1]["message"]
    status, told = acme.call("entitlements/vm/token", serial)
    assert (status, told["message"]) == (
        400,
        "Unable to update the entitlement. Only virtual machines have licence tokens.",
    )
    assert acme.call("entitlements/hardware/remove", {"serialNumbers": [row["serialNumber"]]}) == (200, DONE)
    assert acme.ok("entitlements/list", {"configId": hardware})["entitlements"] == []


def test_cloud_takes_what_clients_send(people: People, acme: FlexClient, world: SandboxWorld) -> None:
    config = share(
        people,
        world,
        world.add_config(
            "sase", [(48, "50"), (49, "FSASESTD"), (50, "25"), (51, "0"), (59, "0"), (72, "0")], product_type_id=205
        ),
    )
    body = {"configId": config, "count": 1, "description": "cloud", "folderPath": "My Assets"}
    made = acme.ok("entitlements/cloud/create", body)["entitlements"]
    assert [(row["status"], row["token"], row["description"]) for row in made] == [("ACTIVE", None, "cloud")]
    assert acme.call("entitlements/cloud/create", body | {"count": 2}) == (400, refused("Invalid value for count."))


def test_each_path_makes_its_own_form(acme: FlexClient, world: SandboxWorld, offered: int, hardware: int) -> None:
    assert acme.call("entitlements/cloud/create", {"configId": offered}) == WRONG_FORM
    assert (
        acme.call("entitlements/hardware/create", {"configId": offered, "serialNumbers": ["FGT60FTK20000001"]})
        == WRONG_FORM
    )
    assert acme.call("entitlements/vm/create", {"configId": hardware}) == WRONG_FORM
    assert acme.call("entitlements/hardware/create", {"configId": hardware}) == (
        400,
        refused("serialNumbers is required."),
    )


def test_a_transfer_copies_the_config_and_answers_where_they_stand_now(
    people: People, acme: FlexClient, world: SandboxWorld
) -> None:
    world.sandbox.add_account(100_002)
    world.sandbox.create_config(program=PROGRAM, name="there", product_type_id=1, parameters=ENT_2, account_id=100_002)
    world.sync()
    own = acme.ok("configs/create", NEW_CONFIG | {"accountId": ACCOUNT})["configs"]["id"]
    serials = [make(acme, own)["serialNumber"] for _ in range(2)]
    body = {
        "sourceAccountId": ACCOUNT,
        "sourceConfigId": str(own),
        "targetAccountId": "100002",
        "targetConfigId": None,
        "serialNumbers": serials,
    }
    moved = acme.ok("entitlements/transfer", body)["entitlements"]
    assert [(row["serialNumber"], row["accountId"]) for row in moved] == [(serial, 100_002) for serial in serials]
    with acting_as(SETUP):
        copy = Config.objects.get(id=moved[0]["configId"])
        assert (copy.account_id, copy.tenant is not None and copy.tenant.slug) == (100_002, "acme")
    back = body | {
        "sourceAccountId": 100_002,
        "sourceConfigId": copy.id,
        "targetAccountId": ACCOUNT,
        "targetConfigId": own,
    }
    assert {row["configId"] for row in acme.ok("entitlements/transfer", back)["entitlements"]} == {own}
    refusals = [
        ({"targetAccountId": 7}, "Account is invalid."),
        ({"sourceAccountId": 100_002}, "Serial numbers do not belong to the source account."),
        ({"sourceConfigId": 7}, "Configuration not found."),
        ({"targetConfigId": 7}, "Configuration not found."),
        ({"serialNumbers": ["FGVMMLTM99999999"]}, "Entitlement not found."),
        ({"serialNumbers": []}, "serialNumbers is required."),
    ]
    for change, message in refusals:
        assert acme.call("entitlements/transfer", body | change) == (400, refused(message))


def test_a_narrowed_token_writes_what_it_names(acme: FlexClient, offered: int) -> None:
    mine, other = (
        make(acme, offered, skipPending=True)["serialNumber"],
        make(acme, offered, skipPending=True)["serialNumber"],
    )
    one = FlexClient(make_client(slug="acme", entitlements=[mine]))
    assert [
        row["serialNumber"] for row in one.ok("entitlements/list", {"programSerialNumber": PROGRAM})["entitlements"]
    ] == [mine]
    assert one.ok("entitlements/stop", {"serialNumber": mine})["entitlements"][0]["status"] == "STOPPED"
    assert one.call("entitlements/stop", {"serialNumber": other}) == NO_ENTITLEMENT
    assert one.call("entitlements/vm/create", {"configId": offered}) == NO_CONFIG
    for path in (
        "programs/list",
        "programs/points",
        "configs/create",
        "tools/calc",
        "tools/metadata",
        "entitlements/transfer",
    ):
        assert one.call(path) == (403, refused("Authorization denied."))
