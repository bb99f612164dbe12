"""Fetched, not checked: the object of the person who asks, or 404 as if it did not exist."""

from uuid import UUID

from django.http import HttpRequest
from django.shortcuts import get_object_or_404

from accounts.models import ApiKey


def own_key(request: HttpRequest, pk: UUID) -> ApiKey:
    """A key of the person who asks, revoked ones too. Staff see no more here."""
    return get_object_or_404(ApiKey.objects.of(request.user), pk=pk)
