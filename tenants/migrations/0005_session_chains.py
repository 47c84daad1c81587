"""A session remembers the login that it comes from, so that it ends with it. Those of before are each a login of their own."""

from django.db import migrations, models

import tenants.ids


class Migration(migrations.Migration):
    dependencies = [
        ("tenants", "0004_session_tokens"),
    ]

    operations = [
        migrations.AddField("sessiontoken", "login_id", models.UUIDField(null=True)),
        migrations.RunSQL("UPDATE tenants_sessiontoken SET login_id = id", migrations.RunSQL.noop),
        migrations.AlterField("sessiontoken", "login_id", models.UUIDField(default=tenants.ids.new_id)),
        migrations.AddIndex("sessiontoken", models.Index(fields=["login_id"], name="sessions_of_one_login")),
    ]
