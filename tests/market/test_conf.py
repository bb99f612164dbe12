"""The exchange as the settings describe it."""

from dataclasses import FrozenInstanceError

import pytest

from market.conf import exchange


def test_it_is_what_the_settings_say(settings):
    settings.BFX_EXCHANGE = "live"
    settings.BFX_PUBLIC_WS_URL = "ws://127.0.0.1:8900/ws/2"
    settings.BFX_EGRESS = "office"
    settings.BFX_RATES = {"window": 1}
    found = exchange()
    assert (found.mode, found.public_ws, found.egress) == (
        "live",
        settings.BFX_PUBLIC_WS_URL,
        "office",
    )
    assert found.rates == {"window": 1}


def test_addresses_for_rest_end_without_a_slash(settings):
    settings.BFX_PUBLIC_REST_URL = "https://example.com/"
    settings.BFX_REST_URL = "https://example.org/"
    assert exchange().public_rest == "https://example.com"
    assert exchange().rest == "https://example.org"


def test_it_cannot_be_changed_on_the_way():
    with pytest.raises(FrozenInstanceError):
        exchange().mode = "live"  # type: ignore[misc]
