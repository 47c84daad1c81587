"""Every path of the gateway. No trailing slashes, no redirects; what no route knows gets a problem document."""

from django.contrib import admin
from django.urls import include, path
from drf_spectacular.views import SpectacularJSONAPIView, SpectacularSwaggerSplitView

from gateway.api.metrics import MetricsView
from gateway.health import answer_alive, answer_ready
from tenants.exceptions import only_read

urlpatterns = [
    path("healthz", answer_alive),
    path("readyz", answer_ready),
    path("metrics", MetricsView.as_view()),
    path("api/v1/", include("gateway.api.urls")),
    path("api/v1/", include("tenants.api.urls")),
    path("api/v1/", include("billing.api.urls")),
    path("", include("gateway.dropin.urls")),  # in any case of letters; none of the paths above is one of its own
    path(
        "api/v1/schema", SpectacularJSONAPIView.as_view(authentication_classes=[], permission_classes=[]), name="schema"
    ),
    # The split view serves its script as a file of its own, so that the page needs no inline script.
    path(
        "api/v1/docs",
        only_read(SpectacularSwaggerSplitView.as_view(authentication_classes=[], url_name="schema")),
        name="docs",
    ),
    path("admin/", admin.site.urls),
]

handler400 = "tenants.exceptions.answer_bad_request"
handler404 = "tenants.exceptions.answer_not_found"
handler500 = "tenants.exceptions.answer_server_error"
