"""Every address of the site."""

from django.urls import include, path

from bfxdash import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics, name="metrics"),
    path("", include("market.urls")),
]
