//! Bytes at the bus: as they are, or – after a first byte of `=` – lines of words, each line encoded as a command, which gets
//! the fuzzer past the framing.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let bytes: std::sync::Arc<[u8]> = match input.split_first() {
        Some((b'=', lines)) => lines.split(|byte| *byte == b'\n').flat_map(command).collect(),
        _ => input.into(),
    };
    fuzz::survives(move |world| {
        world.host(fuzz::SERVER, |env| async move {
            let _ = bus::serve(env, bus::Config::default()).await;
        });
        fuzz::sends(world, bus::Config::default().port, bytes.clone());
    });
});

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
