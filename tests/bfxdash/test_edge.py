import pytest

from bfxdash.edge import exact_origin, forwarded_address, serialized, trusted_proxies

ALLOWED = ["http://localhost:8000", "https://dash.example.com", "https://Dash.Example.org:443"]

ORIGINS = {
    "http://localhost:8000": True,
    "https://dash.example.com": True,
    "https://dash.example.org": True,
    "http://dash.example.com": False,
    "https://dash.example.com:8443": False,
    "https://dash.example.com:443": False,  # no browser writes it
    "https://dash.example.com.evil.example": False,
    "https://evil.example/https://dash.example.com": False,
    "https://sub.dash.example.com": False,
    "https://dash.example.com@evil.example": False,
    "https://user@dash.example.com": False,
    "https://dash.example.com/": False,
    "ftp://dash.example.com": False,
    "http://localhost": False,
    "http://localhost:8000000": False,
    "http://[::1": False,
    "null": False,
    "": False,
}


class Door:
    """An ASGI application that notes who came in, and the server's side of the handshake."""

    def __init__(self):
        self.scopes = []
        self.sent = []

    async def application(self, scope, receive, send):
        self.scopes.append(scope)

    async def receive(self):
        return {"type": "websocket.connect"}

    async def send(self, message):
        self.sent.append(message["type"])

    async def knock(self, application, *headers):
        scope = {"type": "websocket", "headers": list(headers), "client": ["192.0.2.1", 5]}
        await application(scope, self.receive, self.send)
        return bool(self.scopes)


@pytest.fixture
def door():
    return Door()


@pytest.mark.parametrize(("origin", "welcome"), ORIGINS.items())
async def test_only_the_exact_origins_may_open_a_socket(door, origin, welcome):
    guarded = exact_origin(door.application, ALLOWED)
    assert await door.knock(guarded, (b"origin", origin.encode())) is welcome
    assert door.sent == ([] if welcome else ["websocket.close"])


async def test_a_socket_without_origin_is_refused(door):
    assert not await door.knock(exact_origin(door.application, ALLOWED), (b"host", b"localhost"))


async def test_a_socket_with_two_origins_is_refused(door):
    origins = [(b"origin", b"http://evil.example"), (b"origin", b"http://localhost:8000")]
    assert not await door.knock(exact_origin(door.application, ALLOWED), *origins)


def test_an_origin_is_written_as_browsers_write_it():
    assert serialized("HTTP://LocalHost:80") == "http://localhost"
    assert serialized("https://[::1]:8443") == "https://[::1]:8443"
    assert serialized("https://[::1]:443") == "https://[::1]"


FORWARDED = [
    ([], 1, None),
    (["198.51.100.7"], 1, "198.51.100.7"),
    (["10.9.9.9, 198.51.100.7"], 1, "198.51.100.7"),
    (["10.9.9.9", "198.51.100.7"], 1, "198.51.100.7"),
    (["10.9.9.9, 198.51.100.7, 10.0.0.2"], 2, "198.51.100.7"),
    (["198.51.100.7"], 2, None),
    (["2001:db8::1"], 1, "2001:db8::1"),
    (["198.51.100.7:1234"], 1, None),
    (["unknown"], 1, None),
    (["\xff"], 1, None),
]


@pytest.mark.parametrize(("values", "proxies", "address"), FORWARDED)
def test_only_what_our_own_proxies_wrote_is_believed(values, proxies, address):
    headers = [(b"x-forwarded-for", value.encode("latin1")) for value in values]
    assert forwarded_address(headers, proxies) == address


async def test_a_browser_cannot_choose_its_address(door):
    spoofed = (b"x-forwarded-for", b"10.9.9.9, 198.51.100.7")
    await door.knock(trusted_proxies(door.application, 1), spoofed)
    assert door.scopes[0]["client"] == ["198.51.100.7", 0]


async def test_without_proxies_of_ours_the_header_is_nothing(door):
    application = trusted_proxies(door.application, 0)
    await door.knock(application, (b"x-forwarded-for", b"10.9.9.9"))
    assert door.scopes[0]["client"] == ["192.0.2.1", 5]


async def test_a_header_that_is_no_address_leaves_the_proxys_own(door):
    application = trusted_proxies(door.application, 1)
    await door.knock(application, (b"x-forwarded-for", b"unknown"))
    assert door.scopes[0]["client"] == ["192.0.2.1", 5]
