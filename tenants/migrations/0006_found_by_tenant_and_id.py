"""What another index begins with needs none of its own: each row that is written pays for all of them."""

import django.db.models.deletion
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0005_session_chains"),
    ]

    operations = [
        migrations.AlterField(
            model_name="auditentry",
            name="tenant",
            field=models.ForeignKey(
                db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="tenants.tenant"
            ),
        ),
        migrations.AlterField(
            model_name="event",
            name="tenant",
            field=models.ForeignKey(
                db_index=False, null=True, on_delete=django.db.models.deletion.PROTECT, to="tenants.tenant"
            ),
        ),
    ]
