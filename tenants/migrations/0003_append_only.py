"""Records are append-only for everybody, queue themselves for the sealer, and rate buckets live in an unlogged table."""

from django.db import migrations

RECORDS = {"tenants_auditentry": "audit", "tenants_event": "event"}
APPEND_ONLY = [*RECORDS, "tenants_auditseal", "tenants_audithead", "tenants_eventposition"]

# SECURITY DEFINER: whoever writes a record queues it, without a right on the queue. The fixed search_path keeps others' functions out.
QUEUE = """
CREATE FUNCTION flexgate_queue_for_sealing() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO public.tenants_unsealed (subject_id, kind) SELECT id, TG_ARGV[0] FROM written;
    RETURN NULL;
END $$;
REVOKE ALL ON FUNCTION flexgate_queue_for_sealing() FROM PUBLIC;

CREATE FUNCTION flexgate_refuse_change() RETURNS trigger LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
"""
DROP = "DROP FUNCTION flexgate_queue_for_sealing() CASCADE; DROP FUNCTION flexgate_refuse_change() CASCADE;"

TRIGGERS = "\n".join(
    [
        f"""CREATE TRIGGER queued_for_sealing AFTER INSERT ON {table} REFERENCING NEW TABLE AS written
            FOR EACH STATEMENT EXECUTE FUNCTION flexgate_queue_for_sealing('{kind}');
        INSERT INTO tenants_unsealed (subject_id, kind) SELECT id, '{kind}' FROM {table};"""
        for table, kind in RECORDS.items()
    ]
    + [
        f"""CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON {table}
            FOR EACH ROW EXECUTE FUNCTION flexgate_refuse_change();
        CREATE TRIGGER never_emptied BEFORE TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION flexgate_refuse_change();"""
        for table in APPEND_ONLY
    ]
)


class Migration(migrations.Migration):
    dependencies = [("tenants", "0002_walls")]

    operations = [
        migrations.RunSQL(QUEUE, DROP),
        migrations.RunSQL(TRIGGERS, migrations.RunSQL.noop),
        # What a token reaches is written by its own tenant alone: the pair must exist together.
        migrations.RunSQL(
            """ALTER TABLE tenants_token ADD CONSTRAINT token_and_tenant UNIQUE (id, tenant_id);
            ALTER TABLE tenants_tokenreach ADD CONSTRAINT reach_is_of_its_tokens_tenant
                FOREIGN KEY (token_id, tenant_id) REFERENCES tenants_token (id, tenant_id) DEFERRABLE INITIALLY DEFERRED;""",
            """ALTER TABLE tenants_tokenreach DROP CONSTRAINT reach_is_of_its_tokens_tenant;
            ALTER TABLE tenants_token DROP CONSTRAINT token_and_tenant;""",
        ),
        # Rows that are rewritten at every request: no write-ahead log, and room in each page to rewrite in place.
        migrations.RunSQL(
            "ALTER TABLE tenants_ratebucket SET UNLOGGED; ALTER TABLE tenants_ratebucket SET (fillfactor = 50);",
            "ALTER TABLE tenants_ratebucket SET LOGGED;",
        ),
    ]
