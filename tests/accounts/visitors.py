"""People who use the real servers without a browser, and keep all that they were answered."""

import re
from typing import Any
from urllib.parse import urlsplit

import requests

from tests.accounts.sessions import code_of
from tests.sockets import Browser

PASSWORD = "a long pass phrase of nobody"
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="([^"]+)"')
SECONDS = 20


class Visitor(requests.Session):
    """`heard`: every answer, redirects too: status line, headers and body."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[bytes] = []
        self.sockets: list[Browser] = []
        self.hooks["response"].append(self._hear)

    def page(self, url: str, **options: Any) -> requests.Response:
        return self.get(url, timeout=SECONDS, **options)

    def post_form(self, url: str, form: str = "", **fields: str) -> requests.Response:
        """Sends `fields` to `url` with the token of the page there, or of the page `form`."""
        found = TOKEN.search(self.page(form or url).text)
        assert found, url
        fields["csrfmiddlewaretoken"] = found[1]
        return self.post(url, data=fields, timeout=SECONDS)

    def fill(self, url: str, form: str = "", **fields: str) -> requests.Response:
        answer = self.post_form(url, form, **fields)
        assert answer.ok, answer.text
        return answer

    def add_app(self, url: str) -> str:
        """An authenticator app as second factor; returns its seed, which its page shows once."""
        address = f"{url}/account/factors/app/add/"
        page = self.page(address).text
        (seed,) = re.findall(r"data-totp-secret>([A-Z2-7]+)<", page)
        fields = {"code": code_of(seed), "csrfmiddlewaretoken": TOKEN.findall(page)[-1]}
        answer = self.post(address, data=fields, timeout=SECONDS)
        assert "data-recovery-codes" in answer.text
        return str(seed)

    def socket(self, url: str) -> Browser:
        """The private socket of this person at the web process `url`."""
        port = urlsplit(url).port
        assert port
        cookie = f"bfx={self.cookies['bfx']}"
        opened = Browser(port, "/ws/account/", Origin=url, Cookie=cookie)
        self.sockets.append(opened)
        return opened.shake_hands()

    def close(self) -> None:
        for opened in self.sockets:
            opened.close()
        super().close()

    def _hear(self, answer: requests.Response, *args: Any, **kwargs: Any) -> None:
        head = f"{answer.status_code} {answer.url}\n{answer.headers}\n\n"
        self.heard.append(head.encode() + answer.content)


def setup_link(dashboard: Any) -> str:
    """What `up` prints; a scaled site asks the command."""
    if len(dashboard.urls) == 1:
        web = dashboard.children["web"]
        web.wait_until(lambda: "set up" in web.log)
        return str(re.findall(r"set up\s+(http\S+)", web.log)[-1])
    asked = dashboard.manage("setup", "setup_link", dashboard.url)
    asked.process.wait(60)
    asked.close()
    return str(asked.log.strip().splitlines()[-1])
