"""Which role may do what with the gateway's tables, and whose a row is (see tenants.rls)."""

from tenants.rls import CONFIG_LIST, NOBODYS, SERIAL_LIST, TENANT_LIST, owned_by, register_table

READ_WRITE = "SELECT, INSERT, UPDATE"

NAMED = f"serial_number = ANY({SERIAL_LIST}) OR config_id = ANY({CONFIG_LIST})"


def of_serial(table: str) -> str:
    """Rows about a serial: a narrowed token sees those of the serials named, and of what stands under its configs today."""
    return f"""serial_number = ANY({SERIAL_LIST}) OR EXISTS (
        SELECT 1 FROM gateway_entitlement e WHERE e.serial_number = {table}.serial_number AND e.config_id = ANY({CONFIG_LIST})
    )"""


# A config is visible to its tenant, to those it is offered to, and to those who own an entitlement of it.
CONFIG_RULE = f"""(
    tenant_id = ANY({TENANT_LIST})
    OR EXISTS (SELECT 1 FROM gateway_configoffer o WHERE o.config_id = gateway_config.id AND o.tenant_id = ANY({TENANT_LIST}))
    OR EXISTS (SELECT 1 FROM gateway_entitlement e WHERE e.config_id = gateway_config.id AND e.tenant_id = ANY({TENANT_LIST}))
)"""
# The product of an entitlement that a narrowed token sees stands in its config's row.
CONFIG_NAMED = (
    f"id = ANY({CONFIG_LIST}) OR EXISTS (SELECT 1 FROM gateway_entitlement e WHERE e.config_id = gateway_config.id)"
)
# A write is a narrowed token's if all its serials are, or if its config is.
OPERATION_NAMED = f"""config_id = ANY({CONFIG_LIST})
    OR (serial_numbers <> '{{}}' AND serial_numbers::text[] <@ {SERIAL_LIST})"""
# Whoever plans a write for itself plans it about what it sees; the same is asked again when it is sent.
OPERATION_CHECK = f"""{owned_by()} AND CASE
    WHEN kind LIKE 'create_%' THEN true
    WHEN kind IN ('update_config', 'enable_config', 'disable_config') THEN EXISTS (
        SELECT 1 FROM gateway_config c WHERE c.id = config_id AND c.tenant_id = ANY({TENANT_LIST}))
    ELSE serial_numbers <> '{{}}' AND NOT EXISTS (SELECT 1 FROM unnest(serial_numbers) AS named (serial) WHERE NOT EXISTS (
        SELECT 1 FROM gateway_entitlement e WHERE e.serial_number = named.serial AND e.tenant_id = ANY({TENANT_LIST})))
END"""
# A placement belongs to the serial; a tenant sees the part that overlaps its own days.
PLACEMENT_RULE = f"""EXISTS (
    SELECT 1 FROM gateway_assignment a
    WHERE a.serial_number = gateway_placement.serial_number AND a.tenant_id = ANY({TENANT_LIST})
      AND daterange(a.from_day, a.until_day) && daterange(gateway_placement.from_day, gateway_placement.until_day)
)"""
# A tenant sees how fresh the accounts are in which it owns something, and no other account.
ACCOUNT_RULE = f"""EXISTS (
    SELECT 1 FROM gateway_entitlement e
    WHERE e.program_id = gateway_programaccount.program_id AND e.account_id = gateway_programaccount.account_id
      AND e.tenant_id = ANY({TENANT_LIST})
)"""


def register_tables() -> None:
    """Declare the rights of every table of this app."""
    # Credentials: a tenant's role has no right on these tables at all.
    register_table("gateway_apiuser", operator=READ_WRITE + ", DELETE", tenant_rule=NOBODYS)
    register_table("gateway_upstreamlane", operator=READ_WRITE + ", DELETE")
    register_table("gateway_upstreamcall", operator=READ_WRITE + ", DELETE", tenant_rule=NOBODYS)
    register_table("gateway_upstreamturn", operator=READ_WRITE + ", DELETE", tenant_rule=NOBODYS)
    register_table("gateway_program", operator=READ_WRITE)
    register_table(
        "gateway_programaccount",
        tenant="SELECT (program_id, account_id, mirrored_at)",
        operator=READ_WRITE,
        tenant_rule=ACCOUNT_RULE,
        narrowed="true",
    )
    register_table("gateway_productcatalogue", tenant="SELECT", operator=READ_WRITE)
    register_table(
        "gateway_config", tenant="SELECT", operator=READ_WRITE, tenant_rule=CONFIG_RULE, narrowed=CONFIG_NAMED
    )
    register_table(
        "gateway_configoffer",
        tenant="SELECT",
        operator=READ_WRITE + ", DELETE",
        tenant_rule=owned_by(),
        narrowed=f"config_id = ANY({CONFIG_LIST})",
    )
    register_table(
        "gateway_entitlement",
        tenant="SELECT, UPDATE (labels)",
        operator=READ_WRITE,
        tenant_rule=owned_by(),
        narrowed=NAMED,
    )
    register_table(
        "gateway_assignment",
        tenant="SELECT, UPDATE (labels)",
        operator=READ_WRITE + ", DELETE",
        tenant_rule=owned_by(),
        narrowed=of_serial("gateway_assignment"),
    )
    # How the operator tells its customers apart is no customer's matter.
    register_table("gateway_assignmentrule", operator=READ_WRITE + ", DELETE", tenant_rule=NOBODYS)
    register_table(
        "gateway_placement",
        tenant="SELECT",
        operator=READ_WRITE + ", DELETE",
        tenant_rule=PLACEMENT_RULE,
        narrowed="true",
    )
    # A tenant's own request writes its journal row; what came of it is written by the gateway.
    register_table(
        "gateway_operation",
        tenant="SELECT, INSERT",
        operator=READ_WRITE,
        tenant_rule=owned_by(),
        narrowed=OPERATION_NAMED,
        tenant_check=OPERATION_CHECK,
    )
    register_table(
        "gateway_attempt",
        tenant="SELECT",
        operator=READ_WRITE,
        tenant_rule=owned_by(),
        narrowed="EXISTS (SELECT 1 FROM gateway_operation o WHERE o.id = operation_id)",
    )
    register_table("gateway_pointsfetch", operator="SELECT, INSERT")
    register_table("gateway_accountday", operator=READ_WRITE)
    register_table(
        "gateway_ledgerentry",
        tenant="SELECT",
        operator=READ_WRITE,
        tenant_rule=owned_by(),
        narrowed=of_serial("gateway_ledgerentry"),
    )
    register_table(
        "gateway_ledgercorrection",
        tenant="SELECT",
        operator="SELECT, INSERT",
        tenant_rule=owned_by(),
        narrowed=of_serial("gateway_ledgercorrection"),
    )
    register_table("gateway_enddatecalibration", operator="SELECT, INSERT")
