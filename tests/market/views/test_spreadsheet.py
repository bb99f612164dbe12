import csv
import io
from decimal import Decimal

import pytest

from market.views.spreadsheet import cell, csv_file

FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\0", '=HYPERLINK("x")']


@pytest.mark.parametrize("text", FORMULAS)
def test_no_text_is_taken_for_a_formula(text):
    assert cell(text) == f"'{text}"


def test_numbers_stay_numbers():
    assert cell(Decimal("-0.00000001")) == "-0.00000001"
    assert cell(-5) == -5
    assert cell(None) == ""
    assert cell("EXECUTED @ 1(2)") == "EXECUTED @ 1(2)"


def test_a_file_reads_back_as_it_was():
    rows = [(1, "=a,b", Decimal("1.50")), (2, 'say "hi"\nthere', None)]
    answer = csv_file("x.csv", ("id", "text", "amount"), rows)
    assert answer["Content-Disposition"] == 'attachment; filename="x.csv"'
    read = list(csv.reader(io.StringIO(answer.content.decode(), newline="")))
    assert read == [
        ["id", "text", "amount"],
        ["1", "'=a,b", "1.50"],
        ["2", 'say "hi"\nthere', ""],
    ]
