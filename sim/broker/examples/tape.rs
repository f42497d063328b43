//! Writes the tape of `fixtures/tapes/btcusdt-2000.csv` to standard output.

use std::io::Write;

fn main() -> std::io::Result<()> {
    let start = env::WallTime::from_millis(1_700_000_000_000);
    let trades = broker::tape::record(&broker::SymbolConfig::default(), 2_000, start, 2_000);
    std::io::stdout().write_all(broker::tape::to_csv(&trades).as_bytes())
}
