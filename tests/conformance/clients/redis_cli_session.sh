#!/usr/bin/env bash
# A session of redis-cli with the bus, or with Redis: the transcript must be the same.
#
#     redis_cli_session.sh REDIS_CLI PORT PASSWORD
#
# A step prints `@@ name` and then what redis-cli prints, formatted as for a person. Both servers have a password.
set -uo pipefail

client=$1
port=$2
password=$3
unset REDISCLI_AUTH

# One call of redis-cli.
cli() { "$client" -h 127.0.0.1 -p "$port" --no-auth-warning "$@" 2>&1; }
# The same, as the user who knows the password.
known() { cli -a "$password" "$@"; }

# A session on one connection: commands from standard input, answers formatted.
step() {
    echo "@@ $1"
    known --no-raw
}

echo "@@ nobody gets in without the password"
cli --no-raw <<END
PING
SET a 1
NONSENSE
AUTH wrong
AUTH default wrong
AUTH nobody $password
AUTH $password
SET a 1
GET a
HELLO 2 AUTH default wrong
END

echo "@@ the password on the command line"
known PING
cli -a wrong PING
cli -3 -a "$password" --no-raw HGETALL nothing

step "strings" <<'END'
FLUSHALL
PING
PING hello
ECHO "hello world"
SET greeting hello
GET greeting
GET nothing
SET greeting hi XX GET
SET greeting ho NX
APPEND greeting " there"
STRLEN greeting
GETRANGE greeting 0 3
INCR counter
INCRBY counter 41
INCR greeting
SET lock me NX PX 100000000
SET lock you NX PX 100000000
EXPIRE greeting 100000
PERSIST greeting
TTL greeting
TTL nothing
TYPE greeting
MSET x 1 y 2
MGET x y z
DEL x y z
EXISTS greeting greeting nothing
GET
SET a b c d
NONSENSE 1 2
END

step "hashes" <<'END'
HSET state halted 1 reason panic source watchdog
HGETALL state
HGET state reason
HMGET state reason nothing halted
HINCRBY state halted 1
HINCRBYFLOAT state halted 0.5
HDEL state source
HKEYS state
HVALS state
HLEN state
HEXISTS state reason
GET state
END

step "streams and a group" <<'END'
XADD fills 1-1 id 1 qty 2
XADD fills 2-1 id 2 qty 3
XADD fills 2-1 id 3 qty 3
XADD fills MAXLEN 10 3-1 id 3 qty 4
XLEN fills
XRANGE fills - +
XREVRANGE fills + - COUNT 1
XREAD COUNT 2 STREAMS fills 0
XREAD STREAMS fills $
XGROUP CREATE fills book 0
XGROUP CREATE fills book 0
XGROUP CREATE nothing book 0
XREADGROUP GROUP book one COUNT 2 STREAMS fills >
XREADGROUP GROUP book two STREAMS fills >
XREADGROUP GROUP book two STREAMS fills >
XREADGROUP GROUP book one STREAMS fills 0
XREADGROUP GROUP nobody one STREAMS fills >
XPENDING fills book
XACK fills book 1-1 9-9
XCLAIM fills book two 0 2-1 JUSTID
XAUTOCLAIM fills book three 0 0 COUNT 10 JUSTID
XPENDING fills book
XINFO GROUPS fills
XDEL fills 3-1
XTRIM fills MAXLEN 1
XGROUP DELCONSUMER fills book three
XGROUP DESTROY fills book
END

step "a transaction" <<'END'
MULTI
SET a 1
INCR a
HSET a
EXEC
MULTI
SET a 1
INCR a
HGETALL a
GET a
EXEC
MULTI
SET a 2
DISCARD
WATCH a
SET a 3
MULTI
GET a
EXEC
EXEC
MULTI
MULTI
EXEC
GET a
END

step "a lock script" <<'END'
SET lock token
EVAL "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end" 1 lock other
EVAL "if redis.call('get', KEYS[1]) == ARGV[1] then return redis.call('del', KEYS[1]) else return 0 end" 1 lock token
SCRIPT LOAD "return 1"
EVALSHA e0e1f9fabfc9d4800c877a703b823ac0578ff8db 0
EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
SCRIPT EXISTS e0e1f9fabfc9d4800c877a703b823ac0578ff8db ffffffffffffffffffffffffffffffffffffffff
END

echo "@@ every key, by --scan"
known FLUSHALL
known MSET one 1 two 2 three 3 other 4
known --scan | sort
known --scan --pattern 't*' | sort

echo "@@ a file of commands, by --pipe"
printf '*3\r\n$3\r\nSET\r\n$5\r\npiped\r\n$1\r\n1\r\n*2\r\n$4\r\nINCR\r\n$5\r\npiped\r\n*1\r\n$8\r\nNONSENSE\r\n' | known --pipe
known GET piped

echo "@@ a subscriber hears what is published"
# `exec`, so that killing it ends the client and not a shell around it.
coproc LISTENER { exec "$client" -h 127.0.0.1 -p "$port" --no-auth-warning -a "$password" --csv SUBSCRIBE news; }
listener=$LISTENER_PID
read -r line <&"${LISTENER[0]}" && echo "$line"
read -r line <&"${LISTENER[0]}" && echo "$line"
known PUBLISH news 'first, "quoted"'
read -r line <&"${LISTENER[0]}" && echo "$line"
known PUBSUB NUMSUB news other
kill "$listener"
wait "$listener" 2>/dev/null
# The server notices a moment later.
until [[ $(known --csv PUBSUB NUMSUB news) == '"news",0' ]]; do :; done

echo "@@ a blocked reader is fed"
heard=$(mktemp)
known XREAD BLOCK 0 STREAMS feed '$' >"$heard" &
until known INFO clients | grep -q '^blocked_clients:1'; do :; done
known XADD feed 7-7 price 42
wait $!
cat "$heard"
rm "$heard"

echo "@@ what INFO says"
known INFO server | tr -d '\r' | grep -E '^(redis_mode|# )'
known INFO replication | tr -d '\r' | grep -E '^(role|connected_slaves)'
known INFO keyspace | tr -d '\r' | sed 's/,avg_ttl.*//'
known INFO persistence | tr -d '\r' | grep -E '^(loading|aof_enabled|aof_last_write_status)'
known INFO nonsense

echo "@@ settings"
known CONFIG GET maxmemory
known CONFIG GET 'appendfs*'
known CONFIG GET timeout nonsense
known CONFIG SET nonsense 1
known CONFIG SET maxclients many
known CLIENT SETNAME me
known CLIENT NONSENSE
