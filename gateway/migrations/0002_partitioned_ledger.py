"""The ledger, partitioned by month of billing day. The ORM can't declare partitions, so the table is made here in SQL.

The gateway's role owns nothing and so can't create a partition; `flexgate_ensure_ledger_month` does it with the owner's right and no other.
"""

import django.db.models.deletion
from django.db import migrations, models

TABLE = """
CREATE TABLE gateway_ledgerentry (
    day date NOT NULL,
    serial_number varchar(40) NOT NULL,
    program_serial varchar(32) NOT NULL,
    account_id bigint NOT NULL,
    points numeric(12, 4) NOT NULL,
    tenant_id uuid NULL REFERENCES tenants_tenant (id) DEFERRABLE INITIALLY DEFERRED,
    fetch_id uuid NOT NULL REFERENCES gateway_pointsfetch (id) DEFERRABLE INITIALLY DEFERRED,
    PRIMARY KEY (day, serial_number, program_serial)
) PARTITION BY RANGE (day);
CREATE INDEX ledger_by_tenant_and_day ON gateway_ledgerentry (tenant_id, day, serial_number);
CREATE INDEX ledger_by_serial_and_day ON gateway_ledgerentry (serial_number, day);
CREATE INDEX ledger_by_fetch ON gateway_ledgerentry (fetch_id);
"""

FUNCTION = """
CREATE FUNCTION flexgate_ensure_ledger_month(month date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_day date := date_trunc('month', month)::date;
    partition text := 'gateway_ledgerentry_' || to_char(first_day, 'YYYY_MM');
BEGIN
    IF month IS NULL OR first_day < DATE '2019-01-01' OR first_day > (now() + interval '3 years')::date THEN
        RAISE EXCEPTION 'no ledger partition for %', month;
    END IF;
    IF to_regclass('public.' || partition) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(7019335);
    EXECUTE format(
        'CREATE TABLE IF NOT EXISTS public.%I PARTITION OF public.gateway_ledgerentry FOR VALUES FROM (%L) TO (%L)',
        partition, first_day, (first_day + interval '1 month')::date
    );
END $$;
REVOKE ALL ON FUNCTION flexgate_ensure_ledger_month(date) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION flexgate_ensure_ledger_month(date) TO flexgate_operator;
"""

# Half a year back and two years on, so that a running gateway seldom needs the lock that a new partition takes.
FIRST_PARTITIONS = """
SELECT flexgate_ensure_ledger_month((date_trunc('month', now()) + make_interval(months => n))::date) FROM generate_series(-6, 24) AS n;
"""


class Migration(migrations.Migration):
    dependencies = [("gateway", "0001_initial")]

    operations = [
        migrations.SeparateDatabaseAndState(
            database_operations=[
                migrations.RunSQL(TABLE, "DROP TABLE gateway_ledgerentry"),
                migrations.RunSQL(FUNCTION, "DROP FUNCTION flexgate_ensure_ledger_month(date)"),
                migrations.RunSQL(FIRST_PARTITIONS, migrations.RunSQL.noop),
            ],
            state_operations=[
                migrations.CreateModel(
                    name="LedgerEntry",
                    fields=[
                        (
                            "pk",
                            models.CompositePrimaryKey(
                                "day",
                                "serial_number",
                                "program_serial",
                                blank=True,
                                editable=False,
                                primary_key=True,
                                serialize=False,
                            ),
                        ),
                        ("day", models.DateField()),
                        ("serial_number", models.CharField(max_length=40)),
                        ("program_serial", models.CharField(max_length=32)),
                        ("account_id", models.BigIntegerField()),
                        ("points", models.DecimalField(decimal_places=4, max_digits=12)),
                        (
                            "tenant",
                            models.ForeignKey(
                                null=True,
                                on_delete=django.db.models.deletion.PROTECT,
                                related_name="+",
                                to="tenants.tenant",
                            ),
                        ),
                        (
                            "fetch",
                            models.ForeignKey(
                                on_delete=django.db.models.deletion.PROTECT, related_name="+", to="gateway.pointsfetch"
                            ),
                        ),
                    ],
                ),
                migrations.AddIndex(
                    model_name="ledgerentry",
                    index=models.Index(fields=["tenant", "day", "serial_number"], name="ledger_by_tenant_and_day"),
                ),
                migrations.AddIndex(
                    model_name="ledgerentry",
                    index=models.Index(fields=["serial_number", "day"], name="ledger_by_serial_and_day"),
                ),
            ],
        ),
    ]
