"""A pure client of Fortinet's FortiFlex API: httpx, httpcore and the standard library, no Django, no Celery."""
