//! Every disk fault, seen through files.

use std::{io, path::Path};

use env::{Env, OpenMode, fact, read_all, write_all_at};
use sim::{Case, Options, Outcome, Plan, ms, run};
use tokio::time::{Instant, sleep};

use crate::world::named;

/// Writes a hundred-byte record to `log` every 100 ms and reports how each step went.
async fn logger(env: Env) {
    let file = env.disk.open(Path::new("log"), OpenMode::ReadWrite).await.expect("the log opens");
    env.disk.sync_dir(Path::new("")).await.expect("the root syncs");
    let mut end = file.len().await.expect("a length");
    fact!("log.opened", bytes = end);
    loop {
        let began = Instant::now();
        let outcome = async {
            write_all_at(&*file, &[b'x'; 100], end).await?;
            file.sync().await
        };
        match outcome.await {
            Ok(()) => {
                end += 100;
                fact!("log.written", took_ms = began.elapsed().as_millis() as u64);
            }
            Err(error) => {
                let errno = i64::from(error.raw_os_error().unwrap_or(0));
                let partial = file.len().await.expect("a length") - end;
                fact!("log.failed", errno = errno, partial = partial);
                if partial > 0 {
                    file.set_len(end).await.expect("truncating works");
                }
            }
        }
        sleep(ms(100)).await;
    }
}

fn under(plan: &str) -> Outcome {
    let case = Case::new("log", |world| {
        world.host("a", logger);
    });
    let plan = Plan::parse(plan).expect("a well-formed plan");
    let outcome = run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
    outcome
}

fn failures(outcome: &Outcome) -> Vec<(i64, u64)> {
    named(outcome, "log.failed")
        .iter()
        .map(|event| match event.get("errno") {
            Some(sim::trace::Value::Int(errno)) => (*errno, crate::world::uint(event, "partial")),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn a_full_disk_cuts_a_write_short_then_fails_then_has_room_again() {
    let outcome = under("2s disk full a after 250B for 1s");
    let failed = failures(&outcome);
    assert_eq!(failed[0], (28, 50), "two records fit, and half of the third");
    assert!(
        failed.len() > 5 && failed.iter().all(|failure| *failure == (28, 50)),
        "truncating gives the room back"
    );
    assert!(named(&outcome, "log.written").len() > 80);
}

#[test]
fn a_failed_fsync_fails_once() {
    assert_eq!(failures(&under("2s disk fsync-fails a")), [(5, 100)]);
}

#[test]
fn short_writes_are_completed_by_a_careful_writer() {
    assert_eq!(failures(&under("2s disk short-writes a for 2s")), []);
}

#[test]
fn short_reads_are_completed_by_a_careful_reader() {
    let case = Case::new("reader", |world| {
        world.host("a", |env| async move {
            let file = env.disk.open(Path::new("f"), OpenMode::ReadWrite).await.expect("it opens");
            let content: Vec<u8> = (0..200).collect();
            write_all_at(&*file, &content, 0).await.expect("it writes");
            sleep(ms(2_000)).await;
            assert!(file.read_at(&mut [0; 200], 0).await.expect("it reads") < 200);
            assert_eq!(read_all(&*file).await.expect("it reads"), content);
        });
    });
    let plan = Plan::parse("1s disk short-reads a").expect("a well-formed plan");
    let outcome = run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
}

#[test]
fn a_read_only_disk_refuses_changes() {
    let failed = failures(&under("2s disk read-only a for 1s"));
    assert!(failed.len() > 5 && failed.iter().all(|failure| *failure == (30, 0)), "{failed:?}");
}

#[test]
fn a_slow_disk_takes_its_time() {
    let outcome = under("2s disk slow a 50ms..60ms for 2s");
    let slow = named(&outcome, "log.written")
        .iter()
        .filter(|event| crate::world::uint(event, "took_ms") >= 100)
        .count();
    assert!(slow >= 8, "{slow} records took a write and a sync of at least 50 ms each");
}

#[test]
fn after_a_power_loss_what_was_synced_is_there() {
    for keeping in ["none", "torn", "all"] {
        let outcome = under(&format!("2.050s host power-loss a keeping {keeping} for 1s"));
        let opened: Vec<u64> =
            named(&outcome, "log.opened").iter().map(|event| crate::world::uint(event, "bytes")).collect();
        let written =
            named(&outcome, "log.written").iter().filter(|event| event.at.as_millis() <= 2_050).count()
                as u64;
        assert_eq!(opened, [0, written * 100], "keeping {keeping}");
    }
}

#[test]
fn corruption_loss_and_vanishing_show() {
    let case = Case::new("damage", |world| {
        world.host("a", |env| async move {
            let path = Path::new("state/f");
            env.disk.create_dir_all(Path::new("state")).await.expect("a directory");
            let file = env.disk.open(path, OpenMode::CreateNew).await.expect("it opens");
            write_all_at(&*file, b"hello", 0).await.expect("it writes");
            file.sync().await.expect("it syncs");
            write_all_at(&*file, b" world", 5).await.expect("it writes");
            let mut seen = Vec::new();
            for _ in 0..4 {
                let content = match env.disk.open(path, OpenMode::Read).await {
                    Ok(file) => read_all(&*file).await.expect("it reads"),
                    Err(error) => format!("{:?}", error.kind()).into_bytes(),
                };
                seen.push(content);
                sleep(ms(1_000)).await;
            }
            assert_eq!(seen[0], b"hello world");
            assert_eq!(seen[1], b"hello", "what was not synced is lost");
            assert_eq!(seen[2], [!b'h', !b'e', b'l', b'l', b'o'], "two bytes are corrupt");
            assert_eq!(seen[3], b"NotFound", "the directory is gone");
            let gone = env.disk.open(path, OpenMode::ReadWrite).await.err().map(|error| error.kind());
            assert_eq!(gone, Some(io::ErrorKind::NotFound));
            fact!("damage.seen");
        });
    })
    .verify(|check| check.reached("damage.seen"));
    let plan = "500ms disk lose-unsynced a\n1.5s disk corrupt a state/f@0+2\n2.5s disk vanish a state";
    let plan = Plan::parse(plan).expect("a well-formed plan");
    let outcome = run(&case, 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
}
