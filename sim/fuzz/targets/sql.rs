//! Bytes at the ledger: text as one simple query after another, separated by zero bytes; or – after a first byte of `=` – raw
//! frames behind the startup message.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut wire = startup();
    match input.split_first() {
        Some((b'=', frames)) => wire.extend_from_slice(frames),
        _ => input.split(|byte| *byte == 0).for_each(|sql| query(&mut wire, sql)),
    }
    let bytes: std::sync::Arc<[u8]> = wire.into();
    fuzz::survives(move |world| {
        world.host(fuzz::SERVER, |env| async move {
            let _ = ledger::serve(env, ledger::Config::default()).await;
        });
        fuzz::sends(world, ledger::Config::default().port, bytes.clone());
    });
});

/// StartupMessage: length, protocol 3.0, parameters.
fn startup() -> Vec<u8> {
    let parameters = b"user\0fuzz\0\0";
    let mut wire = Vec::new();
    wire.extend_from_slice(&(8 + parameters.len() as u32).to_be_bytes());
    wire.extend_from_slice(&196_608_u32.to_be_bytes());
    wire.extend_from_slice(parameters);
    wire
}

/// Query: `Q`, length, text, zero.
fn query(wire: &mut Vec<u8>, sql: &[u8]) {
    wire.push(b'Q');
    wire.extend_from_slice(&(5 + sql.len() as u32).to_be_bytes());
    wire.extend_from_slice(sql);
    wire.push(0);
}
