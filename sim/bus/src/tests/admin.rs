//! Passwords, limits, settings, and clients that meddle with each other.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::world::World;
use crate::Config;

async fn with_password() -> World {
    World::with(Config { password: Some("pw".into()), ..Config::default() }).await
}

#[tokio::test(start_paused = true)]
async fn who_does_not_know_the_password_gets_no_further() {
    let world = with_password().await;
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    let answers = world
        .answers(&[
            "PING",
            "nonsense",
            "GET",
            "HELLO 3",
            "AUTH no",
            "AUTH other pw",
            "HELLO 2 AUTH default no",
            "AUTH default pw",
            "PING",
            "RESET",
            "PING",
        ])
        .await;
    let greeting = "-NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO AUTH <user> <pass> \
                    option can be used to authenticate the client and select the RESP protocol version at the same time";
    let noauth = "-NOAUTH Authentication required.";
    let expected = [
        noauth,
        "-ERR unknown command 'nonsense', with args beginning with: ",
        "-ERR wrong number of arguments for 'get' command",
        greeting,
        wrong,
        wrong,
        wrong,
        "+OK",
        "+PONG",
        "+RESET",
        noauth,
    ];
    assert_eq!(answers, expected);
}

#[tokio::test(start_paused = true)]
async fn a_stranger_may_send_only_little() {
    let world = with_password().await;
    let mut client = world.client();
    client.send_raw(b"*11\r\n").await;
    assert_eq!(client.rest().await, ["-ERR Protocol error: unauthenticated multibulk length"]);
    let mut client = world.client();
    client.send_raw(b"*1\r\n$16385\r\n").await;
    assert_eq!(client.rest().await, ["-ERR Protocol error: unauthenticated bulk length"]);
}

#[tokio::test(start_paused = true)]
async fn without_a_password_auth_says_that_there_is_none() {
    let world = World::start().await;
    let none = "-ERR AUTH <password> called without any password configured for the default user. Are you sure your \
                configuration is correct?";
    let wrong = "-WRONGPASS invalid username-password pair or user is disabled.";
    let answers = world.answers(&["AUTH x", "AUTH default x", "AUTH other x", "AUTH a b c"]).await;
    assert_eq!(answers, [none, "+OK", wrong, "-ERR syntax error"]);
}

#[tokio::test(start_paused = true)]
async fn one_client_too_many_is_told_so() {
    let world = World::with(Config { max_clients: 2, ..Config::default() }).await;
    let (mut first, mut second) = (world.client(), world.client());
    first.send(&["PING"]).await;
    second.send(&["PING"]).await;
    assert_eq!((first.lines(1).await, second.lines(1).await), (vec!["+PONG".into()], vec!["+PONG".into()]));
    let mut third = world.client();
    assert_eq!(third.rest().await, ["-ERR max number of clients reached"]);
    drop(second);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(world.answers(&["CLIENT ID"]).await, [":3"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_sent_away_unless_it_waits_or_listens() {
    let world = World::with(Config { idle_timeout: Duration::from_secs(10), ..Config::default() }).await;
    let (mut idle, mut waits, mut listens) = (world.client(), world.client(), world.client());
    idle.send(&["PING"]).await;
    waits.send(&["XREAD BLOCK 60000 STREAMS s $"]).await;
    listens.send(&["SUBSCRIBE a"]).await;
    let began = Instant::now();
    assert_eq!(idle.rest().await, ["+PONG"]);
    assert_eq!(began.elapsed(), Duration::from_secs(10));
    sleep(Duration::from_secs(20)).await;
    assert_eq!(world.shared.state().clients.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn clients_are_listed_and_killed() {
    let world = World::start().await;
    let mut victim = world.client();
    victim.send(&["CLIENT SETNAME victim", "SUBSCRIBE a"]).await;
    victim.lines(7).await;
    let answers = world
        .answers(&[
            "CLIENT LIST TYPE pubsub",
            "CLIENT KILL ID 99",
            "CLIENT KILL 1.2.3.4:5",
            "CLIENT KILL TYPE nobody",
            "CLIENT KILL ID x",
            "CLIENT KILL TYPE pubsub",
            "CLIENT KILL TYPE pubsub",
        ])
        .await;
    let line = "id=1 addr=127.0.0.1:6379 name=victim age=0 idle=0 flags=P db=0 sub=1 psub=0 ssub=0 multi=-1 omem=0 \
                cmd=subscribe user=default redir=-1 resp=2\n";
    assert_eq!(answers[..2], [format!("${}", line.len()), line.to_owned()]);
    let expected = [
        ":0",
        "-ERR No such client",
        "-ERR Unknown client type 'nobody'",
        "-ERR client-id should be greater than 0",
        ":1",
        ":0",
    ];
    assert_eq!(answers[2..], expected);
    assert_eq!(victim.rest().await, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_kills_itself_is_answered_first() {
    let world = World::start().await;
    let mut client = world.client();
    client.send(&["CLIENT KILL SKIPME no ID 1", "PING"]).await;
    assert_eq!(client.rest().await, [":1"]);
}

#[tokio::test(start_paused = true)]
async fn a_waiting_client_is_unblocked_with_and_without_an_error() {
    let world = World::start().await;
    let mut client = world.client();
    for (how, answer) in [
        ("CLIENT UNBLOCK 1", "*-1"),
        ("CLIENT UNBLOCK 1 ERROR", "-UNBLOCKED client unblocked via CLIENT UNBLOCK"),
    ] {
        client.send(&["XREAD BLOCK 0 STREAMS s $"]).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.answers(&[how, "CLIENT UNBLOCK 2"]).await, [":1", ":0"]);
        assert_eq!(client.lines(1).await, [answer]);
    }
    assert_eq!(world.answers(&["CLIENT UNBLOCK 1"]).await, [":0"]);
}

#[tokio::test(start_paused = true)]
async fn replies_are_withheld_from_who_does_not_want_them() {
    let world = World::start().await;
    let answers = world
        .answers(&[
            "CLIENT REPLY SKIP",
            "ECHO skipped",
            "PING",
            "CLIENT REPLY OFF",
            "ECHO no",
            "nonsense",
            "CLIENT REPLY ON",
            "CLIENT REPLY perhaps",
        ])
        .await;
    assert_eq!(answers, ["+PONG", "+OK", "-ERR syntax error"]);
}

#[tokio::test(start_paused = true)]
async fn paused_writes_wait_and_reads_go_on() {
    let world = World::start().await;
    let (mut reader, mut writer) = (world.client(), world.client());
    assert_eq!(world.answers(&["CLIENT PAUSE 5000 WRITE"]).await, ["+OK"]);
    let began = Instant::now();
    writer.send(&["SET a 1"]).await;
    reader.send(&["GET a"]).await;
    assert_eq!(reader.lines(1).await, ["$-1"]);
    assert_eq!(began.elapsed(), Duration::ZERO);
    assert_eq!(writer.lines(1).await, ["+OK"]);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    world.answers(&["CLIENT PAUSE 60000 WRITE"]).await;
    writer.send(&["SET a 2"]).await;
    sleep(Duration::from_secs(1)).await;
    world.answers(&["CLIENT UNPAUSE"]).await;
    assert_eq!(writer.lines(1).await, ["+OK"]);
    assert_eq!(began.elapsed(), Duration::from_secs(6));
}

#[tokio::test(start_paused = true)]
async fn settings_are_shown_and_some_can_be_changed() {
    let world = World::start().await;
    let failed = |setting: &str, reason: &str| {
        format!("-ERR CONFIG SET failed (possibly related to argument '{setting}') - {reason}")
    };
    let answers = world
        .answers(&[
            "CONFIG GET appendonly maxcl*",
            "CONFIG GET nothing",
            "CONFIG SET maxclients 5 timeout x",
            "CONFIG SET maxclients 0",
            "CONFIG SET databases 3",
            "CONFIG SET nothing 1",
            "CONFIG SET timeout 1 timeout 2",
            "CONFIG SET a b c",
            "CONFIG SET appendfsync sometimes",
            "CONFIG SET maxclients 5 timeout 7 auto-aof-rewrite-min-size 1mb requirepass pw",
            "CONFIG GET timeout maxclients auto-aof-rewrite-min-size",
            "CONFIG SET",
            "CONFIG nothing",
            "CONFIG REWRITE",
            "CONFIG RESETSTAT",
        ])
        .await
        .join("|");
    let expected = [
        "*4|$10|appendonly|$2|no|$10|maxclients|$5|10000|*0",
        &failed("timeout", "argument couldn't be parsed into an integer"),
        &failed("maxclients", "argument must be between 1 and 4294967295 inclusive"),
        &failed("databases", "can't set immutable config"),
        "-ERR Unknown option or number of arguments for CONFIG SET - 'nothing'",
        &failed("timeout", "duplicate parameter"),
        "-ERR syntax error",
        &failed("appendfsync", "argument(s) must be one of the following: everysec, always, no"),
        "+OK",
        "*6|$25|auto-aof-rewrite-min-size|$7|1048576|$10|maxclients|$1|5|$7|timeout|$1|7",
        "-ERR wrong number of arguments for 'config|set' command",
        "-ERR unknown subcommand 'nothing'. Try CONFIG HELP.",
        "-ERR The server is running without a config file",
        "+OK",
    ];
    assert_eq!(answers, expected.join("|"));
    assert_eq!(
        world.answers(&["PING", "AUTH pw", "PING"]).await[..2],
        ["-NOAUTH Authentication required.", "+OK"]
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_not_supported_says_so() {
    let world = World::start().await;
    let no_snapshots = "-ERR snapshots (RDB files) are not supported: data is kept by the append-only file";
    let answers = world.answers(&["SAVE", "BGSAVE", "SHUTDOWN SAVE", "SHUTDOWN ABORT"]).await;
    assert_eq!(answers, [no_snapshots, no_snapshots, no_snapshots, "-ERR No shutdown in progress."]);
}

#[tokio::test(start_paused = true)]
async fn waiting_for_replicas_takes_its_time_and_finds_none() {
    let world = World::start().await;
    let began = Instant::now();
    assert_eq!(world.answers(&["WAIT 0 1000", "WAIT 1 1000"]).await, [":0", ":0"]);
    assert_eq!(began.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn commands_tell_where_their_keys_are() {
    let world = World::start().await;
    let answers = world.answers(&["COMMAND INFO publish nothing"]).await.join("|");
    assert_eq!(answers, "*2|*10|$7|publish|:3|*0|:0|:0|:0|*0|*0|*0|*0|*-1");
}

#[tokio::test(start_paused = true)]
async fn the_epoch_can_be_read_and_nothing_else() {
    let world = World::start().await;
    let answers = world
        .answers(&[
            "GET bus:dataset_epoch",
            "EXISTS bus:dataset_epoch",
            "SET bus:dataset_epoch 1",
            "DEL a bus:dataset_epoch",
            "SET a bus:dataset_epoch",
            "DEL a",
            "DBSIZE",
            "FLUSHALL",
            "GET bus:dataset_epoch",
        ])
        .await;
    let refused = "-ERR the key 'bus:dataset_epoch' is read-only";
    assert_eq!(answers[0], "$16");
    assert_eq!(answers[2..8], [":1", refused, refused, "+OK", ":1", ":0"]);
    assert_eq!(answers[10], answers[1], "clients took data away, the server lost none");
}
