"""Who may do what. The user model is our own from the first migration on."""

from django.contrib.auth.models import AbstractUser


class User(AbstractUser):
    """An account of this dashboard; never an account at the exchange."""
