import json

from market.bitfinex import currencies


def test_codes_that_people_do_not_know_are_replaced():
    assert currencies.code("UST") == "USDt"
    assert currencies.code("BTC") == "BTC"


def test_names_are_in_words_where_known():
    assert currencies.name("BTC") == "Bitcoin"
    assert currencies.name("NEWCOIN") == ""


def test_every_quote_currency_of_the_real_list_has_a_name(recordings):
    lists = json.loads((recordings / "rest/2021-04-17_conf_pub_lists.json").read_text())
    pairs = next(v["body"][0] for url, v in lists.items() if "pair:exchange" in url)
    quotes = {
        pair.rpartition(":")[2][-3:] if ":" not in pair else pair.split(":")[1] for pair in pairs
    }
    nameless = {each for each in quotes if not currencies.name(each)}
    assert nameless == {"BBB", "TESTUSD", "TESTUSDT"}
