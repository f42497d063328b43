//! Bytes as the bus's append-only file: as they are, or – after a first byte of `=` – lines of words, each line encoded as a
//! command. The bus starts with it or refuses to; when it starts, it writes the file anew, and must load that too.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let file: std::sync::Arc<[u8]> = match input.split_first() {
        Some((b'=', lines)) => fuzz::commands(lines).into(),
        _ => input.into(),
    };
    let config = || bus::Config { append_only: true, ..bus::Config::default() };
    fuzz::survives(move |world| {
        let file = file.clone();
        world.host(fuzz::SERVER, move |env| {
            let file = file.clone();
            async move {
                fuzz::write_file(&env, "appendonly.aof", &file).await;
                if bus::serve(env.clone(), config()).await.is_ok() {
                    bus::serve(env, config()).await.expect("what the bus wrote, it can load");
                }
            }
        });
        let session = fuzz::commands(b"BGREWRITEAOF\nSET after rewrite\nKEYS *\nSHUTDOWN");
        fuzz::sends(world, config().port, session.into());
    });
});
