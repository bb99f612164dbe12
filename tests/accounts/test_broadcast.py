import hashlib

import pytest
from channels.layers import get_channel_layer

from accounts import broadcast


def test_a_session_key_never_crosses_the_layer():
    assert broadcast.session_group("abc") == f"s.{hashlib.sha256(b'abc').hexdigest()}"


@pytest.mark.parametrize(
    ("tell", "group", "kind"),
    [
        (lambda: broadcast.tell_keys_changed(7), "u.7", "keys.changed"),
        (lambda: broadcast.tell_check_sessions(7), "u.7", "session.check"),
        (
            lambda: broadcast.tell_session_ended("abc"),
            broadcast.session_group("abc"),
            "session.ended",
        ),
    ],
)
async def test_a_message_carries_its_kind_alone(tell, group, kind):
    from asgiref.sync import sync_to_async

    layer = get_channel_layer()
    channel = await layer.new_channel()
    await layer.group_add(group, channel)
    await sync_to_async(tell)()
    assert await layer.receive(channel) == {"type": kind}


def test_a_layer_that_is_away_fails_nothing(monkeypatch):
    class Away:
        async def group_send(self, group, message):
            raise ConnectionError("away")

    monkeypatch.setattr(broadcast, "get_channel_layer", Away)
    broadcast.tell_keys_changed(7)
