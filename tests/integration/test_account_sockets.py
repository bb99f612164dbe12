"""G13 on real servers: what ends a session ends its private sockets, on every web process."""

import re
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests import servers
from tests.accounts.sessions import code_of
from tests.sockets import Browser

PASSWORD = "a long pass phrase of nobody"
OTHER = "another long phrase of nobody"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')


class Person(requests.Session):
    """A browser's session without the browser."""

    def fill(self, url: str, **fields: str) -> requests.Response:
        found = TOKEN.search(self.get(url, timeout=20).text)
        assert found, url
        fields["csrfmiddlewaretoken"] = found[1]
        answer = self.post(url, data=fields, timeout=20)
        assert answer.ok, answer.text
        return answer

    def socket(self, url: str) -> Browser:
        port = urlsplit(url).port
        assert port
        cookie = f"bfx={self.cookies['bfx']}"
        return Browser(port, "/ws/account/", Origin=url, Cookie=cookie).shake_hands()


@pytest.fixture
def redis() -> Iterator[servers.Redis]:
    server = servers.Redis()
    yield server
    server.stop()


@pytest.fixture
def site(postgres, redis, exchange_server, tmp_path) -> Iterator[servers.Dashboard]:
    """Two web processes that share a PostgreSQL and a Redis; the first account exists."""
    folder = Path(tempfile.mkdtemp(dir=tmp_path))
    dashboard = servers.Dashboard(folder, exchange_server)
    dashboard.start_scaled(postgres.make_database(f"sockets_{folder.name}".lower()), redis.url)
    asked = dashboard.manage("setup", "setup_link", dashboard.url)
    asked.process.wait(60)
    link = asked.log.strip().splitlines()[-1]
    with Person() as boss:
        boss.fill(link, username="boss", password1=PASSWORD, password2=PASSWORD)
    yield dashboard
    dashboard.stop()


@pytest.fixture
def sign_in(site: servers.Dashboard) -> Iterator[Callable[[], Person]]:
    people: list[Person] = []

    def sign_in() -> Person:
        people.append(Person())
        people[-1].fill(f"{site.url}/account/login/", login="boss", password=PASSWORD)
        return people[-1]

    yield sign_in
    for person in people:
        person.close()


def all_closed(sockets: list[Browser], began: float, seconds: float) -> float:
    """Seconds until the last of them was closed with 4401."""
    codes = [socket.until_closed(seconds) for socket in sockets]
    took = time.monotonic() - began
    for socket in sockets:
        socket.close()
    assert set(codes) == {4401}
    return took


def test_g13_a_password_change_closes_every_socket_of_both_processes(site, sign_in):
    people = [sign_in() for _ in range(10)]
    sockets = [person.socket(url) for person in people for url in site.urls * 2 + site.urls[:1]]
    assert len(sockets) == 50
    time.sleep(1)  # until all have joined their groups
    first = people[0]
    first.fill(f"{site.url}/account/confirm/", password=PASSWORD)
    page = first.get(f"{site.url}/account/password/", timeout=20).text
    token = TOKEN.findall(page)[-1]
    fields = {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER}
    began = time.monotonic()
    first.post(
        f"{site.url}/account/password/",
        data={**fields, "csrfmiddlewaretoken": token},
        timeout=20,
    )
    answered = time.monotonic()
    took = all_closed(sockets, answered, 5)
    print(f"50 sockets closed {took:.2f} s after the answer, {answered - began:.2f} s for it")
    assert took < 1
    assert first.get(f"{site.url}/keys/", allow_redirects=False, timeout=20).status_code == 200
    other = people[1].get(f"{site.url}/keys/", allow_redirects=False, timeout=20)
    assert other.status_code == 302


@pytest.mark.full
def test_g13_without_redis_they_close_within_twenty_seconds(site, redis, sign_in):
    person, other = sign_in(), sign_in()
    sockets = [person.socket(url) for url in site.urls]
    spared = other.socket(site.url)
    time.sleep(1)
    token = TOKEN.findall(person.get(f"{site.url}/account/logout/", timeout=20).text)[-1]
    redis.child.kill()
    began = time.monotonic()
    person.post(f"{site.url}/account/logout/", data={"csrfmiddlewaretoken": token}, timeout=20)
    took = all_closed(sockets, began, 25)
    print(f"closed {took:.1f} s after the logout, Redis dead")
    assert took < 20
    spared.close()


def test_g14_a_code_that_was_used_on_one_process_is_refused_on_the_other(site, sign_in):
    """T5: with a cache of its own the second process would take it."""
    time.sleep(max(0, time.time() % 30 - 18) and 30.5 - time.time() % 30)  # a whole step ahead
    boss, step = sign_in(), int(time.time()) // 30
    confirm, add_app = f"{site.url}/account/confirm/", f"{site.url}/account/factors/app/add/"
    boss.fill(confirm, password=PASSWORD)
    page = boss.get(add_app, timeout=20).text
    (seed,) = re.findall(r"data-totp-secret>([A-Z2-7]+)<", page)
    token, code = TOKEN.findall(page)[-1], code_of(seed)
    boss.post(add_app, data={"code": code, "csrfmiddlewaretoken": token}, timeout=20)
    assert "Active." in boss.get(f"{site.url}/account/factors/", timeout=20).text
    with Person() as other:
        other.fill(f"{site.urls[1]}/account/login/", login="boss", password=PASSWORD)
        second_step = other.fill(f"{site.urls[1]}/account/factors/login/", code=code)
        assert int(time.time()) // 30 == step, "too slow a machine to tell"
        assert "Incorrect code" in second_step.text
