"""G13 and G14 on two web processes: what one of them learns holds on the other.

What ends a session ends its private sockets, on both; a code works once, and failed logins count,
wherever they were tried.
"""

import itertools
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests import servers
from tests.accounts.sessions import code_of
from tests.accounts.visitors import PASSWORD, TOKEN, Visitor, setup_link
from tests.sockets import Browser

OTHER = "another long phrase of nobody"
LOGIN = "/account/login/"


class Site:
    """Two web processes that share a PostgreSQL and a Redis; the first account exists.

    They believe X-Forwarded-For, so that each visitor has an address, and its limits, of its own.
    """

    def __init__(self, folder: Path, postgres: servers.Postgres) -> None:
        self.stack = ExitStack()
        self.addresses = (f"198.51.100.{number}" for number in itertools.count(1))
        exchange = servers.Exchange(folder)
        self.stack.callback(exchange.stop)
        self.redis = servers.Redis()
        self.stack.callback(self.redis.stop)
        dashboard = servers.Dashboard(folder, exchange, BFX_TRUSTED_PROXIES="1")
        self.stack.callback(dashboard.stop)
        database = postgres.make_database(f"people_{folder.name}".lower())
        dashboard.start_scaled(database, self.redis.url)
        self.urls, self.url = dashboard.urls, dashboard.url
        self.boss = self.arrive()
        self.join(self.boss, setup_link(dashboard), "boss")

    def arrive(self) -> Visitor:
        """Somebody without a session, at an address of their own."""
        visitor = self.stack.enter_context(Visitor())
        self.move(visitor)
        return visitor

    def move(self, visitor: Visitor) -> None:
        visitor.headers["X-Forwarded-For"] = next(self.addresses)

    def join(self, visitor: Visitor, link: str, name: str) -> None:
        visitor.fill(link, username=name, password1=PASSWORD, password2=PASSWORD)

    def newcomer(self, name: str) -> Visitor:
        """Somebody whom the boss has invited, and whose account is made."""
        page = self.boss.fill(f"{self.url}/admin/invite/").text
        visitor = self.arrive()
        self.join(visitor, page.split("data-invitation>")[1].split("<")[0], name)
        return visitor

    def sign_in(self, name: str = "boss") -> Visitor:
        visitor = self.arrive()
        visitor.fill(f"{self.url}{LOGIN}", login=name, password=PASSWORD)
        return visitor


@pytest.fixture(scope="module")
def site(postgres, tmp_path_factory) -> Iterator[Site]:
    found = Site(tmp_path_factory.mktemp("people"), postgres)
    yield found
    found.stack.close()


@pytest.fixture
def lonely(postgres, tmp_path) -> Iterator[Site]:
    """A site of the test's own, whose Redis may die."""
    found = Site(tmp_path, postgres)
    yield found
    found.stack.close()


def all_closed(sockets: list[Browser], began: float, seconds: float) -> float:
    """Seconds until the last of them was closed with 4401."""
    assert {socket.until_closed(seconds) for socket in sockets} == {4401}
    return time.monotonic() - began


def is_in(person: Visitor, url: str) -> bool:
    return person.page(f"{url}/keys/", allow_redirects=False).status_code == 200


def test_g14_a_code_that_was_used_on_one_process_is_refused_on_the_other(site):
    """T5: with a cache of its own the second process would take it."""
    dora, other = site.newcomer("dora"), site.arrive()
    time.sleep(max(0, time.time() % 30 - 18) and 30.5 - time.time() % 30)  # a whole step ahead
    step = int(time.time()) // 30
    seed = dora.add_app(site.url)
    assert "Active." in dora.page(f"{site.url}/account/factors/").text
    other.fill(f"{site.urls[1]}{LOGIN}", login="dora", password=PASSWORD)
    second_step = other.fill(f"{site.urls[1]}/account/factors/login/", code=code_of(seed))
    assert int(time.time()) // 30 == step, "too slow a machine to tell"
    assert "Incorrect code" in second_step.text


def test_failed_logins_of_a_name_count_on_every_process_and_from_everywhere(site):
    """Five in five minutes, however they are spread: then the right password waits as well."""
    site.newcomer("erin")
    thief = site.arrive()
    for number in range(5):
        site.move(thief)
        url = f"{site.urls[number % 2]}{LOGIN}"
        said = thief.fill(url, login="erin", password="not the password").text
        assert "do not belong together" in said
    for url in site.urls:
        site.move(thief)
        said = thief.fill(f"{url}{LOGIN}", login="erin", password=PASSWORD).text
        assert "Too many attempts" in said


def test_wrong_codes_count_on_every_process_and_from_everywhere(site):
    """Whoever has the password cannot try one code after another."""
    site.newcomer("frank").add_app(site.url)
    thief, said = site.sign_in("frank"), []
    for number in range(7):
        site.move(thief)
        url = f"{site.urls[number % 2]}/account/factors/login/"
        said.append(thief.post_form(url, code=f"00000{number}").text)
    assert ["Incorrect code" in each for each in said] == [True] * 5 + [False] * 2
    assert all("Too many attempts" in each for each in said[5:])
    assert not is_in(thief, site.url)


def test_g13_a_password_change_closes_every_socket_of_both_processes(site):
    people = [site.sign_in() for _ in range(10)]
    sockets = [person.socket(url) for person in people for url in site.urls * 2 + site.urls[:1]]
    assert len(sockets) == 50
    time.sleep(1)  # until all have joined their groups
    first, change = people[0], f"{site.url}/account/password/"
    first.fill(f"{site.url}/account/confirm/", password=PASSWORD)
    token = TOKEN.findall(first.page(change).text)[-1]
    fields = {"oldpassword": PASSWORD, "password1": OTHER, "password2": OTHER}
    began = time.monotonic()
    first.post(change, data={**fields, "csrfmiddlewaretoken": token}, timeout=20)
    answered = time.monotonic()
    took = all_closed(sockets, answered, 5)
    print(f"50 sockets closed {took:.2f} s after the answer, {answered - began:.2f} s for it")
    assert took < 1
    assert [is_in(person, site.url) for person in people[:2]] == [True, False]


@pytest.mark.full
def test_g13_without_redis_they_close_within_twenty_seconds(lonely):
    """The session itself ends at once, on both processes; its sockets with the next look."""
    person, other = lonely.sign_in(), lonely.sign_in()
    sockets = [person.socket(url) for url in lonely.urls for _ in range(2)]
    spared = other.socket(lonely.url)
    time.sleep(1)
    leave = f"{lonely.url}/account/logout/"
    token, cookies = TOKEN.findall(person.page(leave).text)[-1], person.cookies.copy()
    lonely.redis.child.kill()
    began = time.monotonic()
    person.post(leave, data={"csrfmiddlewaretoken": token}, timeout=20)
    person.cookies.update(cookies)
    assert [is_in(person, url) for url in lonely.urls] == [False, False]
    ended = time.monotonic() - began
    took = all_closed(sockets, began, 25)
    print(f"Redis dead: session ended after {ended:.1f} s, its sockets closed after {took:.1f} s")
    assert took < 20
    assert is_in(other, lonely.url)
    assert spared.close_code is None
