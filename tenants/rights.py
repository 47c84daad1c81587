"""Which role may do what with the ground floor's tables, and with those of Django's own apps that staff sign in with."""

from tenants.rls import ASKING_ID, owned_by, register_table

APPEND = "SELECT, INSERT"
READ_WRITE = "SELECT, INSERT, UPDATE"
READABLE_COLUMNS = (
    "id, tenant_id, name, scopes, allowed_ips, ancestors, family, narrowed, created_at, created_by, expires_at, revoked_at, "
    "last_used_at, last_used_from"
)
# A narrowed token knows itself and what it made.
TOKEN_REACH = f"id = {ASKING_ID} OR {ASKING_ID} = ANY(ancestors)"
EVERYTHING = "SELECT, INSERT, UPDATE, DELETE"


def register_tables() -> None:
    """Declare the rights of every table of this app, and of staff's sign-in."""
    register_table(
        "tenants_tenant",
        tenant="SELECT",
        operator=READ_WRITE,
        auth="SELECT",
        tenant_rule=owned_by("id"),
        narrowed="true",
    )
    register_table(
        "tenants_token",
        tenant=f"SELECT ({READABLE_COLUMNS}), INSERT, UPDATE (revoked_at, expires_at)",
        operator=READ_WRITE,
        # A hash made with an older pepper is renewed by whoever shows its secret.
        auth="SELECT, UPDATE (last_used_at, last_used_from, secret_hash, pepper)",
        tenant_rule=owned_by(),
        narrowed=TOKEN_REACH,
    )
    register_table(
        "tenants_tokenreach",
        tenant=APPEND,
        operator=APPEND,
        auth="SELECT",
        tenant_rule=owned_by(),
        narrowed="EXISTS (SELECT 1 FROM tenants_token t WHERE t.id = token_id)",
    )
    # No tenant's role has a right on it: what a session may do is its token's.
    register_table(
        "tenants_sessiontoken", operator="SELECT, DELETE", auth="SELECT, INSERT, UPDATE (renewed_at, ended_at)"
    )
    # Append-only by privilege: nobody at run time may change or remove what was written down. Triggers say the same to the owner.
    for table in ("tenants_auditentry", "tenants_event"):
        register_table(table, tenant=APPEND, operator=APPEND, tenant_rule=owned_by())
    for table in ("tenants_auditseal", "tenants_eventposition", "tenants_audithead"):
        register_table(table, tenant="SELECT", operator=APPEND, tenant_rule=owned_by())
    register_table("tenants_unsealed", operator="SELECT, DELETE")  # written by a trigger
    # Written with what the key made, by whoever made it; forgotten by the gateway. A narrowed token finds the keys that itself used.
    register_table(
        "tenants_usedkey",
        tenant=APPEND,
        operator="SELECT, INSERT, DELETE",
        tenant_rule=owned_by(),
        narrowed=f"asked_with = {ASKING_ID}",
    )
    register_table("tenants_lease", operator=EVERYTHING)
    register_table("tenants_ratebucket", operator=EVERYTHING, auth=EVERYTHING)
    _register_sign_in()


def _register_sign_in() -> None:
    """Users, groups, sessions and second factors: looked at by the authenticator, kept by the operator, never seen by a tenant's role."""
    for table in ("tenants_tenantusergrant", "tenants_tenantgroupgrant"):
        register_table(table, operator=EVERYTHING, auth="SELECT")
    for table in ("auth_group", "auth_user_groups", "auth_group_permissions", "auth_user_user_permissions"):
        register_table(table, operator=EVERYTHING, auth="SELECT")
    for table in ("auth_permission", "django_content_type"):
        register_table(
            table, tenant="SELECT" if table == "django_content_type" else "", operator="SELECT", auth="SELECT"
        )
    register_table("auth_user", operator=EVERYTHING, auth="SELECT, UPDATE (last_login, password)")
    register_table("django_session", operator=EVERYTHING, auth=EVERYTHING)
    register_table("django_admin_log", operator=APPEND)
    for table in (
        "guardian_userobjectpermission",
        "guardian_groupobjectpermission",
    ):  # guardian's own, unused: deletions look there
        register_table(table, operator="SELECT, DELETE")
    register_table("otp_totp_totpdevice", operator=EVERYTHING, auth="SELECT, UPDATE")
    register_table("otp_static_staticdevice", operator=EVERYTHING, auth="SELECT, UPDATE")
    register_table("otp_static_statictoken", operator=EVERYTHING, auth="SELECT, DELETE")
