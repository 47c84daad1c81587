import django.db.models.deletion
from django.db import migrations, models

import tenants.clock
import tenants.ids


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0005_queue_and_repeats"),
        ("tenants", "0003_append_only"),
    ]

    operations = [
        migrations.AddField(
            model_name="apiuser",
            name="tags_follow",
            field=models.BooleanField(default=False),
        ),
        migrations.CreateModel(
            name="AssignmentRule",
            fields=[
                ("id", models.UUIDField(default=tenants.ids.new_id, editable=False, primary_key=True, serialize=False)),
                ("name", models.CharField(max_length=100)),
                ("priority", models.IntegerField(default=100)),
                ("account_id", models.BigIntegerField(null=True)),
                ("config_name", models.CharField(blank=True, default="", max_length=200)),
                ("folder_path", models.CharField(blank=True, default="", max_length=300)),
                ("description", models.CharField(blank=True, default="", max_length=200)),
                ("enabled", models.BooleanField(default=True)),
                ("created_by", models.CharField(max_length=100)),
                ("created_at", models.DateTimeField(default=tenants.clock.now)),
                (
                    "config",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="gateway.config"
                    ),
                ),
                (
                    "program",
                    models.ForeignKey(
                        null=True, on_delete=django.db.models.deletion.PROTECT, related_name="+", to="gateway.program"
                    ),
                ),
                (
                    "tenant",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT, related_name="+", to="tenants.tenant"
                    ),
                ),
            ],
            options={
                "indexes": [models.Index(fields=["priority", "id"], name="assignment_rules_in_order")],
                "constraints": [
                    models.UniqueConstraint(fields=("name",), name="one_assignment_rule_per_name"),
                    models.CheckConstraint(
                        condition=models.Q(
                            ("account_id__isnull", False),
                            ("program__isnull", False),
                            ("config__isnull", False),
                            models.Q(("config_name", ""), _negated=True),
                            models.Q(("folder_path", ""), _negated=True),
                            models.Q(("description", ""), _negated=True),
                            _connector="OR",
                        ),
                        name="assignment_rule_has_a_criterion",
                    ),
                ],
            },
        ),
    ]
