"""The socket under other servers than `serve`: plain Daphne, TLS, and several with one Redis."""

import asyncio
import datetime
import ssl
import sys
from typing import Any

import pytest
from channels_redis.pubsub import RedisPubSubChannelLayer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from bfxdash.gate import clean_environment
from market.relay import FEED, TICKS
from tests.market.test_hub import rows
from tests.servers import SECRET_KEY, Child, free_port
from tests.sockets import Browser, Ticking

DAPHNE = [sys.executable, "-m", "daphne", "-v", "0"]
APPLICATION = "tests.integration.ticking:application"


@pytest.fixture
def start_daphne(tmp_path):
    """The daphne command itself, in front of the same application."""
    started = []

    def start(*endpoint, **environ):
        ticking = Ticking(tmp_path, [*DAPHNE, *endpoint, APPLICATION], **environ)
        started.append(ticking)
        return ticking

    yield start
    for ticking in started:
        ticking.stop()


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for localhost, and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = builder.not_valid_before(now).not_valid_after(now + datetime.timedelta(hours=1))
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    file = tmp_path / "certificate.pem"
    file.write_bytes(
        made.sign(key, hashes.SHA256()).public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    )
    return file


class SecureBrowser(Browser):
    def begin(self, port, path, headers):
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        super().begin(port, path, headers)

    socket: Any

    def wait(self, deadline):
        return True if self.socket.pending() else super().wait(deadline)


def wait_for(ticking, browser_class=Browser):
    """The first connection starts the stand-in for the feed."""

    def connects():
        first = browser_class(ticking.port).shake_hands()
        first.close()
        return True

    ticking.child.wait_until(connects)


def test_plain_daphne_writes_straight_into_the_socket_too(start_daphne):
    port = free_port()
    ticking = start_daphne("-b", "127.0.0.1", "-p", str(port), BFX_SOCKETS_PER_ADDRESS="100")
    ticking.port = port
    wait_for(ticking)
    browser = ticking.open()
    browser.next()
    ticking.order(prices={"tA": 5}, full=True)
    browser.until(lambda: browser.table == {"tA": 5})
    # Fails when Daphne no longer binds the protocol to what it passes as `send`.
    assert ticking.report()["sinks"] == ["DirectSink"]
    browser.send(b"x", opcode=2)
    assert browser.until_closed() == 1003


def test_over_tls_a_reader_that_stalls_still_ends_with_the_newest_values(start_daphne, certificate):
    port = free_port()
    ticking = start_daphne(
        "-e", f"ssl:{port}:privateKey={certificate}:certKey={certificate}:interface=127.0.0.1"
    )
    ticking.port = port
    wait_for(ticking, SecureBrowser)
    browser = SecureBrowser(port, buffer=8192).shake_hands()
    browser.next()
    ticking.order(every=0.01, symbols=200)
    assert asyncio.run(asyncio.sleep(1.5)) is None
    facts = ticking.report()
    assert facts["sinks"] == ["TwistedSink"]
    browser.until(lambda: browser.table == facts["prices"])
    assert len(browser.messages) < 60
    browser.close()


@pytest.fixture
def serve_two(tmp_path, redis_url):
    """Two web processes that share a Redis."""
    ports = [free_port(), free_port()]
    children = []
    for port in ports:
        folder = tmp_path / str(port)
        folder.mkdir()
        environ = clean_environment() | {
            "SECRET_KEY": SECRET_KEY,
            "BFX_DATA_DIR": str(folder),
            "REDIS_URL": redis_url,
        }
        command = [sys.executable, "-m", "tests.integration.ticking", str(port)]
        children.append(Child(command, folder / "log", environ=environ))
    yield ports
    for child in children:
        child.stop()


def batch(**prices):
    status = {"state": "live", "since": 1, "at": 1}
    return {"type": "ticks.batch", "rows": rows(**prices), "status": status, "full": True}


async def test_one_batch_on_redis_reaches_the_browsers_of_every_web_process(serve_two, redis_url):
    layer = RedisPubSubChannelLayer(hosts=[redis_url])
    channel = await layer.new_channel()
    await layer.group_add(FEED, channel)
    for _ in serve_two:  # each asks for the whole table when it has started
        async with asyncio.timeout(20):
            assert (await layer.receive(channel))["full"] is True
    browsers = [await asyncio.to_thread(Browser, port) for port in serve_two]
    for browser in browsers:
        browser.shake_hands()
    await layer.group_send(TICKS, batch(tA=5, tB=6))
    for browser in browsers:
        await asyncio.to_thread(browser.until, lambda it=browser: it.table == {"tA": 5, "tB": 6})
        browser.close()
    await layer.flush()
