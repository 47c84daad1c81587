"""The Celery app: a timer and a wake-up. Loaded by GatewayConfig.ready(), not by gateway/__init__.py."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")

app = Celery("gateway")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(["gateway", "billing"])
