//! The venue's public dumps of aggregate trades, as CSV (its "Public Data" repository, `aggTrades`).

use std::{fmt::Write, str::FromStr};

use rust_decimal::Decimal;

use super::AggTrade;

/// The columns; as the first line of a file they are optional.
pub const HEADER: &str =
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker";

const COLUMNS: usize = 7;
/// No price or quantity of a tape may be larger: beyond it the product of two would not fit.
const MAX_NUMBER: Decimal = Decimal::from_parts(1_000_000_000, 0, 0, false, 0);
/// No id may be larger: beyond it JSON readers lose digits, and repeated playing could run out of ids.
const MAX_ID: u64 = 1 << 53;
/// No aggregate trade may have more single trades.
const MAX_TRADES: u64 = 1_000_000;
/// The year 10000: later times are microseconds, as other dumps of the venue have them.
const MAX_TIME: i64 = 253_402_300_800_000;

/// A tape that cannot be read: where, what was expected, what was there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: expected {expected}, found {found:?}")]
pub struct TapeError {
    /// The file's name as given.
    pub file: String,
    /// From 1.
    pub line: usize,
    /// Of the first character of what was found, from 1, in characters.
    pub column: usize,
    /// In words.
    pub expected: String,
    /// The offending text.
    pub found: String,
}

/// Reads a dump: plain text, not compressed; with or without [`HEADER`] as its first line. `name` is the file's name for
/// errors.
///
/// # Errors
/// The first thing that is wrong: a malformed field, an id that does not follow the one before, a time that goes back,
/// no trade at all.
pub fn parse_csv(name: &str, text: &str) -> Result<Vec<AggTrade>, TapeError> {
    let mut trades: Vec<AggTrade> = Vec::new();
    let mut lines = 0;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (index, line) in text.lines().enumerate() {
        lines = index + 1;
        if line.is_empty() || (index == 0 && line == HEADER) {
            continue;
        }
        let mut row = Row { file: name, line: lines, text: line, offset: 0, end: false };
        let trade = row.trade(trades.last())?;
        trades.push(trade);
    }
    if trades.is_empty() {
        let row = Row { file: name, line: lines + 1, text: "", offset: 0, end: false };
        return Err(row.error(0, "a trade".into(), "the end of the file"));
    }
    Ok(trades)
}

/// Writes trades in the format that [`parse_csv`] reads, with a header.
pub fn to_csv(trades: &[AggTrade]) -> String {
    let mut text = format!("{HEADER}\n");
    for t in trades {
        let (id, first, last) = (t.id, t.first_trade_id, t.last_trade_id);
        writeln!(text, "{id},{},{},{first},{last},{},{}", t.price, t.quantity, t.time, t.is_buyer_maker)
            .expect("a string takes any text");
    }
    text
}

/// A line on its way from left to right.
struct Row<'a> {
    file: &'a str,
    line: usize,
    text: &'a str,
    /// Where the next field starts, in bytes.
    offset: usize,
    end: bool,
}

impl<'a> Row<'a> {
    fn trade(&mut self, before: Option<&AggTrade>) -> Result<AggTrade, TapeError> {
        let id = self.field::<u64>("a trade id", |id| *id <= MAX_ID)?;
        if let Some(expected) = before.and_then(|b| b.id.checked_add(1)).filter(|next| *next != id) {
            return Err(self.error(
                0,
                format!("trade id {expected}, the one after the line before"),
                &id.to_string(),
            ));
        }
        let price = self.field("a price above zero", in_range)?;
        let quantity = self.field("a quantity above zero", in_range)?;
        let first_trade_id = self.field::<u64>("the id of the first trade", |id| *id <= MAX_ID)?;
        let last_trade_id = self.field("the id of the last trade, not below that of the first", |last| {
            (first_trade_id..first_trade_id + MAX_TRADES).contains(last)
        })?;
        let earliest = before.map_or(0, |b| b.time);
        let time = self.field("a time in milliseconds, not before the line before", |time| {
            (earliest..MAX_TIME).contains(time)
        })?;
        let is_buyer_maker = self.word()?;
        if !self.end {
            let rest = &self.text[self.offset..];
            return Err(self.error(self.offset, format!("{COLUMNS} columns"), rest));
        }
        Ok(AggTrade { id, price, quantity, first_trade_id, last_trade_id, time, is_buyer_maker })
    }

    fn field<T: FromStr>(&mut self, expected: &str, fits: impl Fn(&T) -> bool) -> Result<T, TapeError> {
        let (start, text) = self.next();
        let value = text.parse().ok().filter(fits);
        value.ok_or_else(|| self.error(start, expected.into(), text))
    }

    fn word(&mut self) -> Result<bool, TapeError> {
        match self.next() {
            (_, "true" | "True" | "TRUE" | "1") => Ok(true),
            (_, "false" | "False" | "FALSE" | "0") => Ok(false),
            (start, other) => Err(self.error(start, "true or false".into(), other)),
        }
    }

    /// The next field and where it starts; empty past the last one.
    fn next(&mut self) -> (usize, &'a str) {
        let start = self.offset;
        let rest = &self.text[start..];
        let field = rest.split(',').next().unwrap_or_default();
        self.end = field.len() == rest.len();
        self.offset = (start + field.len() + 1).min(self.text.len());
        (start, field)
    }

    fn error(&self, start: usize, expected: String, found: &str) -> TapeError {
        let column = self.text[..start].chars().count() + 1;
        TapeError { file: self.file.into(), line: self.line, column, expected, found: found.into() }
    }
}

fn in_range(value: &Decimal) -> bool {
    *value > Decimal::ZERO && *value <= MAX_NUMBER
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> String {
        parse_csv("btc.csv", text).expect_err("the tape is wrong").to_string()
    }

    #[test]
    fn a_dump_is_read_with_and_without_its_header() {
        let row = "26129,42000.10,0.003,27781,27782,1498793709153,true\n";
        let trades = parse_csv("btc.csv", row).expect("a good tape");
        assert_eq!(parse_csv("btc.csv", &format!("{HEADER}\n{row}")).expect("a good tape"), trades);
        assert_eq!(to_csv(&trades), format!("{HEADER}\n{row}"));
        let with = |word: &str| row.replace("true", word);
        for variant in [with("True"), with("TRUE"), with("1"), format!("\u{feff}{HEADER}\r\n\r\n{row}")] {
            assert_eq!(parse_csv("btc.csv", &variant).as_ref(), Ok(&trades), "{variant}");
        }
    }

    #[test]
    fn an_error_names_file_line_column_and_what_was_expected() {
        assert_eq!(error("1,x,1,1,1,1,true"), "btc.csv:1:3: expected a price above zero, found \"x\"");
        assert_eq!(error("1,2,0,1,1,1,true"), "btc.csv:1:5: expected a quantity above zero, found \"0\"");
        assert_eq!(error("1,2,3,4,5,6,yes"), "btc.csv:1:13: expected true or false, found \"yes\"");
        assert_eq!(
            error("1,2,3,4,5,1700000000000000,true"),
            "btc.csv:1:11: expected a time in milliseconds, not before the line before, found \"1700000000000000\""
        );
        assert_eq!(
            error("99999999999999999999,2,3,4,5,6,1").split(" found").next(),
            Some("btc.csv:1:1: expected a trade id,")
        );
        assert_eq!(error("1,2,3"), "btc.csv:1:6: expected the id of the first trade, found \"\"");
        assert_eq!(error("1,2,3,4,5,6,true,8"), "btc.csv:1:18: expected 7 columns, found \"8\"");
        assert_eq!(
            error("1,2,3,4,3,6,true"),
            "btc.csv:1:9: expected the id of the last trade, not below that of the first, found \"3\""
        );
        assert_eq!(
            error("1,2,3,4,5,6,true\n3,2,3,4,5,6,true"),
            "btc.csv:2:1: expected trade id 2, the one after the line before, found \"3\""
        );
        assert_eq!(
            error("1,2,3,4,5,6,true\n2,2,3,4,5,5,true"),
            "btc.csv:2:11: expected a time in milliseconds, not before the line before, found \"5\""
        );
        assert_eq!(error(HEADER), "btc.csv:2:1: expected a trade, found \"the end of the file\"");
        assert_eq!(error("price,qty"), "btc.csv:1:1: expected a trade id, found \"price\"");
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_read_or_refused_without_a_panic(text in ".*", fields in "([0-9é.,-]{0,9}[,\n]){0,20}") {
            let _ = parse_csv("any.csv", &text);
            let _ = parse_csv("any.csv", &fields);
        }

        #[test]
        fn what_is_written_is_read_back(seed: u64) {
            let trades = crate::tape::record(&Default::default(), seed, env::WallTime::from_millis(0), 50);
            proptest::prop_assert_eq!(parse_csv("own.csv", &to_csv(&trades)), Ok(trades));
        }
    }
}
