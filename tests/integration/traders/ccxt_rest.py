"""ccxt trades by REST; prints what it saw as JSON. Arguments: address, key, secret.

Runs in the traders' own environment (tests/bench/traders.txt).
"""

import json
import sys

import ccxt  # type: ignore[import-not-found,unused-ignore]

BTC, SWAP = "BTC/USD", "BTC/USDT:USDT"
address, key, secret = sys.argv[1:]
bitfinex = ccxt.bitfinex({"apiKey": key, "secret": secret, "enableRateLimit": False})
bitfinex.urls["api"] = dict.fromkeys(("v1", "public", "private"), address)
bitfinex.load_markets()
seen = {"markets": len(bitfinex.markets), "balance": bitfinex.fetch_balance()["BTC"]["total"]}
bid, ask = (bitfinex.fetch_order_book(BTC)[side][0][0] for side in ("bids", "asks"))
seen["book"] = bid < ask


def place(kind, side, amount, price=None, **params):
    order = bitfinex.create_order(BTC, kind, side, amount, price, params)
    return order["id"], [order["type"], order["status"], order["price"], order["triggerPrice"]]


number, seen["limit"] = place("limit", "buy", 0.01, 30000, cid=12)
seen["open"] = [order["clientOrderId"] for order in bitfinex.fetch_open_orders(BTC)]
bitfinex.edit_order(number, BTC, "limit", "buy", 0.01, 31000)
seen["edited"] = bitfinex.fetch_open_order(number, BTC)["price"]
bitfinex.cancel_order(number, BTC)
seen["cancelled"] = bitfinex.fetch_closed_order(number, BTC)["status"]
_, seen["stop"] = place("market", "sell", 0.01, triggerPrice=20000)
_, seen["stop limit"] = place("limit", "sell", 0.01, 19000, triggerPrice=20000)
_, seen["post only"] = place("limit", "sell", 0.01, 90000, postOnly=True)
seen["cancel all"] = len(bitfinex.cancel_all_orders())

number, _ = place("limit", "sell", 0.01, 20000, timeInForce="FOK")
closed = bitfinex.fetch_closed_order(number, BTC)
seen["closed"] = [closed["status"], closed["filled"], closed["timeInForce"]]
trade = bitfinex.fetch_my_trades(BTC)[0]
seen["trade"] = [trade["side"], trade["takerOrMaker"], trade["fee"]["currency"]]
seen["fees"] = [bitfinex.fetch_trading_fees()[BTC][side] for side in ("maker", "taker")]
seen["ledger"] = bitfinex.fetch_ledger("USD")[0]["type"]
bitfinex.create_order(SWAP, "market", "buy", 0.01, None, {"lev": 5})
seen["positions"] = [[each["symbol"], each["leverage"]] for each in bitfinex.fetch_positions()]


def error(*order):
    try:
        bitfinex.create_order(*order)
    except ccxt.BaseError as raised:
        return type(raised).__name__


seen["too much"] = error(BTC, "limit", "buy", 100, 30000)
bitfinex.secret = "wrong"
seen["wrong secret"] = error(BTC, "limit", "buy", 0.01, 30000)
print(json.dumps(seen))
