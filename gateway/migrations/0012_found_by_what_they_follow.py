"""What follows an operation by itself is found by it: those rows are few, and no other pays for the index."""

from django.db import migrations, models
from django.db.models.fields.json import KT


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0011_cheaper_writes"),
        ("tenants", "0006_found_by_tenant_and_id"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="operation",
            index=models.Index(
                KT("intent__follows"),
                condition=models.Q(("intent__has_key", "follows")),
                name="operations_that_follow",
            ),
        ),
    ]
