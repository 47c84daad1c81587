"""What must hold once nothing is open: nothing lost, nothing doubled, nothing another's, no limit passed. Each check reads FortiFlex's side."""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from itertools import pairwise, zip_longest
from typing import TYPE_CHECKING, Any

from gateway.config_names import split_suffix
from gateway.models import Operation
from gateway.operations import CREATIONS
from gateway.tags import split_tag
from tenants import clock
from tests.gateway.write_facts import PATHS, Facts, slug_of, was_token_refused
from tests.gateway.write_last_words import check_last_words

if TYPE_CHECKING:
    from tests.gateway.write_machine import World

APPEARS_IN_TIME = 180  # FLEXGATE_SETTLE_SECONDS: what FortiFlex shows later than this is a late arrival, and listed
NOT_ON_THE_WIRE = {"notsent", "gateclosed"}
NOT_DONE = NOT_ON_THE_WIRE | {"notdone", "rejected", "ratelimited", "tokenrejected", "loginrefused", "loginfailed"}
HARMLESS = {0, "success", "refuse"}  # a connection that was refused never reached FortiFlex


def check_all(world: "World", facts: Facts, limits: Mapping[str, int]) -> None:
    check_origins(world, facts)
    check_owners(world, facts)
    check_tags(world, facts)
    check_configs(world, facts)
    check_verdicts(world, facts)
    check_evidence(facts)
    check_attempts(facts)
    check_keys(world)
    check_handed_out(world, facts)
    check_mirror(facts)
    check_last_words(facts, given=world.may_own.keys())
    check_limits(facts, limits)
    check_one_in_flight(facts)


def check_origins(world: "World", facts: Facts) -> None:
    """Everything that exists was made by exactly one operation, or it is listed as nobody's."""
    for serial, item in facts.upstream.items():
        made = [row for row in facts.operations if made_something(row) and serial in row.serial_numbers]
        removed = [row for row in facts.operations if row.kind == "remove_hardware" and was_done(row, serial)]
        if serial in world.outside:
            assert not made, f"{made} claims {serial}, which was made outside"
        assert len(made) <= len(removed) + 1, f"two operations claim {serial}: {made}"
        assert not item.removed or len(made) <= len(removed), f"{serial} is gone, and no operation removed it"
        assert item.removed or len(made) > len(removed) or not made, f"{serial} is there: {facts.history(serial)}"
        if not made:
            _check_listed(world, facts, serial)
            late = (item.visible_from - item.start).total_seconds() > APPEARS_IN_TIME
            known = serial in world.outside or late or serial in world.may_own
            assert known, f"{serial} exists, and no operation knows it"
    nowhere = {serial for row in facts.operations if made_something(row) for serial in row.serial_numbers}
    assert nowhere <= facts.upstream.keys(), "an operation made what does not exist"


def _check_listed(world: "World", facts: Facts, serial: str) -> None:
    row = facts.rows.get(serial)
    assert row is not None, f"{serial} exists, and the mirror does not show it"
    told = [
        event
        for event in facts.events
        if (event.type == "entitlement.appeared" and event.subject_key == serial)
        or (event.type == "reconciliation.duplicate" and serial in event.data["entitlements"])
    ]
    assert told, f"{serial} exists, and nobody was told"
    _, tag = split_tag(facts.upstream[serial].description or "")
    if row.tenant is None and tag is not None and serial not in world.may_own:
        assert row.proposed_tenant == tag.tenant_slug, f"{serial} carries a tag of ours and proposes nobody"


def check_owners(world: "World", facts: Facts) -> None:
    """What was made belongs to who asked, or to whom the operator gave it; the rest belongs to nobody."""
    for serial, row in facts.rows.items():
        makers = [made for made in facts.operations if made_something(made) and serial in made.serial_numbers]
        asked = {slug_of(makers[-1])} if makers else {None}
        # A device that was handed over, removed and registered again was given away in an earlier life.
        allowed = world.may_own.get(serial, asked) | (asked if len(makers) > 1 else set())
        assert slug_of(row) in allowed, f"{serial} belongs to {slug_of(row)}, not to one of {allowed}"


def check_tags(world: "World", facts: Facts) -> None:
    """Upstream stands exactly the tenant that asked: for what it made, or for what it changed later."""
    operations = {row.id: row for row in facts.operations}
    for serial, item in facts.upstream.items():
        _, tag = split_tag(item.description or "")
        makers = [row for row in facts.operations if made_something(row) and serial in row.serial_numbers]
        if tag is None:
            assert item.removed or not makers or serial in world.may_own, (
                f"{serial} was never tagged: {facts.history(serial)}"
            )
            continue
        row = operations.get(tag.operation_id)
        assert row is not None, f"{serial} carries a tag that no operation knows"
        assert tag.valid, f"{serial} carries a tag that is not ours"
        assert tag.tenant_slug == slug_of(row), f"{serial} is tagged to another than asked for {row}"
        if makers and serial not in world.may_own and not item.removed:
            assert tag.tenant_slug == slug_of(makers[-1]), f"{serial} is tagged to another than the one that has it"


def check_configs(world: "World", facts: Facts) -> None:
    """Every config upstream is of exactly one operation and its tenant's, or was made outside."""
    makers = {
        row.config_id: row for row in facts.operations if row.kind == "create_config" and row.state == "succeeded"
    }
    seen: Counter[Any] = Counter()
    for config in facts.upstream_configs:
        _, operation_id = split_suffix(config.name)
        if config.id in world.made_outside:
            assert config.id not in makers, f"an operation claims config {config.id}, which was made outside"
            continue
        seen[operation_id] += 1
        row = makers.get(config.id)
        assert row is not None, f"config {config.name!r} exists, and no operation knows it"
        assert row.id == operation_id, f"config {config.name!r} carries the name of another operation than {row}"
        assert config.id in facts.configs, f"the mirror does not know config {config.id}"
        assert slug_of(facts.configs[config.id]) == slug_of(row), f"config {config.id} belongs to another than asked"
    assert set(seen.values()) <= {1}, f"a config was made twice: {seen}"
    assert set(makers) <= {config.id for config in facts.upstream_configs}, (
        "an operation made a config that is not there"
    )


def check_verdicts(world: "World", facts: Facts) -> None:
    """The journal says of every write what FortiFlex did: never "failed" of what was done, nor "succeeded" of a creation that was not."""
    for row in facts.operations:
        assert row.state in {"succeeded", "failed"}, f"{row} is still open"
        done = [call for call in facts.calls_of(row) if call.done]
        in_time = [call for call in done if not _was_late(facts, row, call.serials)]
        if row.state == "failed" and not partly(row):
            assert not in_time, f"{row} says {row.error}, and FortiFlex did it"
        elif row.state == "succeeded" and row.kind in {*CREATIONS, "create_config", "transfer"}:
            assert done, f"{row}, and FortiFlex never did it"
        assert len(in_time) <= 1, f"{row} was done {len(in_time)} times"


def _was_late(facts: Facts, row: Operation, serials: tuple[str, ...]) -> bool:
    items = [facts.upstream[serial] for serial in serials]
    return row.kind in CREATIONS and any(
        (item.visible_from - item.start).total_seconds() > APPEARS_IN_TIME for item in items
    )


def check_evidence(facts: Facts) -> None:
    """What was unknown was settled by an answer, by what was seen upstream, or by a person; nothing is sent again before that."""
    for row in facts.operations:
        attempts = facts.attempts.get(row.id, ())
        for attempt, following in zip_longest(attempts, attempts[1:]):
            if attempt.outcome in NOT_DONE:
                continue
            until = following.sent_at if following is not None else clock.now()
            seen = [e for e in row.evidence if attempt.sent_at <= datetime.fromisoformat(e["at"]) <= until]
            absent = [e for e in seen if e.get("verdict") == "absent"]
            words = [e for e in seen if "resolved_by" in e]
            if following is not None:
                proven = len(absent) >= 2 or any(not word["done"] for word in words)
                assert proven, f"{row}: attempt {attempt.number} ({attempt.outcome!r}) was repeated without evidence"
            elif attempt.outcome == "answered" and not any("unknown_because" in e for e in seen):
                continue  # FortiFlex said so itself
            else:
                verdicts = {e["verdict"] for e in seen if "verdict" in e}
                needed = {"done"} if row.state == "succeeded" else {"absent", "partly"}
                assert words or verdicts & needed, f"{row} was settled without evidence: {row.evidence}"


def check_attempts(facts: Facts) -> None:
    """Every write that came to FortiFlex was journaled before, as it came, and came once."""
    kinds = {row.id: row.kind for row in facts.operations}
    times: Counter[Any] = Counter()
    for call, attempt in facts.writes():
        assert attempt is not None, f"{call.path} was sent, and the journal does not know it"
        assert PATHS[kinds[attempt.operation_id]] == call.path, f"{call.path} was sent as {kinds[attempt.operation_id]}"
        times[attempt.id] += 1
        assert times[attempt.id] == 1, f"attempt {attempt} was sent twice"
        if attempt.tag and "description" in call.body and kinds[attempt.operation_id] in CREATIONS:
            assert call.body["description"].endswith(attempt.tag), f"{attempt} was sent with another tag"


def check_keys(world: "World") -> None:
    """One Idempotency-Key, one creation: by what its operation says, for what was handed over since is in no later answer."""
    made: dict[tuple[str, str, str], set[str]] = {}
    for wish, _, answer in world.answers:
        if wish.key and answer is not None and answer["status"] == 201:
            told = answer["body"]["operation"]
            shown = ",".join(told["entitlements"]) or str(told["config"])
            made.setdefault((wish.slug, wish.key, wish.verb), set()).add(shown)
    assert all(len(found) == 1 for found in made.values()), f"one key led to several creations: {made}"


def check_handed_out(world: "World", facts: Facts) -> None:
    """What a drop-in create was told of, no other one was, and it exists."""
    told: list[str] = []
    for _, request, answer in world.answers:
        if (
            request.drop_in
            and request.upstream.endswith("create")
            and answer is not None
            and answer["body"]["status"] == 0
        ):
            told += [item["serialNumber"] for item in answer["body"]["entitlements"]]
    assert len(told) == len(set(told)), f"handed out twice: {[serial for serial in told if told.count(serial) > 1]}"
    assert set(told) <= facts.upstream.keys()


def check_mirror(facts: Facts) -> None:
    """After a complete pass the mirror shows what is."""
    for serial, item in facts.upstream.items():
        row = facts.rows[serial]
        assert (row.vanished_at is not None) == item.removed, f"{serial}: gone or not?"
        if not item.removed:
            shown = (row.status, row.config_id, row.account_id, row.upstream_description, row.token)
            is_so = (item.now.status, item.now.config_id, item.now.account_id, item.description or "", item.token or "")
            assert shown == is_so, f"the mirror shows {serial} as {shown}, and it is {is_so}"


def check_limits(facts: Facts, limits: Mapping[str, int]) -> None:
    # The first is the login that proves the password: there is no API user yet that it could count for.
    calls = sorted((call for call in facts.calls[1:] if call.status != "refuse"), key=lambda call: call.at)
    logins = {"oauth/token"}
    errors = [call for call in calls if call.status not in HARMLESS and call.path not in logins]
    errors = [call for call in errors if not was_token_refused(call)]
    for name, found, seconds in (
        ("per_minute", calls, 60),
        ("per_hour", calls, 3600),
        ("errors_per_hour", errors, 3600),
    ):
        times = [call.at for call in found]
        for index, at in enumerate(times):
            inside = sum(1 for other in times[index:] if (other - at).total_seconds() < seconds)
            which = Counter((call.path, call.status) for call in found[index : index + inside])
            assert inside <= limits[name], f"{inside} in {seconds} s, and {name} is {limits[name]}: {which}"


def check_one_in_flight(facts: Facts) -> None:
    """Of one API user's calls the next begins when the one before is over."""
    calls = sorted(facts.calls, key=lambda call: call.began_at)
    for call, following in pairwise(calls):
        assert call.ended_at is not None, f"{call.path} never ended"
        assert call.ended_at <= following.began_at, f"{following.path} began while {call.path} was under way"


def made_something(row: Operation) -> bool:
    return row.kind in CREATIONS and (row.state == "succeeded" or (row.error or {}).get("code") == "partly_created")


def was_done(row: Operation, serial: str) -> bool:
    return serial in row.serial_numbers and (row.state == "succeeded" or partly(row))


def partly(row: Operation) -> bool:
    return (row.error or {}).get("code") in {"partly_created", "partly_done"}
