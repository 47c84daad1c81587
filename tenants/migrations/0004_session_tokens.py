"""Short-lived access tokens of clients that log in before they call."""

import django.db.models.deletion
from django.db import migrations, models

import tenants.clock
import tenants.ids


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0003_append_only"),
    ]

    operations = [
        migrations.CreateModel(
            name="SessionToken",
            fields=[
                ("id", models.UUIDField(default=tenants.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("access_hash", models.BinaryField(unique=True)),
                ("access_expires_at", models.DateTimeField()),
                ("refresh_hash", models.BinaryField(unique=True)),
                ("refresh_expires_at", models.DateTimeField()),
                ("created_at", models.DateTimeField(default=tenants.clock.now)),
                ("renewed_at", models.DateTimeField(null=True)),
                ("ended_at", models.DateTimeField(null=True)),
                (
                    "token",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="sessions", to="tenants.token"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["refresh_expires_at"], name="session_tokens_to_forget")],
            },
        ),
    ]
