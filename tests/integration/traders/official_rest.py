"""bitfinex-api-py trades by REST; prints what it saw as JSON. Arguments: address, key, secret.

Runs in the traders' own environment (tests/bench/traders.txt).
"""

import dataclasses
import json
import sys

from bfxapi import Client  # type: ignore[import-not-found,unused-ignore]
from bfxapi.rest.exceptions import GenericError  # type: ignore[import-not-found,unused-ignore]

BTC = "tBTCUSD"
address, key, secret = sys.argv[1:]
auth = Client(key, secret, rest_host=f"{address}/v2", wss_host="ws://127.0.0.1:9/").rest.auth
seen = {"user": auth.get_user_info().username, "wallets": len(auth.get_wallets())}

order = auth.submit_order("EXCHANGE LIMIT", BTC, "0.01", "30000", cid=5, gid=7)
seen["submit"] = [order.status, order.data.order_status, order.data.cid, order.data.gid]
changed = auth.update_order(order.data.id, price="31000")
seen["update"] = [changed.status, auth.get_orders(symbol=BTC)[0].price]
gone = auth.cancel_order(id=order.data.id)
seen["cancel"] = [gone.status, auth.get_orders(), auth.get_orders_history()[0].order_status]

auth.submit_order("EXCHANGE MARKET", BTC, "-0.01", "0")
sold = auth.get_trades_history(limit=1)[0]
seen["trade"] = [sold.symbol, sold.exec_amount, sold.fee_currency, sold.maker]
seen["of order"] = [trade.id == sold.id for trade in auth.get_order_trades(BTC, sold.order_id)]
seen["ledger"] = [entry.currency for entry in auth.get_ledgers(currency="USD", limit=2)]

for cid in (1, 2, 3):
    auth.submit_order("EXCHANGE LIMIT", BTC, "0.01", "30000", cid=cid, gid=7)
several = auth.cancel_order_multi(gid=[7])
seen["cancel multi"] = [several.status, len(several.data)]

auth.submit_order("MARKET", BTC, "0.02", "0")
(position,) = auth.get_positions()
margin = auth.get_base_margin_info()
seen["margin"] = [position.symbol, position.amount, margin.margin_net > 0]
seen["pair margin"] = auth.get_symbol_margin_info(BTC).tradable_balance > 0
moved = auth.transfer_between_wallets("exchange", "margin", "USD", "USD", "10")
seen["transfer"] = [moved.status, moved.data.amount]

small = auth.submit_order("EXCHANGE LIMIT", BTC, "0.00000001", "30000")
seen["rejected"] = [small.status, small.text, small.data.id]
try:
    auth.submit_order("EXCHANGE LIMIT", BTC, "100", "30000")
except GenericError as error:
    seen["refused"] = str(error)
print(json.dumps(seen, default=dataclasses.asdict))
