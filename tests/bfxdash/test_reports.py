"""Error reports say where, and show no variable."""

import secrets
import sys

from django.test import RequestFactory
from django.views.debug import ExceptionReporter


def fail_with(pasted: str) -> None:
    raise ValueError("a mistake")


def test_a_report_holds_neither_variables_nor_what_was_posted(settings):
    held, posted = secrets.token_hex(16), secrets.token_hex(16)
    request = RequestFactory().post("/keys/add/", {"api_secret": posted})
    for settings.DEBUG in (True, False):
        try:
            fail_with(held)
        except ValueError:
            reporter = ExceptionReporter(request, *sys.exc_info())
        report = reporter.get_traceback_html() + reporter.get_traceback_text()
        assert "fail_with" in report
        assert held not in report
        assert posted not in report
