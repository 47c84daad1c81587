"""A call or an attempt is written twice a write: without look-ups and indexes that nobody asks by. The stored days are asked for by day alone."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0010_one_index_for_each_question"),
        ("tenants", "0006_found_by_tenant_and_id"),
    ]

    operations = [
        migrations.RemoveIndex(
            model_name="upstreamcall",
            name="calls_of_a_tenant",
        ),
        migrations.AlterField(
            model_name="attempt",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AlterField(
            model_name="operation",
            name="api_user",
            field=models.ForeignKey(
                db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="gateway.apiuser"
            ),
        ),
        migrations.AlterField(
            model_name="upstreamcall",
            name="api_user",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="gateway.apiuser",
            ),
        ),
        migrations.AlterField(
            model_name="upstreamcall",
            name="tenant",
            field=models.ForeignKey(
                db_constraint=False,
                db_index=False,
                null=True,
                on_delete=django.db.models.deletion.CASCADE,
                related_name="+",
                to="tenants.tenant",
            ),
        ),
        migrations.AddIndex(
            model_name="accountday",
            index=models.Index(fields=["day"], name="account_days_by_day"),
        ),
        migrations.AddIndex(
            model_name="upstreamcall",
            index=models.Index(
                condition=models.Q(("failed", True)),
                fields=["api_user", "tenant", "at"],
                name="failed_calls_of_a_tenant",
            ),
        ),
    ]
