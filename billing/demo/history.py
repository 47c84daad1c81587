"""Three months of an MSP's life, lived in the sandbox before the gateway is there to see it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from billing.demo.story import WINDOW_DAYS, Story
from gateway.fortiflex.days import pacific_moment
from gateway.sandbox import Sandbox, SandboxSettings

SHARED_ACCOUNT, OWN_ACCOUNT = 100001, 200001
SHARED_PROGRAM, OWN_PROGRAM = "ELAVMS0000000001", "ELAVMS0000000002"
ENT_2, ENT_4 = [(1, "2"), (2, "ENT")], [(1, "4"), (2, "ENT")]
API_USERS = {"msp-main": ("demo-main", "demo-main-password"), "initech-own": ("demo-initech", "demo-initech-password")}


@dataclass(frozen=True, slots=True)
class Past:
    """What the sandbox holds when the gateway starts. `owners`: slug → serials; `handed_over` went from acme to globex."""

    sandbox: Sandbox
    config_2: int
    config_4: int
    owners: dict[str, list[str]]
    handed_over: str
    unassigned: str


def live_through(story: Story, source: Callable[[], datetime]) -> Past:
    """Play the story's days in a new sandbox, whose clock then follows `source`."""
    sandbox = Sandbox(settings=SandboxSettings(window_days=WINDOW_DAYS), source=source)
    program_from, program_to = story.today - timedelta(days=200), story.today + timedelta(days=500)
    for account_id, program in ((SHARED_ACCOUNT, SHARED_PROGRAM), (OWN_ACCOUNT, OWN_PROGRAM)):
        sandbox.add_account(account_id)
        sandbox.add_program(program, account_id=account_id, start=program_from, end=program_to)
    for name, accounts in (("msp-main", [SHARED_ACCOUNT]), ("initech-own", [OWN_ACCOUNT])):
        username, password = API_USERS[name]
        sandbox.add_api_user(username, password, account_ids=accounts)

    def at(day: date, hour: int = 10) -> datetime:
        return pacific_moment(day, hour)

    with sandbox.at(at(story.begins, 8)):
        config_2 = _config(sandbox, "fgt-2c-ent", ENT_2, SHARED_PROGRAM, SHARED_ACCOUNT)
        config_4 = _config(sandbox, "fgt-4c-ent", ENT_4, SHARED_PROGRAM, SHARED_ACCOUNT)
        own = _config(sandbox, "initech-2c-ent", ENT_2, OWN_PROGRAM, OWN_ACCOUNT)
    with sandbox.at(at(story.begins)):
        acme = [_vm(sandbox, config_2, f"acme {place}") for place in ("Bonn", "Kiel", "Ulm")]
        globex = [_vm(sandbox, config_2, "globex HQ")]
        handed_over = _vm(sandbox, config_2, "branch that acme sells to globex")
        unassigned = _vm(sandbox, config_2, "made in the portal, nobody knows for whom")
        initech = [_vm(sandbox, own, "initech HQ")]
        waiting = sandbox.create_vm(own, description="initech lab")[0]
    with sandbox.at(at(story.activated_on)):
        sandbox.use_token(waiting)
    with sandbox.at(at(story.resized_on)):
        sandbox.move(acme[1], config_4)
    with sandbox.at(at(story.stopped_on)):
        sandbox.stop(acme[2])
    owners = {"acme": [*acme, handed_over], "globex": globex, "initech": [*initech, waiting]}
    return Past(sandbox, config_2, config_4, owners, handed_over, unassigned)


def _config(sandbox: Sandbox, name: str, parameters: list[tuple[int, str]], program: str, account_id: int) -> int:
    made = sandbox.create_config(
        program=program, name=name, product_type_id=1, parameters=parameters, account_id=account_id
    )
    return int(made["id"])


def _vm(sandbox: Sandbox, config: int, description: str) -> str:
    return sandbox.create_vm(config, description=description, skipPending=True)[0]
