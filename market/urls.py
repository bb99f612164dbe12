"""Addresses of the market's pages."""

from django.urls import path

from market.views import attempts, budget, new_order, open_orders, own_account, tickers

app_name = "market"
urlpatterns = [
    path("", tickers.tickers, name="tickers"),
    path("about/", tickers.about, name="about"),
    path("tickers/symbols/", tickers.symbols, name="symbols"),
    path("tickers/history/", tickers.past_prices, name="history"),
    path("tickers/<str:symbol>/curl/", tickers.curl, name="curl"),
    path("orders/", open_orders.orders, name="orders"),
    path("orders/states/", open_orders.order_states, name="order_states"),
    path("orders/cancel/", open_orders.cancel, name="cancel_orders"),
    path("orders/cancel-all/", open_orders.cancel_everything, name="cancel_all"),
    path("orders/edit/<uuid:pk>/<int:order_id>/", open_orders.edit, name="edit_order"),
    path("orders/history/", own_account.history, {"kind": "orders"}, name="order_history"),
    path("orders/history.csv", own_account.history_csv, {"kind": "orders"}, name="orders_csv"),
    path("orders/trades/", own_account.history, {"kind": "trades"}, name="own_trades"),
    path("orders/trades.csv", own_account.history_csv, {"kind": "trades"}, name="trades_csv"),
    path("wallets/", own_account.wallets, name="wallets"),
    path("budget/", budget.budget, name="budget"),
    path("orders/new/", new_order.new_order, name="new_order"),
    path("orders/review/<uuid:pk>/", new_order.review, name="review"),
    path("orders/<uuid:pk>/", attempts.order, name="order"),
    path("orders/<uuid:pk>/state/", attempts.order_state, name="order_state"),
]
