//! What the fuzz targets share: a world in which a client sends whatever the fuzzer made up, and a server must survive it.

use std::{sync::Arc, time::Duration};

use env::Env;
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
