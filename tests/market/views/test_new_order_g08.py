"""G8: however often the button is pressed, one order leaves."""

from concurrent.futures import ThreadPoolExecutor

from django.db import connections
from django.test import Client

from tests.trading import SUBMIT

CLICKS = 50


def test_g08_fifty_clicks_at_once_place_one_order(alice_browser, desk, ticket):
    where = alice_browser.post("/orders/new/", ticket())["Location"]
    cookie = alice_browser.cookies

    def click(_):
        browser = Client()
        browser.cookies = cookie
        try:
            answer = browser.post(where)
            return answer.status_code, answer.headers.get("Location")
        finally:
            connections.close_all()

    with ThreadPoolExecutor(CLICKS) as pool:
        answers = set(pool.map(click, range(CLICKS)))
    assert answers == {(302, where.replace("review/", ""))}
    assert len(desk.orders()) == len(desk.sent(SUBMIT)) == 1
