"""A price that FortiFlex refuses is remembered for all processes: each that asks anew costs one of nine errors an hour."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("gateway", "0008_found_by_serial"),
    ]

    operations = [
        migrations.AddField("config", "price_refused_at", models.DateTimeField(null=True)),
    ]
