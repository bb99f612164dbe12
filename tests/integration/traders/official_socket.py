"""bitfinex-api-py trades by WebSocket; prints the names of the events it saw as JSON.

Arguments: address, key, secret. Runs in the traders' own environment (tests/bench/traders.txt).
"""

import json
import sys
from datetime import UTC, datetime

from bfxapi import Client  # type: ignore[import-not-found,unused-ignore]

EVENTS = (
    "position_snapshot", "wallet_snapshot", "order_snapshot", "balance_update", "order_new",
    "order_update", "order_cancel", "trade_execution", "trade_execution_update",
    "on-req-notification", "oc-req-notification",
)  # fmt: skip
address, key, secret = sys.argv[1:]
wss = Client(key, secret, wss_host=f"{address.replace('http', 'ws')}/ws/2").wss
seen: list[str] = []


def note(name):
    @wss.on(name)
    def event(*_):
        seen.append(name)


for name in EVENTS:
    note(name)


@wss.on("authenticated")
async def trade(event):
    seen.append(event["status"])
    await wss.inputs.submit_order("EXCHANGE MARKET", "tBTCUSD", "-0.01", "0")
    await wss.inputs.submit_order("EXCHANGE LIMIT", "tBTCUSD", "0.01", "30000", cid=99)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    await wss.inputs.cancel_order(cid=99, cid_date=day)


@wss.on("order_cancel")
async def leave(order):
    if order.cid == 99:
        await wss.close()


wss.run()
print(json.dumps(seen))
