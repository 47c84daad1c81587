"""The WSGI application that granian (or gunicorn) serves."""

import gc
import os

from django.core.checks import Tags, run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gateway.settings")
application = get_wsgi_application()
# manage.py checks before every command; a web server that was started without it must refuse the same.
for message in run_checks(tags=[Tags.security]):
    if message.is_serious():
        raise ImproperlyConfigured(f"{message.id}: {message.msg} {message.hint}")
# What stands after the start stays: the garbage collector need not walk through it in the middle of requests.
gc.collect()
gc.freeze()
