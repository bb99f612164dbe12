"""What accounts may ask the exchange about a key (the setting `KEY_EXCHANGE_BACKEND`)."""

import time
from contextlib import suppress

from accounts.errors import ExchangeUnavailable, KeyRejected
from accounts.exchange import Burnt, Cancelled
from accounts.models import ApiKey
from accounts.permissions import Permissions
from market.bitfinex import account, orders
from market.bitfinex.errors import AuthRefused, ExchangeError, OutcomeUnknown
from market.client import RestClient, client

PATIENCE = 8.0  # seconds to wait for a slot: somebody looks at the page
CANCEL_PATIENCE = 5.0  # the answer has to come within ten
LOOK_PATIENCE = 2.0
PAUSES = (0.0, 0.2, 1.0)  # before each look for orders that are still open, in s


class BitfinexKeys:
    """Implements `accounts.exchange.KeyExchange` with signed calls."""

    def __init__(self, rest_client: RestClient | None = None) -> None:
        self._client = rest_client or client()

    def permissions(self, key: ApiKey) -> Permissions:
        request = account.permissions()
        try:
            rows = self._client.call(request, key, lane="look_up", deadline=PATIENCE)
        except AuthRefused as error:
            raise KeyRejected(error.code, error.text) from None
        except ExchangeError as error:
            raise ExchangeUnavailable(str(error)) from None
        return Permissions.from_rows((row.scope, row.read, row.write) for row in rows)

    def cancel_all(self, key: ApiKey) -> Cancelled:
        """What was told to end ends a moment later, so it is read again: the number is given only
        when no order is open any more."""
        try:
            told: int | None = self._tell_all_to_end(key)
        except OutcomeUnknown:
            told = None
            with suppress(ExchangeError):  # safe to say twice
                self._tell_all_to_end(key)
        except ExchangeError as error:
            return Cancelled(None, str(error))
        try:
            left = self._left_open(key)
        except ExchangeError as error:
            return Cancelled(None, f"told to end, but not seen to ({error})")
        if left:
            return Cancelled(None, f"{left} of them are still open")
        if told is None:
            return Cancelled(None, "an answer was lost, but none was open a moment later")
        return Cancelled(told)

    def burn(self, key: ApiKey) -> Burnt:
        try:
            self._client.call(account.permissions(), key, lane="burn", deadline=CANCEL_PATIENCE)
        except ExchangeError as error:
            return Burnt(str(error))
        return Burnt()

    def _tell_all_to_end(self, key: ApiKey) -> int:
        request = orders.cancel_all()
        return len(self._client.call(request, key, lane="cancel", deadline=CANCEL_PATIENCE))

    def _left_open(self, key: ApiKey) -> int:
        rows: list[account.Order] = []
        for pause in PAUSES:
            time.sleep(pause)
            rows = self._client.call(
                account.open_orders(), key, lane="look_up", deadline=LOOK_PATIENCE
            )
            if not rows:
                return 0
        return len(rows)
