//! Bytes at the bus: as they are, or – after a first byte of `=` – lines of words, each line encoded as a command, which gets
//! the fuzzer past the framing.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let bytes: std::sync::Arc<[u8]> = match input.split_first() {
        Some((b'=', lines)) => fuzz::commands(lines).into(),
        _ => input.into(),
    };
    fuzz::survives(move |world| {
        world.host(fuzz::SERVER, |env| async move {
            let _ = bus::serve(env, bus::Config::default()).await;
        });
        fuzz::sends(world, bus::Config::default().port, bytes.clone());
    });
});
