"""Every address of the site."""

from django.urls import include, path

from accounts.admin import panel
from accounts.urls import login_urlpatterns
from bfxdash import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("admin/", panel.urls),
    path("account/", include(login_urlpatterns)),
    path("", include("accounts.urls")),
    path("", include("market.urls")),
]

handler500 = "market.views.errors.server_error"
