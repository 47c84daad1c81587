"""A pure client of Fortinet's FortiFlex API: httpx and the standard library, no Django, no Celery."""
