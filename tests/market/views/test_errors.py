import pytest
from django.urls import path

from market.views.errors import server_error


def broken(request):
    raise ValueError("secret detail")


urlpatterns = [path("broken/", broken)]
handler500 = server_error


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
