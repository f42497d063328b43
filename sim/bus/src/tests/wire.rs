//! Exact answers, byte for byte as Redis 7.4 gives them.

use super::world::World;
use crate::Config;

/// Each command and the lines of its answer, separated by `|`.
pub(super) async fn check(session: &[(&str, &str)]) {
    let world = World::start().await;
    let commands: Vec<&str> = session.iter().map(|(command, _)| *command).collect();
    let expected: Vec<&str> = session.iter().flat_map(|(_, answer)| answer.split('|')).collect();
    let answers = world.answers(&commands).await.join("|");
    let answers: Vec<&str> = answers.split('|').collect();
    for (line, (seen, wanted)) in answers.iter().zip(&expected).enumerate() {
        assert_eq!(seen, wanted, "line {line} of {answers:#?}");
    }
    assert_eq!(answers.len(), expected.len(), "{answers:#?}");
}

#[tokio::test(start_paused = true)]
async fn strings() {
    check(&[
        ("SET a 1", "+OK"),
        ("GET a", "$1|1"),
        ("GET b", "$-1"),
        ("SET a 2 NX", "$-1"),
        ("SET b 2 XX", "$-1"),
        ("SET a 2 XX GET", "$1|1"),
        ("SET b 3 NX GET", "$-1"),
        ("SET a 2 NX XX", "-ERR syntax error"),
        ("SET a 2 EX 10 PX 10", "-ERR syntax error"),
        ("SET a 2 EX 10 KEEPTTL", "-ERR syntax error"),
        ("SET a 2 EX", "-ERR syntax error"),
        ("SET a 2 EX x", "-ERR value is not an integer or out of range"),
        ("SET a 2 EX 0", "-ERR invalid expire time in 'set' command"),
        ("SET a 2 EX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
        ("SET a 2 PX 9223372036854775807", "-ERR invalid expire time in 'set' command"),
        ("SET a 2 EXAT 1700000010", "+OK"),
        ("TTL a", ":10"),
        ("SET a 3 KEEPTTL", "+OK"),
        ("PTTL a", ":10000"),
        ("SET a 4 PXAT 1600000000000", "+OK"),
        ("GET a", "$-1"),
        ("INCR n", ":1"),
        ("INCRBY n 41", ":42"),
        ("DECR n", ":41"),
        ("DECRBY n 50", ":-9"),
        ("DECRBY n -9223372036854775808", "-ERR decrement would overflow"),
        ("SET n 9223372036854775807", "+OK"),
        ("INCR n", "-ERR increment or decrement would overflow"),
        ("INCRBY n x", "-ERR value is not an integer or out of range"),
        ("SET t text", "+OK"),
        ("INCR t", "-ERR value is not an integer or out of range"),
        ("APPEND t ure", ":7"),
        ("STRLEN t", ":7"),
        ("STRLEN none", ":0"),
        ("MSET x 1 y 2", "+OK"),
        ("MSET x 1 y", "-ERR wrong number of arguments for 'mset' command"),
        ("MGET x none y", "*3|$1|1|$-1|$1|2"),
        ("SETNX x 5", ":0"),
        ("GETDEL x", "$1|1"),
        ("GETDEL x", "$-1"),
        ("SETNX x 5", ":1"),
        ("GET", "-ERR wrong number of arguments for 'get' command"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn keys() {
    check(&[
        ("MSET a 1 b 2", "+OK"),
        ("EXISTS a a b c", ":3"),
        ("TYPE a", "+string"),
        ("TYPE c", "+none"),
        ("EXPIRE a 10", ":1"),
        ("EXPIRE c 10", ":0"),
        ("EXPIRE a 20 NX", ":0"),
        ("EXPIRE b 20 XX", ":0"),
        ("EXPIRE a 5 GT", ":0"),
        ("EXPIRE a 5 LT", ":1"),
        ("EXPIRE b 5 GT", ":0"),
        ("EXPIRE a 5 NX GT", "-ERR NX and XX, GT or LT options at the same time are not compatible"),
        ("EXPIRE a 5 GT LT", "-ERR GT and LT options at the same time are not compatible"),
        ("EXPIRE a 5 no", "-ERR Unsupported option no"),
        ("PTTL a", ":5000"),
        ("PERSIST a", ":1"),
        ("PERSIST a", ":0"),
        ("TTL a", ":-1"),
        ("TTL c", ":-2"),
        ("PEXPIRE a 1499", ":1"),
        ("TTL a", ":1"),
        ("PEXPIRE a 1500", ":1"),
        ("TTL a", ":2"),
        ("EXPIRE a 9223372036854775807", "-ERR invalid expire time in 'expire' command"),
        ("PEXPIRE a -1", ":1"),
        ("EXISTS a", ":0"),
        ("DBSIZE", ":1"),
        ("DEL a b c", ":1"),
        ("SET a 1", "+OK"),
        ("FLUSHALL never", "-ERR syntax error"),
        ("FLUSHALL async", "+OK"),
        ("DBSIZE", ":0"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn streams() {
    let not_newer = "-ERR The ID specified in XADD is equal or smaller than the target stream top item";
    let invalid = "-ERR Invalid stream ID specified as stream command argument";
    check(&[
        ("XADD s NOMKSTREAM 1-1 k v", "$-1"),
        ("XADD s 0-0 k v", "-ERR The ID specified in XADD must be greater than 0-0"),
        ("EXISTS s", ":0"),
        ("XADD s 1-1 k v", "$3|1-1"),
        ("XADD s 1-1 k v", not_newer),
        ("XADD s 1-* k v", "$3|1-2"),
        ("XADD s 2 k v", "$3|2-0"),
        ("XADD s 3-1 k v x", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD s MAXLEN 1 2-1", "-ERR wrong number of arguments for 'xadd' command"),
        ("XADD s a-1 k v", invalid),
        ("XADD s + k v", invalid),
        ("XLEN s", ":3"),
        ("XRANGE s - + COUNT 1", "*1|*2|$3|1-1|*2|$1|k|$1|v"),
        ("XRANGE s (1-1 1", "*1|*2|$3|1-2|*2|$1|k|$1|v"),
        ("XREVRANGE s + (1-2", "*1|*2|$3|2-0|*2|$1|k|$1|v"),
        ("XREVRANGE s + - COUNT 0", "*-1"),
        ("XRANGE none - +", "*0"),
        ("XRANGE s 2-1 1-1", "*0"),
        ("XRANGE s - + COUNT", "-ERR syntax error"),
        ("XRANGE s ( +", invalid),
        ("XREAD COUNT 1 STREAMS none s 0 1-2", "*1|*2|$1|s|*1|*2|$3|2-0|*2|$1|k|$1|v"),
        ("XREAD STREAMS s $", "*-1"),
        ("XREAD STREAMS s +", invalid),
        ("XREAD STREAMS s t 0", "-ERR Unbalanced XREAD list of streams: for each stream key an ID or '$' must be specified."),
        ("XREAD BLOCK -1 STREAMS s 0", "-ERR timeout is negative"),
        ("XREAD BLOCK x STREAMS s 0", "-ERR timeout is not an integer or out of range"),
        ("XREAD COUNT 1 BLOCK 1", "-ERR syntax error"),
        ("XDEL s 1-1 9-9", ":1"),
        ("XDEL s 1-2 x", invalid),
        ("XLEN s", ":2"),
        (
            "XINFO STREAM s",
            "*20|$6|length|:2|$15|radix-tree-keys|:1|$16|radix-tree-nodes|:2|$17|last-generated-id|$3|2-0|\
             $20|max-deleted-entry-id|$3|1-1|$13|entries-added|:3|$23|recorded-first-entry-id|$3|1-2|$6|groups|:0|\
             $11|first-entry|*2|$3|1-2|*2|$1|k|$1|v|$10|last-entry|*2|$3|2-0|*2|$1|k|$1|v",
        ),
        ("XINFO STREAM none", "-ERR no such key"),
        ("XTRIM s MAXLEN 1", ":1"),
        ("XTRIM s MINID ~ 9", ":1"),
        ("XADD s MAXLEN = 1 3-1 k v", "$3|3-1"),
        ("XADD s MAXLEN = 1 3-2 k v", "$3|3-2"),
        ("XLEN s", ":1"),
        ("XTRIM s MAXLEN -1", "-ERR The MAXLEN argument must be >= 0."),
        ("XTRIM s MAXLEN 1 LIMIT 5", "-ERR syntax error, LIMIT cannot be used without the special ~ option"),
        (
            "XTRIM s MAXLEN 1 MINID 1",
            "-ERR syntax error, MAXLEN and MINID options at the same time are not compatible",
        ),
        ("XTRIM s NOMKSTREAM 5", "-ERR syntax error"),
        ("XADD s 18446744073709551615-18446744073709551615 k v", "$41|18446744073709551615-18446744073709551615"),
        ("XADD s * k v", "-ERR The stream has exhausted the last possible ID, unable to add more items"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn values_of_the_wrong_type_are_refused_and_kept() {
    let wrong = "-WRONGTYPE Operation against a key holding the wrong kind of value";
    check(&[
        ("SET a 1", "+OK"),
        ("XADD s 1-1 k v", "$3|1-1"),
        ("XADD a * k v", wrong),
        ("XLEN a", wrong),
        ("XREAD STREAMS a 0", wrong),
        ("XRANGE a - +", wrong),
        ("GET s", wrong),
        ("INCR s", wrong),
        ("APPEND s x", wrong),
        ("SET s 1 GET", wrong),
        ("MGET s a", "*2|$-1|$1|1"),
        ("XLEN s", ":1"),
        ("SET s 1", "+OK"),
        ("TYPE s", "+string"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn connections() {
    check(&[
        ("PING", "+PONG"),
        ("ping hello", "$5|hello"),
        ("PING a b", "-ERR wrong number of arguments for 'ping' command"),
        ("ECHO hi", "$2|hi"),
        ("CLIENT ID", ":1"),
        ("CLIENT GETNAME", "$-1"),
        ("CLIENT SETNAME me", "+OK"),
        ("CLIENT GETNAME", "$2|me"),
        ("CLIENT SETINFO LIB-NAME x", "+OK"),
        ("CLIENT SETINFO nonsense x", "-ERR Unrecognized option 'nonsense'"),
        ("CLIENT SETNAME a b", "-ERR wrong number of arguments for 'client|setname' command"),
        ("CLIENT nonsense", "-ERR unknown subcommand 'nonsense'. Try CLIENT HELP."),
        ("SELECT 0", "+OK"),
        ("SELECT 1", "-ERR DB index is out of range"),
        ("HELLO 4", "-NOPROTO unsupported protocol version"),
        ("HELLO x", "-ERR Protocol version is not an integer or out of range"),
        ("HELLO 2 NONSENSE", "-ERR Syntax error in HELLO option 'NONSENSE'"),
        ("nonsense a bc", "-ERR unknown command 'nonsense', with args beginning with: 'a' 'bc' "),
        ("INFO replication", "$48|# Replication|role:master|connected_slaves:0|"),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn resp3_has_maps_nulls_and_verbatim_text() {
    let world = World::start().await;
    world.answers(&["XADD s 1-1 k v"]).await;
    let answers = world
        .answers(&[
            "HELLO 3 SETNAME me",
            "GET none",
            "XREAD STREAMS s 0",
            "XREAD STREAMS s $",
            "INFO keyspace",
            "HELLO",
        ])
        .await;
    let head = "%7|$6|server|$5|redis|$7|version|$6|7.0.15|$5|proto|:3|$2|id|:2|$4|mode|$10|standalone|$4|role|$6|master|\
                $7|modules|*0";
    let text = "_|%1|$1|s|*1|*2|$3|1-1|*2|$1|k|$1|v|_|=48|txt:# Keyspace|db0:keys=1,expires=0,avg_ttl=0|";
    assert_eq!(answers.join("|"), format!("{head}|{text}|{head}"));
}

#[tokio::test(start_paused = true)]
async fn a_protocol_error_is_named_and_ends_the_connection() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["PING"]).await;
    client.send_raw(b"*1\r\n:1\r\n").await;
    assert_eq!(client.rest().await, ["+PONG", "-ERR Protocol error: expected '$', got ':'"]);
}

#[tokio::test(start_paused = true)]
async fn limits_bound_arguments_strings_and_requests() {
    let world = World::with(Config { max_bulk: 8, max_request: 64, ..Config::default() }).await;
    let too_long = "-ERR string exceeds maximum allowed size (proto-max-bulk-len)";
    assert_eq!(world.answers(&["APPEND a 12345678", "APPEND a 9", "STRLEN a"]).await, [":8", too_long, ":8"]);
    let mut client = world.client();
    client.send(&["SET a 123456789"]).await;
    assert_eq!(client.rest().await, ["-ERR Protocol error: invalid bulk length"]);
    let mut client = world.client();
    client.send(&["MSET 1 12345678 2 12345678 3 12345678"]).await;
    assert_eq!(client.rest().await, ["-ERR Protocol error: too big request"]);
}

#[tokio::test(start_paused = true)]
async fn a_long_pipeline_to_a_client_that_reads_late_is_answered_completely() {
    let world = World::start().await;
    let value = "v".repeat(10_000);
    world.answers(&[&format!("SET a {value}")]).await;
    let answers = world.answers(&vec!["GET a"; 1_000]).await;
    assert_eq!(answers.len(), 2_000);
    assert!(answers.iter().skip(1).step_by(2).all(|answer| *answer == value));
}
