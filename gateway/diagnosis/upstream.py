"""Is what we show still so, and can FortiFlex be asked: the mirror, the API user and its gate."""

from datetime import timedelta

from gateway.diagnosis.facts import Facts, Reader, Told

# A pass begins every quarter of an hour; three may fail before somebody should look.
EXPECTED_AGE = timedelta(minutes=45)
BACKGROUND_SHARE = 5 / 3  # a pass has three fifths of the calls (gate.limits), so a big estate is read more slowly


def find_unreachable(facts: Facts) -> Told | None:
    reader = facts.standing.reader
    if reader is not None and reader.enabled:
        return None
    if not facts.sees_all:
        return Told("Nothing can be changed about it at the moment: ask your operator to look at the way to FortiFlex.")
    entitlement = facts.entitlement
    details = {
        "program": entitlement.program_id,
        "account_id": entitlement.account_id,
        "api_user": reader.name if reader else None,
    }
    return Told("No enabled API user reads its account: enable it, or let another read the account.", details=details)


def find_closed_gate(facts: Facts) -> Told | None:
    reader = facts.standing.reader
    if reader is None or reader.closed_until is None or reader.closed_until <= facts.now:
        return None
    if not facts.sees_all:
        return Told(
            "FortiFlex takes no changes right now. Ask for them later; what is asked for without waiting is kept."
        )
    kind, _, reason = reader.closed_reason.partition(": ")
    what = "Enter the API user's password again." if kind == "login" else "It opens by itself; until then writes wait."
    details = {"api_user": reader.name, "until": reader.closed_until, "reason": reason or kind}
    return Told(f"The gate to FortiFlex is shut. {what}", details=details)


def find_refused_pass(facts: Facts) -> Told | None:
    refusals = facts.standing.refusals
    if not refusals:
        return None
    if not facts.sees_all:
        return Told(
            "FortiFlex would not list this account lately, so what is shown may be old; your operator can see why.",
            since=refusals[0].refused_at,
        )
    names = ("call", "reason", "times", "ask_again_at")
    told = [{name: getattr(refusal, name) for name in names} for refusal in refusals]
    message = "FortiFlex refuses what the mirror needs to be read: see its reason, then sync again."
    return Told(message, since=refusals[0].refused_at, details={"refusals": told})


def find_old_mirror(facts: Facts) -> Told | None:
    synced_at, reader = facts.standing.mirrored_at, facts.standing.reader
    if synced_at is not None and facts.now - synced_at <= expected_age(reader):
        return None
    if synced_at is None:
        return Told("Its account was never read as a whole: what is shown is what the last write answered. Sync it.")
    what = "run a sync and see what stops it" if facts.sees_all else "ask your operator for a sync"
    return Told(f"What is shown is older than it should be: {what} before you rely on it.", since=synced_at)


def find_vanished(facts: Facts) -> Told | None:
    gone = facts.entitlement.vanished_at
    if gone is None:
        return None
    return Told(
        "FortiFlex no longer lists it, so nothing can be done with it and it consumes nothing we know of. "
        + ("Look in the portal whether it was removed." if facts.sees_all else "Ask your operator where it went."),
        since=gone,
    )


def find_missed(facts: Facts) -> Told | None:
    entitlement = facts.entitlement
    if entitlement.missed_at is None or entitlement.vanished_at is not None:
        return None
    return Told(
        "The last list of its account lacks it: it has moved or vanished. Wait for the next passes, which tell.",
        since=entitlement.missed_at,
    )


def expected_age(reader: Reader | None) -> timedelta:
    """How old the mirror of one of its accounts may be before somebody should look."""
    if reader is None:
        return EXPECTED_AGE
    return EXPECTED_AGE + timedelta(hours=BACKGROUND_SHARE * reader.accounts / reader.calls_per_hour)
