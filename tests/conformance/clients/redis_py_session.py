"""A session of redis-py with the bus, or with Redis: the transcript must be the same.

    python redis_py_session.py PORT PASSWORD
"""

import sys
import threading

import redis
from redis.exceptions import LockError, LockNotOwnedError, RedisError, WatchError

PORT, PASSWORD = int(sys.argv[1]), sys.argv[2]


def connect(**options):
    # No retries: an error is part of the transcript when it happens, not when the client has given up.
    options = {"password": PASSWORD, "decode_responses": True, "protocol": 2, "retry": None, **options}
    return redis.Redis(host="127.0.0.1", port=PORT, **options)


def step(name):
    """A step of the transcript; what fails in it is part of it."""

    def run(body):
        print(f"@@ {name}", flush=True)
        try:
            body()
        except RedisError as error:
            print(type(error).__name__, error)

    return run


def refused(call, *arguments, **options):
    """Calls what must fail, and tells how."""
    try:
        print("was not refused:", call(*arguments, **options))
    except RedisError as error:
        print(type(error).__name__, error)


db = connect(health_check_interval=1, client_name="session")
three = connect(protocol=3)


@step("who does not know the password")
def _():
    refused(connect(password=None).ping)
    refused(connect(password="wrong").ping)
    refused(connect(username="nobody").ping)
    print(connect(username="default").ping())


@step("connections, in both protocols")
def _():
    db.flushall()
    print(db.ping(), three.ping(), db.client_getname(), three.client_getname())
    print(db.echo("hello"), db.client_setname("other"), db.client_getname())
    print(sorted(three.execute_command("HELLO", 3)))
    print(db.info("server")["redis_mode"], db.info("replication")["role"], db.info("clients")["blocked_clients"])
    print(db.config_get("timeout"), db.time()[0] > 1_600_000_000)


@step("strings and their lives")
def _():
    print(db.set("a", "1"), db.get("a"), db.set("a", "2", nx=True), db.set("a", "2", xx=True, get=True))
    print(db.set("b", "x", ex=100_000), db.ttl("b") > 99_000, db.persist("b"), db.ttl("b"), db.ttl("none"))
    print(db.incr("n"), db.incrby("n", 5), db.decr("n"), db.append("b", "yz"), db.strlen("b"))
    print(db.mset({"x": 1, "y": 2}), db.mget("x", "y", "none"), db.setnx("x", 3), db.getdel("x"), db.exists("x", "y"))
    print(db.expire("y", 100_000, nx=True), db.expire("y", 1, gt=True), db.pexpireat("y", 4_000_000_000_000))
    print(db.expiretime("y"), db.type("y"), db.rename("y", "z"), db.delete("z", "none"))
    refused(db.incr, "b")
    refused(db.rename, "none", "b")
    refused(db.execute_command, "NONSENSE", "1")
    refused(db.execute_command, "GET")


@step("an expired key is gone")
def _():
    db.set("short", "1", px=1)
    while db.get("short") is not None:
        pass
    print(db.exists("short"), db.dbsize())


@step("hashes")
def _():
    print(db.hset("h", mapping={"f": 1, "g": "two"}), db.hget("h", "g"), db.hgetall("h"), three.hgetall("h"))
    print(db.hmget("h", "f", "none"), db.hincrby("h", "f", 2), db.hincrbyfloat("h", "f", 0.5), three.hincrbyfloat("h", "f", 1))
    print(db.hdel("h", "g", "none"), db.hkeys("h"), db.hvals("h"), db.hlen("h"), db.hexists("h", "g"), db.hsetnx("h", "f", 1))
    print(list(db.hscan_iter("h")))
    refused(db.get, "h")


@step("every key, page by page")
def _():
    db.flushdb()
    db.mset({f"k{i}": i for i in range(500)})
    print(len(set(db.scan_iter(count=17))), sorted(db.scan_iter(match="k4[0-3]?")), len(db.keys("*")))
    db.hset("hash", "f", "1")
    print(list(db.scan_iter(_type="hash")), db.flushdb(), db.dbsize())


@step("streams")
def _():
    for i in range(1, 6):
        db.xadd("s", {"i": i}, id=f"{i}-0")
    print(db.xlen("s"), db.xrange("s", "2", "3"), db.xrevrange("s", count=1), db.xread({"s": "3"}), three.xread({"s": "4"}))
    print(db.xadd("s", {"i": 6}, id="6-0", maxlen=3, approximate=False), db.xtrim("s", minid="5-0", approximate=False), db.xdel("s", "5-0"))
    refused(db.xadd, "s", {"i": 1}, id="1-0")
    print(db.xread({"s": "$"}, block=1), db.xadd("t", {"a": 1}, nomkstream=True))
    made = db.xadd("auto", {"a": 1})
    print(db.xrange("auto")[0][0] == made, made.endswith("-0"))
    info = db.xinfo_stream("s")
    print({key: info[key] for key in ("length", "last-generated-id", "max-deleted-entry-id", "entries-added", "first-entry", "groups")})


@step("a consumer group")
def _():
    db.delete("s")
    print(db.xgroup_create("s", "g", id="0", mkstream=True))
    refused(db.xgroup_create, "s", "g")
    for i in range(1, 5):
        db.xadd("s", {"i": i}, id=f"{i}-0")
    print(db.xreadgroup("g", "one", {"s": ">"}, count=3))
    print(three.xreadgroup("g", "two", {"s": ">"}), db.xreadgroup("g", "two", {"s": ">"}, block=1))
    print(db.xpending("s", "g"), [e["message_id"] for e in db.xpending_range("s", "g", "-", "+", 10, consumername="one")])
    print(db.xack("s", "g", "1-0", "9-0"), db.xreadgroup("g", "one", {"s": "0"}))
    print(db.xclaim("s", "g", "two", 0, ["2-0"]), db.xclaim("s", "g", "two", 3_600_000, ["3-0"], justid=True))
    print(db.xautoclaim("s", "g", "three", 0, "0-0", count=1), db.xautoclaim("s", "g", "three", 0, justid=True))
    print([{k: g[k] for k in ("name", "consumers", "pending", "last-delivered-id", "entries-read", "lag")} for g in db.xinfo_groups("s")])
    print([(c["name"], c["pending"]) for c in db.xinfo_consumers("s", "g")])
    print(db.xgroup_delconsumer("s", "g", "three"), db.xgroup_setid("s", "g", "0"), db.xgroup_destroy("s", "g"))
    refused(db.xreadgroup, "g", "one", {"s": ">"})


@step("a blocked consumer is fed")
def _():
    db.xgroup_create("feed", "g", mkstream=True)
    heard = []
    reader = connect()
    thread = threading.Thread(target=lambda: heard.append(reader.xreadgroup("g", "one", {"feed": ">"}, block=0)))
    thread.start()
    while db.info("clients")["blocked_clients"] == 0:
        pass
    db.xadd("feed", {"price": 42}, id="1-1")
    thread.join()
    print(heard)


@step("a pipeline, and one that is a transaction")
def _():
    print(db.pipeline(transaction=False).set("a", 1).incr("a").get("a").execute())
    print(db.pipeline().set("a", 5).incr("a").hgetall("none").execute())
    print(db.pipeline().set("a", "x").incr("a").get("a").execute(raise_on_error=False))
    refused(db.pipeline().set("a", "x").execute_command("NONSENSE").execute)
    print(db.get("a"))


@step("optimistic locking with WATCH")
def _():
    db.set("balance", 10)
    with db.pipeline() as pipe:
        pipe.watch("balance")
        held = int(pipe.get("balance"))
        pipe.multi()
        pipe.set("balance", held - 3)
        print(pipe.execute(), db.get("balance"))
        pipe.watch("balance")
        pipe.multi()
        pipe.set("balance", 0)
        db.set("balance", 99)
        try:
            pipe.execute()
        except WatchError as error:
            print("WatchError", error, db.get("balance"))
    print(db.transaction(lambda p: (p.multi(), p.incr("balance")), "balance"))


@step("a lock is acquired, extended and released")
def _():
    lock = db.lock("lock:leader", timeout=100)
    other = three.lock("lock:leader", timeout=100)
    print(lock.acquire(blocking=False), other.acquire(blocking=False), lock.locked(), lock.owned(), other.owned())
    print(lock.extend(50), 140 < db.ttl("lock:leader") <= 150, lock.extend(200, replace_ttl=True), db.ttl("lock:leader") > 190)
    print(lock.reacquire(), db.ttl("lock:leader") <= 100, lock.release(), db.exists("lock:leader"))
    try:
        lock.release()
    except LockError as error:
        print("LockError", error)
    for act in (lock.release, lambda: lock.extend(10), lock.reacquire):
        db.delete("lock:leader")
        lock.acquire()
        db.set("lock:leader", "somebody else")
        try:
            act()
        except LockNotOwnedError as error:
            print("LockNotOwnedError", error)


@step("scripts")
def _():
    release = db.register_script(
        "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end"
    )
    db.set("token", "mine")
    print(release(keys=["token"], args=["other"]), release(keys=["token"], args=["mine"]), release.sha)
    print(db.script_exists(release.sha, "0" * 40), db.script_flush(), db.script_exists(release.sha))
    refused(db.evalsha, release.sha, 1, "token", "mine")
    refused(db.eval, "return redis.call('nonsense')", 0)


def conversation(client):
    pubsub = client.pubsub()
    pubsub.subscribe("news", "chat")
    pubsub.psubscribe("n*")
    for _ in range(3):
        print(pubsub.get_message(timeout=10))
    print(db.publish("news", "one"), db.publish("nobody", "two"), db.pubsub_numsub("news", "nobody"), db.pubsub_numpat())
    print(pubsub.get_message(timeout=10), pubsub.get_message(timeout=10), pubsub.get_message(timeout=10))
    print(sorted(db.pubsub_channels()), pubsub.ping(), pubsub.get_message(timeout=10))
    pubsub.unsubscribe("chat")
    pubsub.punsubscribe()
    print(pubsub.get_message(timeout=10), pubsub.get_message(timeout=10))
    pubsub.close()
    # The server notices a moment later.
    while db.pubsub_numsub("news") != [("news", 0)]:
        pass


@step("publish and subscribe")
def _():
    # Not `db`: its health checks would come between.
    conversation(connect())


@step("publish and subscribe, in RESP3")
def _():
    conversation(three)


@step("a health check after a silent while")
def _():
    # The interval is a second; the check is a PING before the next command.
    threading.Event().wait(1.1)
    print(db.ping(), db.get("none"))


@step("a client that is cut off comes back")
def _():
    cut = connect()
    print(db.client_kill_filter(_id=str(cut.client_id())), cut.ping())
