from django.apps import AppConfig


class BfxdashConfig(AppConfig):
    name = "bfxdash"

    def ready(self) -> None:
        from bfxdash import checks  # noqa: F401  registers the system checks
