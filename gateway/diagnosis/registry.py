"""Every finding that a diagnosis can have: the one table. docs/diagnosis.md tells the same, and a test compares."""

from gateway.diagnosis import configs, licence, life, limits, owners, points, upstream, writes
from gateway.diagnosis.rule import Rule, Severity

PROBLEM, WARNING, NOTICE = Severity.PROBLEM, Severity.WARNING, Severity.NOTICE
OPERATIONS, POINTS = "operations:read", "consumption:read"

RULES = (
    # Can FortiFlex be asked, and is what we show still so?
    Rule(
        "account_unreachable",
        PROBLEM,
        "No enabled API user reads its account: nothing can be changed.",
        upstream.find_unreachable,
    ),
    Rule("vanished", PROBLEM, "FortiFlex no longer lists it.", upstream.find_vanished),
    Rule("missed", WARNING, "The last list lacks it: it has moved or vanished.", upstream.find_missed),
    Rule("gate_closed", WARNING, "No write is sent to FortiFlex for a while.", upstream.find_closed_gate),
    Rule("mirror_refused", WARNING, "FortiFlex would not list its account lately.", upstream.find_refused_pass),
    Rule("mirror_old", WARNING, "What is shown is older than it should be.", upstream.find_old_mirror),
    # Its life.
    Rule("expired", PROBLEM, "It is expired for good.", life.find_expired),
    Rule("grace_period", PROBLEM, "It runs on in its program's grace period.", life.find_grace_period),
    Rule("program_ended", PROBLEM, "Its program has ended.", life.find_ended_program),
    Rule(
        "program_without_points",
        PROBLEM,
        "Its prepaid program has no points left.",
        life.find_program_without_points,
        operators_only=True,
    ),
    Rule("stopped", WARNING, "It is stopped, since the day that it says.", life.find_stopped),
    Rule("end_passed", WARNING, "Its end date has passed and it is not expired.", life.find_passed_end),
    Rule("ends_soon", WARNING, "It ends within 30 days.", life.find_near_end),
    Rule("program_ends_first", WARNING, "Its program ends before it does.", life.find_program_that_ends_first),
    Rule(
        "changed_outside",
        WARNING,
        "It is not as the last change that was done asked for.",
        life.find_changed_outside,
        scope=OPERATIONS,
    ),
    Rule("never_activated", NOTICE, "It is pending and costs nothing.", life.find_never_activated),
    # Its licence token.
    Rule(
        "token_unused_but_charged",
        WARNING,
        "It is active and charged, and its licence token is unused.",
        licence.find_unused_and_charged,
    ),
    Rule(
        "token_void_at_hand_over",
        WARNING,
        "Its unused licence token is renewed when it changes hands.",
        licence.find_token_void_at_hand_over,
    ),
    Rule(
        "token_being_renewed",
        NOTICE,
        "A new licence token is on its way.",
        licence.find_token_under_renewal,
        scope=OPERATIONS,
    ),
    Rule("token_used", NOTICE, "Its licence token activates no other machine.", licence.find_used_token),
    # What was asked for.
    Rule(
        "operation_for_a_person",
        PROBLEM,
        "Whether a change was done only a person can find out.",
        writes.find_one_for_a_person,
        scope=OPERATIONS,
        for_past_owners=True,
    ),
    Rule(
        "operation_failed",
        PROBLEM,
        "The last change was not done.",
        writes.find_failed,
        scope=OPERATIONS,
        for_past_owners=True,
    ),
    Rule(
        "operation_unknown",
        WARNING,
        "Whether a change was done is not known yet.",
        writes.find_unknown,
        scope=OPERATIONS,
        for_past_owners=True,
    ),
    Rule(
        "operation_sent",
        NOTICE,
        "FortiFlex is being asked right now.",
        writes.find_sent,
        scope=OPERATIONS,
        for_past_owners=True,
    ),
    Rule(
        "operation_planned",
        NOTICE,
        "A change waits to be sent.",
        writes.find_planned,
        scope=OPERATIONS,
        for_past_owners=True,
    ),
    # Its configuration.
    Rule("config_disabled", PROBLEM, "Its configuration is disabled.", configs.find_disabled_config),
    Rule("config_vanished", WARNING, "FortiFlex no longer lists its configuration.", configs.find_vanished_config),
    Rule("config_changing", NOTICE, "Its configuration is being changed.", configs.find_changing_config),
    Rule("config_managed", NOTICE, "Its configuration is the operator's to change.", configs.find_managed_config),
    Rule(
        "config_shared",
        NOTICE,
        "More than one owner stands under its configuration.",
        configs.find_shared_config,
        operators_only=True,
    ),
    # Whose it is.
    Rule("unassigned", WARNING, "Nobody owns it.", owners.find_unassigned, operators_only=True),
    Rule("owner_suspended", WARNING, "Its owner is suspended.", owners.find_suspended_owner, operators_only=True),
    Rule("changes_hands", WARNING, "From a day on it is another's.", owners.find_change_of_hands),
    Rule(
        "tag_of_another",
        WARNING,
        "Its tag upstream names another than its owner.",
        owners.find_tag_of_another,
        operators_only=True,
    ),
    Rule("tag_missing", NOTICE, "Its description upstream has no tag.", owners.find_missing_tag, operators_only=True),
    Rule("owner_proposed", NOTICE, "Its tag proposes an owner.", owners.find_proposed_owner, operators_only=True),
    Rule(
        "handed_over",
        NOTICE,
        "It was the caller's once, and is not any more.",
        owners.find_handed_over,
        for_past_owners=True,
    ),
    # What it consumed on the caller's own days of the last week.
    Rule(
        "calibration_contradictory",
        PROBLEM,
        "Whether the last day of a range counts is contradictory: billing stops.",
        points.find_contradictory_calibration,
        scope=POINTS,
        operators_only=True,
    ),
    Rule("points_missing", WARNING, "Days were not fetched.", points.find_missing_days, scope=POINTS),
    Rule("points_uncalibrated", WARNING, "Days are not proven.", points.find_uncalibrated_days, scope=POINTS),
    Rule("points_in_conflict", WARNING, "Days are contradictory.", points.find_conflicting_days, scope=POINTS),
    Rule("points_absent", WARNING, "It is active and was not charged.", points.find_no_points, scope=POINTS),
    Rule(
        "points_though_stopped",
        WARNING,
        "It was charged on days after its stop.",
        points.find_points_though_stopped,
        scope=POINTS,
    ),
    Rule(
        "points_differ",
        WARNING,
        "It was charged otherwise than its configuration costs.",
        points.find_other_points,
        scope=POINTS,
    ),
    # What its owner may still have.
    Rule(
        "entitlements_limit_reached",
        WARNING,
        "Its owner may have no more running entitlements.",
        limits.find_used_up_entitlements,
    ),
    Rule(
        "points_limit_reached",
        WARNING,
        "Its owner may have no more points a day.",
        limits.find_used_up_points,
        scope=POINTS,
    ),
    Rule("errors_used_up", WARNING, "Its owner's writes are refused for a while.", limits.find_used_up_errors),
)
CODES = tuple(rule.code for rule in RULES)
