"""What requests with an Idempotency-Key led to, for all that is no operation."""

import django.db.models.deletion
from django.db import migrations, models

import tenants.clock
import tenants.ids


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0006_found_by_tenant_and_id"),
    ]

    operations = [
        migrations.CreateModel(
            name="UsedKey",
            fields=[
                ("id", models.UUIDField(default=tenants.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("key", models.CharField(max_length=64)),
                ("fingerprint", models.BinaryField()),
                ("subject_type", models.CharField(max_length=40)),
                ("subject_key", models.CharField(max_length=100)),
                ("asked_with", models.UUIDField(null=True)),
                ("created_at", models.DateTimeField(default=tenants.clock.now)),
                (
                    "tenant",
                    models.ForeignKey(
                        db_index=False,
                        null=True,
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="+",
                        to="tenants.tenant",
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["created_at"], name="used_keys_to_forget")],
                "constraints": [
                    models.UniqueConstraint(
                        fields=("tenant", "key"), name="one_thing_per_tenant_and_idempotency_key", nulls_distinct=False
                    )
                ],
            },
        ),
    ]
