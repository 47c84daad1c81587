"""FortiFlex's paths, in any case and with doubled slashes; with and without a trailing one, and never a redirect."""

from django.urls import re_path

from gateway.dropin.views import answer_call, log_in, revoke

urlpatterns = [
    re_path(r"(?i)^/*api/+v1/+oauth/+token/*$", log_in),
    re_path(r"(?i)^/*api/+v1/+oauth/+revoke_token/*$", revoke),
    re_path(r"(?i)^/*es(?:/.*)?$", answer_call),
]
