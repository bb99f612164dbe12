"""What accounts may ask the exchange about a key (the setting `KEY_EXCHANGE_BACKEND`)."""

from accounts.errors import ExchangeUnavailable, KeyRejected
from accounts.exchange import Cancelled
from accounts.models import ApiKey
from accounts.permissions import Permissions
from market.bitfinex import account, orders
from market.bitfinex.errors import AuthRefused, ExchangeError
from market.client import RestClient, client

PATIENCE = 8.0  # seconds to wait for a slot: somebody looks at the page
CANCEL_PATIENCE = 5.0  # the answer has to come within ten


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
        try:
            told = self._client.call(
                orders.cancel_all(), key, lane="cancel", deadline=CANCEL_PATIENCE
            )
        except ExchangeError as error:
            return Cancelled(None, str(error))
        return Cancelled(len(told))
