//! Logs that are torn, corrupt or nonsense.

use ledger::{Config, OpenError, Replica, ServeError, Server};
use proptest::prelude::*;

use crate::{
    disk::FaultyDisk,
    fixture::{Ledger, WAL, env_on, rows},
};

/// A log of three transactions and the offsets at which its records end.
async fn log() -> (Vec<u8>, Vec<usize>) {
    let (ledger, client) = Ledger::with_table().await;
    let mut ends = vec![ledger.disk.durable(WAL).len()];
    for id in 1..=2 {
        client.batch_execute(&format!("INSERT INTO t VALUES ({id}, 'note {id}')")).await.unwrap();
        ends.push(ledger.disk.durable(WAL).len());
    }
    (ledger.disk.durable(WAL), ends)
}

/// Shows a replica a log that has not been checkpointed.
fn catch_up(replica: &mut Replica, image: &[u8]) {
    replica.catch_up(|name, look| look((name == WAL).then_some(image)));
}

/// Serves from `image` until recovery has failed or clients would be let in.
async fn recover(image: &[u8]) -> Result<FaultyDisk, ServeError> {
    let disk = FaultyDisk::holding(WAL, image);
    let server = Server::bind(env_on(&disk), Config { port: 0, ..Config::default() }).await?;
    let syncs = disk.syncs();
    tokio::select! {
        biased;
        ended = server.run() => panic!("{:?}", ended?),
        () = async { while disk.syncs() == syncs { tokio::task::yield_now().await } } => Ok(disk),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_torn_at_any_byte_is_cut_off() {
    let (image, ends) = log().await;
    for length in 0..image.len() {
        let disk = recover(&image[..length]).await.unwrap();
        let whole = ends.iter().copied().filter(|end| *end <= length).max().unwrap_or(32);
        assert_eq!(disk.durable(WAL), image[..whole], "torn at {length}");
    }
    let ledger = Ledger::on(FaultyDisk::holding(WAL, &image[..image.len() - 1])).await;
    assert_eq!(rows(&ledger.client().await, "SELECT id FROM t").await, ["1"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_corrupt_record_in_the_middle_is_an_error_and_stays_in_the_file() {
    let (image, ends) = log().await;
    for bad in ends[0]..ends[1] {
        let mut corrupt = image.clone();
        corrupt[bad] ^= 0x40;
        let disk = FaultyDisk::holding(WAL, &corrupt);
        let server = Server::bind(env_on(&disk), Config { port: 0, ..Config::default() }).await.unwrap();
        match server.run().await {
            Err(ServeError::Open(OpenError::Corrupt { segment: 1, offset })) => {
                assert_eq!(offset as usize, ends[0])
            }
            other => panic!("a flip at {bad} went unnoticed: {other:?}"),
        }
        assert_eq!(disk.cached(WAL), corrupt);
    }
    let mut foreign = image;
    foreign[0] ^= 1;
    assert!(matches!(recover(&foreign).await, Err(ServeError::Open(OpenError::NotALog { segment: 1 }))));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_batch_is_written_again_before_it_is_trusted() {
    let (image, _) = log().await;
    // The last record can be read but was never made durable, as after a failed fsync and a restart of the process.
    let disk = recover(&image).await.unwrap();
    assert_eq!(disk.durable(WAL), image);
    assert_eq!(disk.syncs(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_follows_the_log_record_by_record() {
    let (image, ends) = log().await;
    let mut replica = Replica::default();
    let count = |replica: &Replica| replica.rows("t").count();
    for length in 0..=image.len() {
        catch_up(&mut replica, &image[..length]);
        let whole = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(count(&replica), whole.saturating_sub(1), "{length} bytes");
    }
    assert_eq!(replica.find("t", "id", "2").unwrap().text("note").as_deref(), Some("note 2"));
    assert_eq!(replica.find("t", "note", "note 1").unwrap().text("id").as_deref(), Some("1"));
    assert!(replica.find("t", "id", "3").is_none());
    assert!(replica.find("t", "id", "no number").is_none());
    assert!(replica.find("nowhere", "id", "1").is_none());
    assert_eq!(replica.rows("t").map(|row| row.text("id").unwrap()).collect::<Vec<_>>(), ["1", "2"]);

    catch_up(&mut replica, &image[..ends[1]]);
    assert_eq!(count(&replica), 1, "a shorter image starts over");
    let (ledger, client) = Ledger::with_table().await;
    client
        .batch_execute("INSERT INTO t VALUES (7, 'another log'), (8, 'longer'), (9, 'than the first')")
        .await
        .unwrap();
    catch_up(&mut replica, &ledger.disk.durable(WAL));
    assert_eq!(count(&replica), 3, "another image starts over");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_bytes_panic_recovery_or_a_replica(
        garbage in proptest::collection::vec(any::<u8>(), 0..200),
        at in 0_usize..400,
        marked in any::<bool>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (valid, _) = log().await;
            let mut spliced = valid.clone();
            let at = at.min(spliced.len());
            spliced.truncate(at);
            spliced.extend(&garbage);
            let image = if marked { spliced } else { garbage };
            let _ = recover(&image).await;
            let mut replica = Replica::default();
            catch_up(&mut replica, &image);
            catch_up(&mut replica, &valid);
            prop_assert_eq!(replica.rows("t").count(), 2);
            Ok(())
        })?;
    }
}
