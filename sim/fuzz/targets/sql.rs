//! Bytes at the ledger: text as one simple query after another, separated by zero bytes; or – after a first byte of `=` – raw
//! frames behind the startup message.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let wire = match input.split_first() {
        Some((b'=', frames)) => [&fuzz::queries([]), frames].concat(),
        _ => fuzz::queries(input.split(|byte| *byte == 0)),
    };
    let bytes: std::sync::Arc<[u8]> = wire.into();
    fuzz::survives(move |world| {
        world.host(fuzz::SERVER, |env| async move {
            let _ = ledger::serve(env, ledger::Config::default()).await;
        });
        fuzz::sends(world, ledger::Config::default().port, bytes.clone());
    });
});
