"""A trading session of ccxt (`binanceusdm`) with the broker. What it prints is the same on every run.

    python ccxt_session.py PORT
"""

import sys

import ccxt

SYMBOL = "BTC/USDT:USDT"
BASE = f"http://127.0.0.1:{sys.argv[1]}"


def client(secret="secret"):
    """A client that finds the venue at BASE, and asks it for what it has."""
    options = {"fetchCurrencies": False, "fetchMarkets": {"types": ["linear"]}}
    exchange = ccxt.binanceusdm({"apiKey": "key", "secret": secret, "enableRateLimit": False, "options": options})
    for name, url in exchange.urls["api"].items():
        if isinstance(url, str) and "/fapi/" in url:
            exchange.urls["api"][name] = BASE + url[url.index("/fapi/"):]
    return exchange


def step(name):
    def run(body):
        print(f"@@ {name}", flush=True)
        body()

    return run


def refused(kind, body):
    """`body` must fail with this class of ccxt's errors."""
    try:
        body()
    except kind as error:
        print(type(error).__name__, str(error).removeprefix("binanceusdm "))
    else:
        raise AssertionError("it was not refused")


venue = client()


@step("markets")
def _():
    market = venue.load_markets()[SYMBOL]
    print(market["id"], market["type"], market["linear"], market["settle"])
    print(market["precision"]["price"], market["precision"]["amount"], market["limits"]["cost"]["min"])


@step("prices")
def _():
    assert venue.fetch_time() > 0
    ticker = venue.fetch_ticker(SYMBOL)
    book = venue.fetch_order_book(SYMBOL, 5)
    assert book["bids"][0][0] < book["asks"][0][0]
    assert abs(ticker["last"] / book["asks"][0][0] - 1) < 0.01
    assert len(book["bids"]) == len(book["asks"]) == 5
    assert book["bids"] == sorted(book["bids"], reverse=True) and book["asks"] == sorted(book["asks"])
    candles = venue.fetch_ohlcv(SYMBOL, "1m", limit=3)
    assert candles and all(low <= min(o, c) and high >= max(o, c) for _, o, high, low, c, _ in candles)
    trades = venue.fetch_trades(SYMBOL, limit=5)
    assert [int(trade["id"]) for trade in trades] == list(range(int(trades[0]["id"]), int(trades[-1]["id"]) + 1))


@step("the account")
def _():
    balance = venue.fetch_balance()["USDT"]
    print(balance["total"], balance["free"], balance["used"])
    print(venue.set_leverage(10, SYMBOL)["leverage"])


@step("a limit order rests, is found, and is cancelled")
def _():
    order = venue.create_order(SYMBOL, "limit", "buy", 0.01, 30000)
    print(order["status"], order["type"], order["side"], order["amount"], order["filled"], order["price"])
    assert venue.fetch_order(order["id"], SYMBOL)["id"] == order["id"]
    assert [open_["id"] for open_ in venue.fetch_open_orders(SYMBOL)] == [order["id"]]
    print(venue.cancel_order(order["id"], SYMBOL)["status"])
    print(venue.fetch_order(order["id"], SYMBOL)["status"], venue.fetch_open_orders(SYMBOL))
    refused(ccxt.OrderNotFound, lambda: venue.cancel_order(order["id"], SYMBOL))


@step("a market order fills and makes a position")
def _():
    order = venue.create_order(SYMBOL, "market", "buy", 0.01)
    order = venue.fetch_order(order["id"], SYMBOL)
    print(order["status"], order["filled"], order["remaining"])
    (position,) = venue.fetch_positions([SYMBOL])
    print(position["side"], position["contracts"], position["leverage"], position["marginMode"])
    assert abs(position["entryPrice"] - order["average"]) < 0.1
    trades = [trade for trade in venue.fetch_my_trades(SYMBOL) if trade["order"] == order["id"]]
    assert abs(sum(trade["amount"] for trade in trades) - 0.01) < 1e-9
    fee = sum(trade["fee"]["cost"] for trade in trades)
    assert abs(fee - order["cost"] * 0.0004) < 1e-6, (fee, order["cost"])
    after = venue.fetch_balance()["USDT"]
    assert after["used"] > 0 and after["total"] != 100000


@step("the position is closed, and the balance is what the trades made of it")
def _():
    venue.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True})
    assert not venue.fetch_positions([SYMBOL])
    trades = venue.fetch_my_trades(SYMBOL)
    profit = sum(float(trade["info"]["realizedPnl"]) for trade in trades)
    fees = sum(trade["fee"]["cost"] for trade in trades)
    balance = venue.fetch_balance()["USDT"]
    assert abs(balance["total"] - (100000 + profit - fees)) < 1e-6, (balance, profit, fees)
    assert balance["used"] == 0
    statuses = [order["status"] for order in venue.fetch_orders(SYMBOL)]
    print(statuses)


@step("all orders are cancelled at once")
def _():
    for price in (30000, 30001):
        venue.create_order(SYMBOL, "limit", "buy", 0.01, price, {"postOnly": True})
    assert len(venue.fetch_open_orders(SYMBOL)) == 2
    venue.cancel_all_orders(SYMBOL)
    print(venue.fetch_open_orders(SYMBOL))


@step("a stop waits in the algo service, is found there, and is cancelled")
def _():
    waiting = {"trigger": True}
    stop = venue.create_order(SYMBOL, "market", "sell", 0.01, None, {"stopLossPrice": 40000})
    print(stop["type"], stop["side"], stop["triggerPrice"], stop["info"]["algoStatus"])
    assert venue.fetch_order(stop["id"], SYMBOL, waiting)["id"] == stop["id"]
    assert [order["id"] for order in venue.fetch_open_orders(SYMBOL, params=waiting)] == [stop["id"]]
    assert not venue.fetch_open_orders(SYMBOL)
    venue.cancel_order(stop["id"], SYMBOL, waiting)
    print(venue.fetch_order(stop["id"], SYMBOL, waiting)["info"]["algoStatus"])


@step("a stop trails behind the market")
def _():
    trail = {"trailingPercent": "1.5", "trailingTriggerPrice": 60000}
    info = venue.create_order(SYMBOL, "market", "sell", 0.01, None, trail)["info"]
    print(info["orderType"], info["callbackRate"], info["activatePrice"])
    venue.cancel_all_orders(SYMBOL, {"trigger": True})
    print(venue.fetch_open_orders(SYMBOL, params={"trigger": True}))


@step("what must be refused")
def _():
    refused(ccxt.ExchangeError, lambda: venue.create_order(SYMBOL, "limit", "buy", 0.001, 30000))
    refused(ccxt.BaseError, lambda: venue.create_order(SYMBOL, "limit", "buy", 900, 40000))
    refused(ccxt.ExchangeError, lambda: venue.create_order(SYMBOL, "market", "sell", 0.01, None, {"reduceOnly": True}))
    refused(ccxt.BaseError, lambda: venue.fetch_order("999999", SYMBOL))
    raw = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.0105", "price": "30000"}
    refused(ccxt.BaseError, lambda: venue.fapiPrivatePostOrder(raw))
    refused(ccxt.BaseError, lambda: venue.fapiPrivatePostOrder(raw | {"quantity": "0.01", "price": "30000.05"}))
    refused(ccxt.BaseError, lambda: venue.fapiPrivatePostOrder(raw | {"symbol": "NOSUCH", "quantity": "0.01"}))


@step("a wrong secret")
def _():
    refused(ccxt.BaseError, lambda: client("wrong").fapiPrivateV2GetBalance())


@step("a clock that is wrong")
def _():
    late = client()
    late.nonce = lambda: ccxt.Exchange.milliseconds() - 60000
    refused(ccxt.BaseError, lambda: late.fapiPrivateV2GetBalance())
