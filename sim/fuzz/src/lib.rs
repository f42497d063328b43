//! What the fuzz targets share: a world in which a client sends whatever the fuzzer made up, and a server must survive it.

use std::{path::Path, sync::Arc, time::Duration};

use env::{Env, OpenMode};
use sim::{Case, Options, World, run, secs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

/// The host under attack.
pub const SERVER: &str = "server";

/// How long the client waits for more of an answer before it hangs up.
const PATIENCE: Duration = secs(1);

/// Runs a world whose server must neither panic nor stall.
///
/// # Panics
/// When it does: the fuzzer keeps the input that led there.
pub fn survives(setup: impl Fn(&mut World) + Send + Sync + 'static) {
    let case = Case::new("fuzz", setup).safety(secs(20));
    let outcome = run(&case, 0, &Options::default()).expect("an empty plan fits every world");
    assert!(outcome.verdict.held(), "{}", outcome.verdict);
}

/// A client that sends `bytes` at once, reads what comes back, and hangs up.
pub fn sends(world: &mut World, port: u16, bytes: Arc<[u8]>) {
    world.host("client", move |env: Env| {
        let bytes = bytes.clone();
        async move {
            let Ok(mut stream) = env.net.connect(SERVER, port).await else { return };
            // A server may close the connection before it has read everything.
            let _ = stream.write_all(&bytes).await;
            let mut answer = [0; 16 * 1024];
            while matches!(timeout(PATIENCE, stream.read(&mut answer)).await, Ok(Ok(1..))) {}
        }
    });
}

/// Makes a file on the disk of the process that calls this.
pub async fn write_file(env: &Env, name: &str, bytes: &[u8]) {
    let file = env.disk.open(Path::new(name), OpenMode::ReadWrite).await.expect("a disk without faults");
    env::write_all_at(file.as_ref(), bytes, 0).await.expect("a disk without faults");
}

/// Lines of words as the bus reads them: each line a command, words separated by spaces.
pub fn commands(lines: &[u8]) -> Vec<u8> {
    lines.split(|byte| *byte == b'\n').flat_map(command).collect()
}

fn command(line: &[u8]) -> Vec<u8> {
    let words: Vec<&[u8]> = line.split(|byte| *byte == b' ').collect();
    let mut wire = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        wire.extend_from_slice(format!("${}\r\n", word.len()).as_bytes());
        wire.extend_from_slice(word);
        wire.extend_from_slice(b"\r\n");
    }
    wire
}

/// What a client of the ledger says first, and the given queries as simple ones.
pub fn queries<'a>(queries: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let parameters = b"user\0fuzz\0\0";
    let mut wire = Vec::new();
    wire.extend_from_slice(&(8 + parameters.len() as u32).to_be_bytes());
    // Protocol 3.0.
    wire.extend_from_slice(&196_608_u32.to_be_bytes());
    wire.extend_from_slice(parameters);
    for sql in queries {
        wire.push(b'Q');
        wire.extend_from_slice(&(5 + sql.len() as u32).to_be_bytes());
        wire.extend_from_slice(sql);
        wire.push(0);
    }
    wire
}
