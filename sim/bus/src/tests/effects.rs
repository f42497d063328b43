//! Effects lead to the same data: whatever commands did, their effects do again on an empty server.

use proptest::{collection::vec, prelude::*, sample::select};

use super::world::World;

/// Commands whose words are few, so that they meet: keys of every type, clocks, groups, scripts without spaces.
const COMMANDS: [&str; 62] = [
    "SET a 1",
    "SET a 2 PX 5000",
    "SET b x EX 3",
    "SET a 3 KEEPTTL",
    "SET a 4 NX GET",
    "SETEX b 2 y",
    "GETSET a 7",
    "GETDEL a",
    "GETEX a PX 900",
    "GETEX a PERSIST",
    "GETEX b EXAT 1",
    "APPEND a z",
    "SETRANGE b 3 q",
    "INCR a",
    "INCRBYFLOAT a 0.5",
    "MSET a 1 b 2",
    "MSETNX a 1 h 2",
    "DEL a",
    "UNLINK b h",
    "EXPIRE a 1",
    "PEXPIRE b 300 LT",
    "EXPIREAT a 1",
    "PERSIST b",
    "RENAME a b",
    "RENAMENX b a",
    "RENAME s t",
    "COPY s t REPLACE",
    "COPY h a",
    "FLUSHALL",
    "HSET h f 1 g 2",
    "HDEL h f",
    "HDEL h f g",
    "HINCRBY h f 3",
    "HINCRBYFLOAT h f 1.25",
    "HSETNX h k v",
    "XADD s * f v",
    "XADD s MAXLEN 3 * f v",
    "XADD s MAXLEN ~ 1 * f v",
    "XADD t 1-* f v",
    "XTRIM s MAXLEN 2",
    "XDEL t 1-1 1-0",
    "XSETID s 9999999999999-1 ENTRIESADDED 50",
    "XGROUP CREATE s g 0 MKSTREAM",
    "XGROUP CREATE t g $ MKSTREAM",
    "XGROUP SETID s g 0",
    "XGROUP SETID t g $ ENTRIESREAD 1",
    "XGROUP DESTROY s g",
    "XGROUP CREATECONSUMER s g you",
    "XGROUP DELCONSUMER s g me",
    "XREADGROUP GROUP g me COUNT 2 STREAMS s >",
    "XREADGROUP GROUP g you NOACK STREAMS s >",
    "XREADGROUP GROUP g new STREAMS s 0",
    "XREADGROUP GROUP g you STREAMS t >",
    "XACK t g 1-0 1-1 1-2",
    "XCLAIM t g me 0 1-0 1-1 1-2",
    "XCLAIM t g me 0 1-1 FORCE JUSTID",
    "XCLAIM t g me 0 1-9 LASTID 1-2",
    "XAUTOCLAIM s g you 0 - COUNT 2",
    "MULTI",
    "EXEC",
    "DISCARD",
    "EVAL return(redis.call('incr',KEYS[1])) 1 a",
];

/// What can be seen of the data. Deliveries of a history are not recorded, as in Redis, so nothing here counts them
/// for readers of a history.
const SEEN: [&str; 13] = [
    "KEYS *",
    "GET a",
    "GET b",
    "PEXPIRETIME a",
    "PEXPIRETIME b",
    "HGETALL h",
    "XRANGE s - +",
    "XRANGE t - +",
    "XINFO STREAM s",
    "XINFO STREAM t",
    "XINFO GROUPS s",
    "XINFO GROUPS t",
    "XPENDING t g - + 100",
];

async fn replay(steps: &[(&str, u16)]) -> (Vec<String>, Vec<String>) {
    let original = World::start().await;
    original.shared.state().db.effects.record(true);
    let mut client = original.client();
    for (command, pause) in steps {
        client.send(&[command]).await;
        tokio::time::sleep(std::time::Duration::from_millis(u64::from(*pause))).await;
    }
    drop(client);
    let seen = original.answers(&SEEN).await;
    let effects = original.shared.state().db.effects.take();
    let copy = World::start().await;
    copy.jump(original.now_ms() - copy.now_ms());
    // As when a log is read: later than all that it tells, and nothing expires but by its recorded end.
    copy.shared.state().db.loading = true;
    let mut client = copy.client();
    client.send_raw(&effects).await;
    client.send(&["QUIT"]).await;
    let answers = client.rest().await;
    assert!(answers.iter().all(|line| !line.starts_with('-')), "{answers:?}");
    copy.shared.state().db.loading = false;
    (seen, copy.answers(&SEEN).await)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn the_effects_of_any_commands_lead_to_the_same_data(
        steps in vec((select(&COMMANDS[..]), 0_u16..400), 0..40),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        let (seen, copied) = runtime.expect("a runtime").block_on(replay(&steps));
        prop_assert_eq!(seen, copied);
    }
}

#[tokio::test(start_paused = true)]
async fn effects_say_when_and_not_how_long_and_keep_what_belongs_together() {
    let world = World::start().await;
    world.shared.state().db.effects.record(true);
    world
        .answers(&[
            "SET a 1 EX 10 NX",
            "SET a 2 NX",
            "GET a",
            "EXPIRE a 5",
            "MULTI",
            "INCR a",
            "GET a",
            "INCR a",
            "EXEC",
            "XADD s 1-* k v",
            "DEL none",
        ])
        .await;
    let effects = String::from_utf8(world.shared.state().db.effects.take()).expect("text");
    let words: Vec<&str> = effects.split("\r\n").filter(|line| !line.starts_with(['*', '$'])).collect();
    assert_eq!(
        words.join(" "),
        "SET a 1 PXAT 1700000010000 PEXPIREAT a 1700000005000 MULTI INCR a INCR a EXEC XADD s 1-0 k v "
    );
}
