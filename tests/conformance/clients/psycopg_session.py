"""A session of psycopg 3 with the ledger, or with PostgreSQL: the transcript must be the same.

    python psycopg_session.py PORT
"""

import sys
import threading
from datetime import datetime, timezone
from decimal import Decimal

import psycopg
from psycopg import errors, sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

CONNECT = dict(host="127.0.0.1", port=int(sys.argv[1]), user="postgres", dbname="postgres")


def step(name):
    """Begins a step of the transcript; what fails in it is part of it."""

    def run(body):
        print(f"@@ {name}", flush=True)
        try:
            body()
        except psycopg.Error as error:
            print(type(error).__name__, error.sqlstate, error.diag.message_primary or error)

    return run


def refused(connection, query, params=None):
    """Runs what must fail, and tells how."""
    try:
        connection.execute(query, params)
        print("was not refused")
    except psycopg.Error as error:
        diag = error.diag
        print(type(error).__name__, error.sqlstate, diag.message_primary)
        print("   ", diag.message_detail, diag.constraint_name, diag.table_name, diag.column_name)


db = psycopg.connect(**CONNECT, autocommit=True)
notices = []
db.add_notice_handler(lambda diag: notices.append((diag.severity, diag.message_primary)))


@step("a table is made, and made again")
def _():
    db.execute("CREATE TABLE p (id INT PRIMARY KEY, n NUMERIC(10,3), t TEXT, b BOOLEAN, at TIMESTAMPTZ, j JSONB, k BIGINT)")
    db.execute("CREATE TABLE IF NOT EXISTS p (id INT)")
    print(notices)


@step("values of every type go in and come out, as text")
def _():
    moment = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=timezone.utc)
    row = (1, Decimal("12.5"), "it's é", True, moment, Jsonb({"a": [1, None]}), 2**40)
    db.execute("INSERT INTO p VALUES (%s, %s, %s, %s, %s, %s, %s)", row)
    print(db.execute("SELECT * FROM p").fetchone())


@step("and in binary")
def _():
    cursor = db.cursor(binary=True)
    cursor.execute("SELECT id, n, t, b, at, j, k FROM p WHERE id = %b", (1,))
    print(cursor.fetchone())
    print([(column.name, column.type_code, column.precision, column.scale) for column in cursor.description])


@step("nulls")
def _():
    db.execute("INSERT INTO p (id, t) VALUES (%s, %s)", (2, None))
    print(db.execute("SELECT * FROM p WHERE id = 2").fetchone())


@step("rows as dictionaries, by name")
def _():
    with db.cursor(row_factory=dict_row) as cursor:
        cursor.execute("SELECT id, t FROM p WHERE id = %(id)s", {"id": 1})
        print(cursor.fetchone(), cursor.rowcount, cursor.statusmessage)


@step("many rows")
def _():
    with db.cursor() as cursor:
        cursor.executemany("INSERT INTO p (id, k) VALUES (%s, %s)", [(n, n * n) for n in range(10, 20)])
        print(cursor.rowcount)
        cursor.execute("SELECT id, k FROM p WHERE k > %s ORDER BY id", (200,))
        print(cursor.fetchmany(2), cursor.fetchall())


@step("many rows with answers")
def _():
    with db.cursor() as cursor:
        cursor.executemany("UPDATE p SET k = k + 1 WHERE id = %s RETURNING k", [(10,), (11,)], returning=True)
        while True:
            print(cursor.fetchall())
            if not cursor.nextset():
                break


@step("a statement that is prepared and used again")
def _():
    for n in (10, 11, 12):
        print(db.execute("SELECT k FROM p WHERE id = %s", (n,), prepare=True).fetchone())


@step("a pipeline")
def _():
    with db.pipeline():
        one = db.execute("SELECT 1")
        two = db.execute("SELECT count(*) FROM p")
        print(one.fetchone(), two.fetchone())


@step("errors, by class")
def _():
    refused(db, "INSERT INTO p (id) VALUES (1)")
    refused(db, "INSERT INTO p (id) VALUES (NULL)")
    refused(db, "INSERT INTO p (id, n) VALUES (3, 12345678)")
    refused(db, "SELECT 1 / 0")
    refused(db, "SELECT * FROM nosuch")
    refused(db, "SELECT nocolumn FROM p")
    refused(db, "SELEC 1")
    refused(db, "SELECT %s::int", ("x",))
    refused(db, "SELECT nosuch(1)")
    refused(db, "SELECT 1 = true")
    refused(db, "INSERT INTO p (id) VALUES (%s)", ("abc",))


@step("a transaction, and its end by an exception")
def _():
    try:
        with db.transaction():
            db.execute("INSERT INTO p (id) VALUES (30)")
            raise RuntimeError
    except RuntimeError:
        pass
    print(db.execute("SELECT count(*) FROM p WHERE id = 30").fetchone())


@step("nested transactions are savepoints")
def _():
    with db.transaction():
        db.execute("INSERT INTO p (id) VALUES (31)")
        try:
            with db.transaction():
                db.execute("INSERT INTO p (id) VALUES (32)")
                db.execute("INSERT INTO p (id) VALUES (31)")
        except errors.UniqueViolation as error:
            print("refused:", error.diag.constraint_name)
        print(db.info.transaction_status.name)
    print(db.execute("SELECT id FROM p WHERE id > 29").fetchall(), db.info.transaction_status.name)


@step("a failed transaction refuses more")
def _():
    with psycopg.connect(**CONNECT) as other:
        refused(other, "SELECT 1 / 0")
        refused(other, "SELECT 1")
        print(other.info.transaction_status.name)
        other.rollback()
        print(other.execute("SELECT 1").fetchone())


@step("uncommitted rows are seen by nobody else")
def _():
    with psycopg.connect(**CONNECT) as other:
        other.execute("INSERT INTO p (id) VALUES (40)")
        print(db.execute("SELECT count(*) FROM p WHERE id = 40").fetchone())
        other.commit()
        print(db.execute("SELECT count(*) FROM p WHERE id = 40").fetchone())


@step("a lock is waited for no longer than told")
def _():
    with psycopg.connect(**CONNECT) as other:
        other.execute("UPDATE p SET k = 0 WHERE id = 40")
        db.execute("SET lock_timeout = '50ms'")
        refused(db, "UPDATE p SET k = 1 WHERE id = 40")
        refused(db, "SELECT * FROM p WHERE id = 40 FOR UPDATE NOWAIT")
        print(db.execute("SELECT id FROM p WHERE id >= 31 ORDER BY id FOR UPDATE SKIP LOCKED").fetchall())
        db.execute("SET lock_timeout = 0")


@step("a statement that waits is cancelled")
def _():
    with psycopg.connect(**CONNECT) as other:
        other.execute("UPDATE p SET k = 0 WHERE id = 40")
        timer = threading.Timer(0.2, db.cancel)
        timer.start()
        refused(db, "UPDATE p SET k = 1 WHERE id = 40")
        timer.join()


@step("a statement is stopped after its time")
def _():
    with psycopg.connect(**CONNECT) as other:
        other.execute("UPDATE p SET k = 0 WHERE id = 40")
        db.execute("SET statement_timeout = '50ms'")
        refused(db, "UPDATE p SET k = 1 WHERE id = 40")
        db.execute("SET statement_timeout = 0")


@step("a named cursor")
def _():
    with psycopg.connect(**CONNECT) as other:
        with other.cursor(name="slowly") as cursor:
            cursor.execute("SELECT id FROM p ORDER BY id")
            print(cursor.fetchmany(3), cursor.fetchone())


@step("rows are streamed")
def _():
    print([row for row in db.cursor().stream("SELECT id FROM p WHERE id < 13 ORDER BY id")])


@step("rows are copied in and out")
def _():
    with db.cursor() as cursor:
        with cursor.copy("COPY p (id, t) FROM STDIN") as copy:
            copy.write_row((50, "copied"))
            copy.write_row((51, None))
        with cursor.copy("COPY (SELECT id, t FROM p WHERE id >= 50 ORDER BY id) TO STDOUT") as copy:
            print(list(copy.rows()))


@step("names are quoted")
def _():
    query = sql.SQL("SELECT {} FROM {} WHERE id = %s").format(sql.Identifier("t"), sql.Identifier("p"))
    print(db.execute(query, (1,)).fetchone())


@step("arrays as parameters")
def _():
    print(db.execute("SELECT id FROM p WHERE id = ANY(%s) ORDER BY id", ([1, 2, 10],)).fetchall())


@step("settings")
def _():
    print(db.info.encoding, db.info.timezone, db.info.parameter_status("standard_conforming_strings"))
    db.execute("SET application_name = 'session'")
    print(db.info.parameter_status("application_name"))


@step("several statements in one")
def _():
    cursor = db.execute("SELECT 1; SELECT 2")
    print(cursor.fetchone(), cursor.nextset(), cursor.fetchone())


@step("the connection is closed")
def _():
    db.close()
    refused(db, "SELECT 1") if not db.closed else print("closed")
