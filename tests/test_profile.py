"""The profile of the run is really the one that was asked for, and nothing leaves the machine."""

import socket

import pytest
from channels.layers import get_channel_layer
from django.db import connection
from pytest_socket import SocketConnectBlockedError


@pytest.mark.django_db
def test_database_is_the_one_of_the_profile(profile):
    assert connection.vendor == {"embedded": "sqlite", "scaled": "postgresql"}[profile]


async def test_layer_is_the_one_of_the_profile_and_carries_messages(profile):
    layer = get_channel_layer()
    assert (
        type(layer).__name__
        == {
            "embedded": "InMemoryChannelLayer",
            "scaled": "RedisPubSubChannelLayer",
        }[profile]
    )
    channel = await layer.new_channel()
    await layer.group_add("tests", channel)
    await layer.group_send("tests", {"type": "hello"})
    assert await layer.receive(channel) == {"type": "hello"}


@pytest.mark.django_db(transaction=True)
def test_threads_share_the_database_of_the_test():
    from concurrent.futures import ThreadPoolExecutor

    from market.models import IpBlock

    IpBlock.objects.create(egress="here", until_us=1)

    def count() -> int:
        try:
            return IpBlock.objects.count()
        finally:
            connection.close()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(count).result() == 1


def test_only_this_machine_can_be_reached():
    refused = pytest.raises(SocketConnectBlockedError)
    with socket.socket() as elsewhere, pytest.warns(UserWarning, match="connect"), refused:
        elsewhere.connect(("192.0.2.1", 443))
