//! Writes one of the tapes of `fixtures/tapes` to standard output: `cargo run -p broker --example tape NAME`.

use std::{io::Write, time::Duration};

use broker::{
    AggTrade, SymbolConfig,
    tape::{Bend, bend, record, to_csv},
};
use env::WallTime;
use rust_decimal::Decimal;

/// When all of them start: 2023-11-14T22:13:20Z.
const START: WallTime = WallTime::from_millis(1_700_000_000_000);

/// Makes the trades of a tape.
type Recording = fn() -> Vec<AggTrade>;

/// The tapes: their names, and how they are made.
pub const TAPES: [(&str, Recording); 3] =
    [("btcusdt-2000", quiet), ("btcusdt-crash", crash), ("ethusdt-2000", ether)];

/// BTCUSDT, seed 2000.
fn quiet() -> Vec<AggTrade> {
    record(&SymbolConfig::default(), 2_000, START, 2_000)
}

/// BTCUSDT, seed 4008: two quiet minutes, then a fall by 8 % in ten minutes, then as quiet as before.
fn crash() -> Vec<AggTrade> {
    let symbol = SymbolConfig::default();
    let mut trades = record(&symbol, 4_008, START, 3_400);
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let fall = Bend { after: minutes(2), span: minutes(10), share: Decimal::new(-8, 2) };
    bend(&mut trades, symbol.tick_size, fall);
    trades
}

/// ETHUSDT, seed 2250.
fn ether() -> Vec<AggTrade> {
    record(&SymbolConfig::ethusdt(), 2_250, START, 2_000)
}

/// The file of a tape.
pub fn file(name: &str) -> Option<String> {
    let (_, make) = TAPES.into_iter().find(|(known, _)| *known == name)?;
    Some(to_csv(&make()))
}

fn main() -> std::io::Result<()> {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(text) = file(&name) else {
        let names = TAPES.map(|(name, _)| name).join(", ");
        return Err(std::io::Error::other(format!("expected one of {names}, found {name:?}")));
    };
    std::io::stdout().write_all(text.as_bytes())
}
