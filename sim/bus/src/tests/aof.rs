//! What the append-only file keeps, when, and what clients hear of it. The disk is in memory and can fail.

use std::{sync::Arc, time::Duration};

use proptest::{collection::vec, prelude::*};
use tokio::time::sleep;

use super::{
    disk::MemDisk,
    world::{World, try_world, try_world_at},
};
use crate::{AppendFsync, Config, Error, Fault, server::Order};

const FILE: &str = "appendonly.aof";

fn config(append_fsync: AppendFsync) -> Config {
    Config { append_only: true, append_fsync, ..Config::default() }
}

async fn start(disk: &Arc<MemDisk>, policy: AppendFsync) -> World {
    try_world(disk.clone(), config(policy)).await.expect("a good file")
}

async fn text(world: &World, command: &str) -> String {
    world.answers(&[command]).await.last().expect("an answer").clone()
}

async fn epoch(world: &World) -> String {
    text(world, "GET bus:dataset_epoch").await
}

/// All data as commands, without the epoch.
fn dump(world: &World) -> String {
    let state = world.shared.state();
    let base = crate::aof::dump(&state);
    let text = String::from_utf8_lossy(&base).into_owned();
    text.split_once("\r\n").map_or(String::new(), |(_, commands)| commands.to_owned())
}

#[tokio::test(start_paused = true)]
async fn always_means_that_what_was_answered_survives_a_power_loss() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::Always).await;
    let before = epoch(&world).await;
    assert_eq!(world.answers(&["SET a 1", "XADD s 5-1 k v", "SET b 2 PX 5000"]).await.len(), 4);
    disk.power_loss();
    let world = start(&disk, AppendFsync::Always).await;
    assert_eq!(world.answers(&["GET a", "XLEN s", "TTL b"]).await, ["$1", "1", ":1", ":5"]);
    assert_eq!(epoch(&world).await, before);
}

#[tokio::test(start_paused = true)]
async fn everysec_means_within_a_second_and_the_epoch_tells_that_it_may_have_been_less() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::EverySec).await;
    let first = epoch(&world).await;
    world.answers(&["SET a 1"]).await;
    sleep(Duration::from_millis(1_100)).await;
    world.answers(&["SET b 1"]).await;
    sleep(Duration::from_millis(1_100)).await;
    world.answers(&["SET c 1"]).await;
    sleep(Duration::from_millis(1_100)).await;
    let syncs = disk.syncs();
    sleep(Duration::from_secs(60)).await;
    assert_eq!(disk.syncs(), syncs, "who has nothing to sync does not sync");
    world.answers(&["SET d 1", "SET e 1"]).await;
    world.answers(&["SET f 1"]).await;
    disk.power_loss();
    let world = start(&disk, AppendFsync::EverySec).await;
    let found = world.answers(&["EXISTS a b c", "EXISTS f"]).await;
    assert_eq!(found, [":3", ":0"]);
    assert_ne!(epoch(&world).await, first);
}

#[tokio::test(start_paused = true)]
async fn a_stop_in_order_keeps_everything_and_the_epoch() {
    for policy in AppendFsync::ALL {
        let disk = MemDisk::new();
        let world = start(&disk, policy).await;
        let before = epoch(&world).await;
        world.answers(&["SET a 1"]).await;
        world.shared.order(Order::Stop);
        world.ended().await.expect("it stops in order");
        disk.power_loss();
        let world = start(&disk, policy).await;
        assert_eq!((text(&world, "GET a").await, epoch(&world).await), ("1".to_owned(), before), "{policy}");
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_is_a_stop_in_order() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::EverySec).await;
    let before = epoch(&world).await;
    let mut client = world.client();
    client.send(&["SET a 1"]).await;
    assert_eq!(client.lines(1).await, ["+OK"]);
    client.send(&["SHUTDOWN"]).await;
    assert_eq!(client.rest().await, [""; 0]);
    world.ended().await.expect("it stops in order");
    disk.power_loss();
    assert_eq!(epoch(&start(&disk, AppendFsync::EverySec).await).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_policy_holds_from_the_next_answer_on() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::EverySec).await;
    world.answers(&["SET a 1", "CONFIG SET appendfsync always"]).await;
    let before = epoch(&world).await;
    disk.power_loss();
    let world = start(&disk, AppendFsync::Always).await;
    assert_eq!((text(&world, "GET a").await, epoch(&world).await), ("1".to_owned(), before.clone()));
    world.answers(&["CONFIG SET appendfsync no", "SET b 1"]).await;
    disk.power_loss();
    let world = start(&disk, AppendFsync::Always).await;
    assert_ne!(epoch(&world).await, before);
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_writes_and_pings_until_there_is_room() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::EverySec).await;
    world.answers(&["SET a 1"]).await;
    disk.fill(true);
    assert_eq!(world.answers(&["SET b 2"]).await, ["+OK"], "as in Redis, the first one is answered");
    let misconf = "-MISCONF Errors writing to the AOF file: No space left on device";
    assert_eq!(
        world.answers(&["SET c 3", "PING", "GET a", "DEL a"]).await,
        [misconf, misconf, "$1", "1", misconf]
    );
    disk.fill(false);
    sleep(Duration::from_millis(1_100)).await;
    assert_eq!(world.answers(&["SET c 3"]).await, ["+OK"]);
    sleep(Duration::from_millis(1_100)).await;
    disk.power_loss();
    let world = start(&disk, AppendFsync::EverySec).await;
    assert_eq!(world.answers(&["MGET a b c"]).await, ["*3", "$1", "1", "$1", "2", "$1", "3"]);
}

#[tokio::test(start_paused = true)]
async fn always_ends_the_server_when_it_cannot_write_or_sync() {
    for (full, text) in [
        (
            true,
            "Can't recover from AOF write error when the AOF fsync policy is 'always': No space left on device",
        ),
        (
            false,
            "Can't persist AOF for fsync error when the AOF fsync policy is 'always': Input/output error",
        ),
    ] {
        let disk = MemDisk::new();
        let world = start(&disk, AppendFsync::Always).await;
        disk.fill(full);
        disk.break_sync(!full);
        let mut client = world.client();
        client.send(&["SET a 1"]).await;
        let error = world.ended().await.expect_err("it cannot go on");
        assert_eq!(error.to_string(), text);
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failed_fsync_the_file_is_rewritten_before_writes_are_taken() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::EverySec).await;
    world.answers(&["SET a 1"]).await;
    sleep(Duration::from_secs(2)).await;
    disk.break_sync(true);
    world.answers(&["SET b 2"]).await;
    sleep(Duration::from_secs(2)).await;
    let misconf = "-MISCONF Errors writing to the AOF file: Input/output error";
    assert_eq!(world.answers(&["SET c 3", "GET b"]).await, [misconf, "$1", "2"]);
    disk.break_sync(false);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.answers(&["SET c 3"]).await, ["+OK"]);
    sleep(Duration::from_secs(2)).await;
    disk.power_loss();
    let world = start(&disk, AppendFsync::EverySec).await;
    assert_eq!(text(&world, "EXISTS a b c").await, ":3");
}

#[tokio::test(start_paused = true)]
async fn a_rewrite_shortens_the_file_and_loses_nothing() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::Always).await;
    for _ in 0..50 {
        world.answers(&["INCR n", "APPEND long xxxxxxxxxxxxxxxxxxxx", "HSET h f 1 g 2"]).await;
    }
    world
        .answers(&[
            "SET t 1 PX 60000",
            "XADD s 1-1 k v",
            "XADD s 2-1 k v",
            "XDEL s 2-1",
            "XADD e 5-5 k v",
            "XTRIM e MAXLEN 0",
            "XGROUP CREATE s g 0",
            "XREADGROUP GROUP g me COUNT 1 STREAMS s >",
            "XGROUP CREATECONSUMER s g other",
        ])
        .await;
    let (long, before, same) = (disk.len(FILE), dump(&world), epoch(&world).await);
    assert_eq!(world.answers(&["BGREWRITEAOF"]).await, ["+Background append only file rewriting started"]);
    world.answers(&["SET during 1"]).await;
    sleep(Duration::from_secs(1)).await;
    assert!(disk.len(FILE) < long / 2, "{} of {long}", disk.len(FILE));
    world.answers(&["SET after 1"]).await;
    disk.power_loss();
    let world = start(&disk, AppendFsync::Always).await;
    assert_eq!(world.answers(&["DEL during after", "BGREWRITEAOF"]).await[0], ":2");
    assert_eq!((dump(&world), epoch(&world).await), (before, same));
}

#[tokio::test(start_paused = true)]
async fn the_file_is_rewritten_by_itself_when_it_has_grown() {
    let disk = MemDisk::new();
    let config = Config { rewrite_min_size: 5_000, ..config(AppendFsync::No) };
    let world = try_world(disk.clone(), config).await.expect("a new file");
    for _ in 0..100 {
        world.answers(&["INCR n", "INCR n"]).await;
    }
    sleep(Duration::from_secs(1)).await;
    assert!(disk.len(FILE) < 5_000, "{}", disk.len(FILE));
    assert!(text(&world, "GET n").await == "200");
    let info = world.answers(&["INFO persistence"]).await;
    assert!(
        info.contains(&"aof_last_bgrewrite_status:ok".to_owned())
            && !info.contains(&"aof_rewrites:0".to_owned())
    );
}

#[tokio::test(start_paused = true)]
async fn damage_in_the_middle_refuses_the_start_and_names_the_place() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::Always).await;
    let good = disk.len(FILE);
    world.answers(&["SET a 1"]).await;
    world.answers(&["SET b 1"]).await;
    disk.damage(FILE, good + 40);
    let error = try_world(disk.clone(), config(AppendFsync::Always)).await.err().expect("a damaged file");
    assert!(matches!(error, Error::Aof(_)));
    let expected = format!(
        "Bad file format reading the append only file appendonly.aof at byte {good}: the batch is not whole"
    );
    assert_eq!(error.to_string(), expected);
}

#[tokio::test(start_paused = true)]
async fn what_expired_while_the_server_was_down_is_gone_and_nothing_rises_again() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::Always).await;
    world.answers(&["SET n 1 PX 1000", "INCR n", "SET m 1 PX 90000"]).await;
    drop(world);
    let config = config(AppendFsync::Always);
    let world = try_world_at(disk.clone(), config, 60_000).await.expect("a good file");
    assert_eq!(world.answers(&["EXISTS n", "TTL m"]).await, [":0", ":30"]);
}

#[tokio::test(start_paused = true)]
async fn a_transaction_is_in_the_file_as_a_whole() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::Always).await;
    world.answers(&["MULTI", "SET a 1", "INCR a", "EXEC"]).await;
    let content = String::from_utf8_lossy(&disk.content(FILE)).into_owned();
    assert!(content.contains("*1\r\n$5\r\nMULTI\r\n*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1\r\n1\r\n"), "{content}");
    assert!(content.ends_with("*1\r\n$4\r\nEXEC\r\n"));
    let world = start(&disk, AppendFsync::Always).await;
    assert_eq!(text(&world, "GET a").await, "2");
}

#[tokio::test(start_paused = true)]
async fn an_eviction_changes_the_epoch_and_stays() {
    let disk = MemDisk::new();
    let world = start(&disk, AppendFsync::Always).await;
    world.answers(&["SET a 1", "SET b 1"]).await;
    let before = epoch(&world).await;
    let faults = world.shared.state().config.faults.clone();
    faults.post(1, Fault::Evict("a".into()), Box::new(|| {}));
    sleep(Duration::from_millis(1)).await;
    assert_eq!(text(&world, "EXISTS a b").await, ":1");
    let after = epoch(&world).await;
    assert_ne!(after, before);
    let world = start(&disk, AppendFsync::Always).await;
    assert_eq!((text(&world, "EXISTS a b").await, epoch(&world).await), (":1".to_owned(), after));
}

/// Commands on few keys, so that they meet.
fn commands() -> impl Strategy<Value = Vec<String>> {
    let key = "[a-c]";
    let command = prop_oneof![
        (key, 0..99_u8).prop_map(|(key, value)| format!("SET {key} {value}")),
        key.prop_map(|key| format!("INCR {key}")),
        key.prop_map(|key| format!("APPEND {key} x")),
        key.prop_map(|key| format!("DEL {key}")),
        key.prop_map(|key| format!("PEXPIRE {key} 5000")),
        key.prop_map(|key| format!("XADD s{key} MAXLEN 3 * k {key}")),
        key.prop_map(|key| format!("HSET h{key} {key} 1")),
        Just("FLUSHALL".to_owned()),
    ];
    vec(command, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_file_cut_at_any_byte_gives_the_data_of_a_moment(commands in commands(), cut in any::<prop::sample::Index>()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        runtime.block_on(async {
            let disk = MemDisk::new();
            let world = start(&disk, AppendFsync::No).await;
            let mut moments = vec![(disk.len(FILE), dump(&world))];
            for command in &commands {
                world.answers(&[command]).await;
                moments.push((disk.len(FILE), dump(&world)));
            }
            let first = moments[0].0;
            let cut = first + cut.index(disk.len(FILE) - first + 1);
            disk.cut(FILE, cut);
            let world = start(&disk, AppendFsync::No).await;
            let moment = moments.iter().rev().find(|(len, _)| *len <= cut).expect("the first is before every cut");
            assert_eq!(dump(&world), moment.1);
        });
    }
}
