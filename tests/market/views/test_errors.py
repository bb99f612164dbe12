import pytest
from django.db import DatabaseError, InterfaceError, OperationalError
from django.urls import path

from market.views.errors import server_error

ERRORS = {
    "broken": ValueError("secret detail"),
    "away": OperationalError("server closed the connection unexpectedly: secret detail"),
    "closed": InterfaceError("connection already closed"),
    "locked": DatabaseError("database is locked"),
    "full": OperationalError("database or disk is full"),
}


def failing(request, name):
    raise ERRORS[name]


urlpatterns = [path("<str:name>/", failing, name="healthz")]  # a public one
handler500 = server_error


@pytest.mark.urls("tests.market.views.test_errors")
@pytest.mark.parametrize(
    ("name", "status", "words"),
    [
        ("away", 503, "The database cannot be reached"),
        ("closed", 503, "The database cannot be reached"),
        ("locked", 503, "The database cannot be reached"),
        ("full", 507, "disk is full"),
    ],
)
def test_what_the_database_cannot_do_is_told_apart(client, name, status, words):
    client.raise_request_exception = False
    answer = client.get(f"/{name}/")
    html = answer.content.decode()
    assert (answer.status_code, "secret" in html) == (status, False)
    assert words in html
    assert answer.has_header("Retry-After") == (status == 503)


@pytest.mark.urls("tests.market.views.test_errors")
def test_a_broken_page_says_so_with_the_mode_and_without_details(client):
    client.raise_request_exception = False
    answer = client.get("/broken/")
    html = answer.content.decode()
    assert answer.status_code == 500
    assert "Something broke on this server" in html
    assert 'data-exchange="sandbox"' in html
    assert "secret detail" not in html


def test_the_site_uses_it():
    from bfxdash import urls

    assert urls.handler500 == "market.views.errors.server_error"
