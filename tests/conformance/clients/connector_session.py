"""A trading session of binance-futures-connector with the broker: REST, conditional orders and streams.

    python connector_session.py PORT
"""

import json
import queue
import sys
import time
from decimal import Decimal

from binance.error import ClientError
from binance.um_futures import UMFutures
from binance.websocket.um_futures.websocket_client import UMFuturesWebsocketClient

ADDRESS = f"127.0.0.1:{sys.argv[1]}"
SYMBOL = "BTCUSDT"
PATIENCE = 20


def step(name):
    print(f"@@ {name}", flush=True)


def refused(code, call, **params):
    try:
        call(**params)
    except ClientError as error:
        assert error.error_code == code, (error.error_code, error.error_message)
        print(error.status_code, error.error_code, error.error_message)
    else:
        raise AssertionError("it was not refused")


class Stream:
    """A WebSocket whose messages are taken one by one."""

    def __init__(self):
        self.messages = queue.Queue()
        self.client = UMFuturesWebsocketClient(
            stream_url=f"ws://{ADDRESS}", on_message=lambda _, text: self.messages.put(json.loads(text))
        )

    def event(self, kind, also=lambda event: True):
        deadline = time.monotonic() + PATIENCE
        while True:
            message = self.messages.get(timeout=deadline - time.monotonic())
            if message.get("e") == kind and also(message):
                return message


client = UMFutures("key", "secret", base_url=f"http://{ADDRESS}", show_limit_usage=False)

step("the venue")
assert client.ping() == {}
print([symbol["symbol"] for symbol in client.exchange_info()["symbols"]][:1])
assert len(client.klines(SYMBOL, "1m", limit=1)) == 1
assert len(client.depth(SYMBOL, limit=5)["bids"]) == 5
assert Decimal(client.book_ticker(SYMBOL)["bidPrice"]) > 0
assert Decimal(client.ticker_price(SYMBOL)["price"]) > 0
assert client.agg_trades(SYMBOL, limit=2)
print(client.leverage_brackets(symbol=SYMBOL)[0]["symbol"], client.commission_rate(symbol=SYMBOL)["takerCommissionRate"])

step("streams of the market")
market = Stream()
market.client.agg_trade(symbol=SYMBOL)
market.client.book_ticker(symbol=SYMBOL)
trade = market.event("aggTrade")
quote = market.event("bookTicker")
assert Decimal(quote["b"]) < Decimal(quote["a"])
print(sorted(trade), sorted(quote))
market.client.kline(symbol=SYMBOL, interval="1m")
print(sorted(market.event("kline")["k"]))
market.client.stop()

step("the account's stream")
key = client.new_listen_key()["listenKey"]
assert client.renew_listen_key(key) is not None
user = Stream()
user.client.user_data(listen_key=key)

step("a limit order")
resting = dict(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.010", price="30000")
order = client.new_order(**resting)
mine = lambda event: event["o"]["i"] == order["orderId"]
print(order["status"], user.event("ORDER_TRADE_UPDATE", mine)["o"]["x"])
print(client.query_order(SYMBOL, orderId=order["orderId"])["status"])
print(client.cancel_order(SYMBOL, orderId=order["orderId"])["status"], user.event("ORDER_TRADE_UPDATE", mine)["o"]["X"])

step("a conditional order is placed, seen and cancelled")
stop = client.new_order(symbol=SYMBOL, side="BUY", type="STOP_MARKET", quantity="0.010", stopPrice="90000")
print(stop["status"], stop["type"], stop["stopPrice"], stop["workingType"])
assert [o["orderId"] for o in client.get_orders(symbol=SYMBOL)] == [stop["orderId"]]
print(client.cancel_open_orders(symbol=SYMBOL)["code"], client.get_orders(symbol=SYMBOL))
refused(-2021, client.new_order, symbol=SYMBOL, side="BUY", type="STOP_MARKET", quantity="0.010", stopPrice="20000")

step("several orders at once")
batch = [{name: str(value) for name, value in (resting | {"price": price}).items()} for price in ("30000", "30001", "30000.05")]
answers = client.new_batch_order(batch)
print([answer.get("status", answer.get("code")) for answer in answers])
print(client.countdown_cancel_order(symbol=SYMBOL, countdownTime=60000)["countdownTime"])
print(client.countdown_cancel_order(symbol=SYMBOL, countdownTime=0)["countdownTime"])
client.cancel_open_orders(symbol=SYMBOL)

step("a position, and its end")
client.change_leverage(symbol=SYMBOL, leverage=20)
bought = client.new_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.030", newOrderRespType="RESULT")
print(bought["status"], bought["executedQty"])
(position,) = client.get_position_risk(symbol=SYMBOL)
print(position["positionAmt"], position["positionSide"])
sold = client.new_order(symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.030", reduceOnly="true")
flat = lambda event: event["a"]["P"] and Decimal(event["a"]["P"][0]["pa"]) == 0
wallet = Decimal(user.event("ACCOUNT_UPDATE", flat)["a"]["B"][0]["wb"])
(usdt,) = [asset for asset in client.balance() if asset["asset"] == "USDT"]
trades = client.get_account_trades(symbol=SYMBOL)
moved = sum(Decimal(trade["realizedPnl"]) - Decimal(trade["commission"]) for trade in trades)
assert wallet == Decimal(usdt["balance"]) == Decimal(100000) + moved, (wallet, usdt, moved)
account = client.account()
assert Decimal(account["totalWalletBalance"]) == wallet
assert Decimal(account["totalPositionInitialMargin"]) == 0
user.client.stop()

step("what must be refused")
refused(-1121, client.get_orders, symbol="NOSUCH")
refused(-1022, UMFutures("key", "wrong", base_url=f"http://{ADDRESS}").balance)
refused(-2015, UMFutures("nobody", "secret", base_url=f"http://{ADDRESS}").balance)
refused(-1111, client.new_order, **(resting | {"quantity": "0.0105"}))
refused(-1111, client.new_order, **(resting | {"price": "30000.05"}))
refused(-4164, client.new_order, **(resting | {"quantity": "0.001"}))
refused(-2022, client.new_order, symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.030", reduceOnly="true")
client.close_listen_key(key)
