//! Bytes as a tape of market trades: read, or refused with line and column; what was read is written and read again.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Ok(text) = std::str::from_utf8(input) else { return };
    if let Ok(trades) = broker::tape::parse_csv("fuzz", text) {
        let again = broker::tape::parse_csv("again", &broker::tape::to_csv(&trades))
            .expect("what we write, we can read");
        assert_eq!(trades, again);
    }
});
