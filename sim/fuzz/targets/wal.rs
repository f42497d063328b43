//! Bytes as the first segment of the ledger's log: payloads of records, separated by `|||` and framed as the log's format
//! demands, which gets the fuzzer past the checksums; or – after a first byte of `=` – as they are. The ledger starts with it or
//! refuses to; when it starts, it answers and writes a checkpoint.

#![no_main]

use libfuzzer_sys::fuzz_target;
use xxhash_rust::xxh3::xxh3_64;

fuzz_target!(|input: &[u8]| {
    let file: std::sync::Arc<[u8]> = match input.split_first() {
        Some((b'=', file)) => file.into(),
        _ => segment(input).into(),
    };
    fuzz::survives(move |world| {
        let file = file.clone();
        world.host(fuzz::SERVER, move |env| {
            let file = file.clone();
            async move {
                fuzz::write_file(&env, "wal.1", &file).await;
                let _ = ledger::serve(env, ledger::Config::default()).await;
            }
        });
        let session: [&[u8]; 4] = [
            b"SELECT * FROM t",
            b"INSERT INTO t VALUES (7, 'x')",
            b"CHECKPOINT",
            b"UPDATE t SET id = id + 1",
        ];
        fuzz::sends(world, ledger::Config::default().port, fuzz::queries(session).into());
    });
});

/// A segment of the log; `ledger`'s module `store::wal` documents the format.
fn segment(payloads: &[u8]) -> Vec<u8> {
    let mut out = b"TWLEDGR2".to_vec();
    out.extend_from_slice(&1_u64.to_le_bytes());
    out.extend_from_slice(&0_u64.to_le_bytes());
    out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
    let mut rest = payloads;
    while !rest.is_empty() {
        let end = rest.windows(3).position(|bytes| bytes == b"|||").unwrap_or(rest.len());
        record(&rest[..end], &mut out);
        rest = rest.get(end + 3..).unwrap_or_default();
    }
    out
}

fn record(payload: &[u8], out: &mut Vec<u8>) {
    let at = out.len() as u64;
    let mut covered = at.to_le_bytes().to_vec();
    covered.extend_from_slice(&at.to_le_bytes());
    covered.extend_from_slice(payload);
    out.extend_from_slice(&(payload.len() as u32).to_le_bytes());
    out.extend_from_slice(&xxh3_64(&covered).to_le_bytes());
    out.extend_from_slice(&covered);
}
