"""A trading session of python-binance with the broker: REST, and the socket of the account's events.

    python python_binance_session.py PORT

Imports by module: `binance-futures-connector` installs a package of the same name.
"""

import asyncio
import sys
from decimal import Decimal

from binance.async_client import AsyncClient
from binance.client import Client
from binance.exceptions import BinanceAPIException
from binance.ws.streams import BinanceSocketManager

ADDRESS = f"127.0.0.1:{sys.argv[1]}"
SYMBOL = "BTCUSDT"
PATIENCE = 20


def point(client):
    """Points a client at the broker."""
    client.FUTURES_URL = f"http://{ADDRESS}/fapi"
    return client


def step(name):
    print(f"@@ {name}", flush=True)


def refused(code, call, **params):
    try:
        call(**params)
    except BinanceAPIException as error:
        assert error.code == code, (error.code, error.message)
        print(error.status_code, error.code, error.message)
    else:
        raise AssertionError("it was not refused")


def rest():
    client = point(Client("key", "secret", ping=False))

    step("the venue")
    info = client.futures_exchange_info()
    (symbol,) = [symbol for symbol in info["symbols"] if symbol["symbol"] == SYMBOL]
    filters = {filter["filterType"]: filter for filter in symbol["filters"]}
    print(symbol["status"], symbol["contractType"], symbol["quoteAsset"], symbol["marginAsset"])
    print(filters["PRICE_FILTER"]["tickSize"], filters["LOT_SIZE"]["stepSize"], filters["MIN_NOTIONAL"]["notional"])
    assert client.futures_time()["serverTime"] > 0
    assert client.futures_ping() == {}

    step("prices")
    candles = client.futures_klines(symbol=SYMBOL, interval="1m", limit=2)
    assert candles and len(candles[0]) == 12
    assert float(client.futures_symbol_ticker(symbol=SYMBOL)["price"]) > 0
    book = client.futures_order_book(symbol=SYMBOL, limit=10)
    assert Decimal(book["bids"][0][0]) < Decimal(book["asks"][0][0])
    best = client.futures_orderbook_ticker(symbol=SYMBOL)
    assert Decimal(best["bidPrice"]) < Decimal(best["askPrice"])
    assert len(client.futures_aggregate_trades(symbol=SYMBOL, limit=3)) == 3
    assert float(client.futures_mark_price(symbol=SYMBOL)["markPrice"]) > 0

    step("a limit order")
    resting = dict(symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.010", price="30000")
    order = client.futures_create_order(**resting, newClientOrderId="mine-1")
    print(order["status"], order["clientOrderId"], order["origQty"], order["executedQty"], order["price"])
    found = client.futures_get_order(symbol=SYMBOL, origClientOrderId="mine-1")
    assert found["orderId"] == order["orderId"]
    assert [o["orderId"] for o in client.futures_get_open_orders(symbol=SYMBOL)] == [order["orderId"]]
    refused(-4116, client.futures_create_order, **resting, newClientOrderId="mine-1")
    print(client.futures_cancel_order(symbol=SYMBOL, orderId=order["orderId"])["status"])
    refused(-2011, client.futures_cancel_order, symbol=SYMBOL, orderId=order["orderId"])
    refused(-2013, client.futures_get_order, symbol=SYMBOL, orderId=999999)

    step("a position")
    print(client.futures_change_leverage(symbol=SYMBOL, leverage=5)["leverage"])
    buy = dict(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.020", newOrderRespType="RESULT")
    bought = client.futures_create_order(**buy)
    print(bought["status"], bought["executedQty"])
    (position,) = client.futures_position_information(symbol=SYMBOL)
    print(position["positionAmt"], position["positionSide"])
    assert Decimal(position["entryPrice"]) > 0
    account = client.futures_account()
    assert Decimal(account["totalInitialMargin"]) > 0
    assert Decimal(account["availableBalance"]) < Decimal(account["totalWalletBalance"])

    step("it is closed, and the books agree")
    close = dict(symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.020", reduceOnly="true")
    client.futures_create_order(**close, newOrderRespType="RESULT")
    refused(-2022, client.futures_create_order, **close)
    trades = client.futures_account_trades(symbol=SYMBOL)
    moved = sum(Decimal(trade["realizedPnl"]) - Decimal(trade["commission"]) for trade in trades)
    (usdt,) = [asset for asset in client.futures_account_balance() if asset["asset"] == "USDT"]
    assert Decimal(usdt["balance"]) == Decimal(100000) + moved, (usdt, moved)
    assert sum(Decimal(t["qty"]) * (1 if t["side"] == "BUY" else -1) for t in trades) == 0
    print([order["status"] for order in client.futures_get_all_orders(symbol=SYMBOL)])

    step("what must be refused")
    refused(-1121, client.futures_get_open_orders, symbol="NOSUCH")
    refused(-1111, client.futures_create_order, **(resting | {"quantity": "0.0105"}))
    refused(-1111, client.futures_create_order, **(resting | {"price": "30000.05"}))
    refused(-4164, client.futures_create_order, **(resting | {"quantity": "0.001"}))
    refused(-2019, client.futures_create_order, **(resting | {"quantity": "900", "price": "40000"}))
    refused(-1022, point(Client("key", "wrong", ping=False)).futures_account_balance)
    refused(-2015, point(Client("nobody", "secret", ping=False)).futures_account_balance)
    client.timestamp_offset = -60_000
    refused(-1021, client.futures_account_balance)


async def event(socket, kind, also=lambda event: True):
    """The next event of this kind."""
    async with asyncio.timeout(PATIENCE):
        while True:
            message = await socket.recv()
            message = message.get("data", message)
            if message.get("e") == kind and also(message):
                return message


async def sockets():
    client = point(AsyncClient("key", "secret"))
    manager = BinanceSocketManager(client)
    manager.FSTREAM_URL = f"ws://{ADDRESS}/"

    step("market trades are streamed")
    async with manager.aggtrade_futures_socket(SYMBOL) as socket:
        first, second = await event(socket, "aggTrade"), await event(socket, "aggTrade")
        assert second["a"] == first["a"] + 1
        print(first["s"], sorted(first))

    step("the account's events are streamed")
    async with manager.futures_user_socket() as socket:
        order = await client.futures_create_order(
            symbol=SYMBOL, side="BUY", type="LIMIT", timeInForce="GTC", quantity="0.010", price="30000"
        )
        mine = lambda event: event["o"]["i"] == order["orderId"]
        placed = (await event(socket, "ORDER_TRADE_UPDATE", mine))["o"]
        print(placed["x"], placed["X"], placed["S"], placed["o"], placed["q"], placed["p"])
        await client.futures_cancel_order(symbol=SYMBOL, orderId=order["orderId"])
        print((await event(socket, "ORDER_TRADE_UPDATE", mine))["o"]["X"])
        order = await client.futures_create_order(symbol=SYMBOL, side="BUY", type="MARKET", quantity="0.010")
        filled = (await event(socket, "ORDER_TRADE_UPDATE", lambda e: mine(e) and e["o"]["X"] == "FILLED"))["o"]
        print(filled["x"], filled["z"], filled["N"], filled["R"])
        await client.futures_create_order(
            symbol=SYMBOL, side="SELL", type="MARKET", quantity="0.010", reduceOnly="true"
        )
        flat = lambda event: event["a"]["P"] and Decimal(event["a"]["P"][0]["pa"]) == 0
        account = (await event(socket, "ACCOUNT_UPDATE", flat))["a"]
        print(account["m"], account["B"][0]["a"])
        wallet = Decimal(account["B"][0]["wb"])
        (usdt,) = [asset for asset in await client.futures_account_balance() if asset["asset"] == "USDT"]
        assert wallet == Decimal(usdt["balance"])
    await client.close_connection()


rest()
asyncio.run(sockets())
