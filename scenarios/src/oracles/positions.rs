//! S5 and the differential: the ledger's positions are those of its fills, and in the end those of the exchange.

use std::collections::BTreeMap;

use broker::Journal;
use ledger::Replica;
use rust_decimal::Decimal;
use sim::{Invariant, View, invariant};

use super::{Platter, is_trader, orders::news};

/// What the roundings of a stored average price may add up to.
const TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 6);

/// On the platter a position and its fills change together: at no moment does one tell of a fill without the other.
pub fn booked_positions_are_those_of_the_booked_fills() -> Invariant {
    let platter = Platter::default();
    let mut newest = 0;
    let mut sums: BTreeMap<String, Decimal> = BTreeMap::new();
    invariant("a booked position is the sum of the booked fills", move |event, view| {
        let booked = event.name == "fill.booked" && is_trader(&event.host);
        if !booked {
            return Ok(());
        }
        platter.read(view, |replica| {
            for row in replica.news("fills", &mut newest) {
                let qty = number(&row, "qty")?;
                let signed = if row.text("side").as_deref() == Some("SELL") { -qty } else { qty };
                *sums.entry(row.text("symbol").unwrap_or_default()).or_default() += signed;
            }
            for (symbol, sum) in &sums {
                let booked = replica.find("positions", "symbol", symbol).map(|row| number(&row, "qty"));
                if booked.clone().transpose()?.unwrap_or_default() != *sum {
                    return Err(format!("{symbol}: the fills make {sum}, the position is {booked:?}"));
                }
            }
            Ok(())
        })
    })
}

/// At rest the ledger's positions are what the exchange's fills make of them, replayed in their order by other code.
pub fn positions_equal_the_truth_replayed() -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    let platter = Platter::default();
    let mut seen = 0;
    let mut truth: BTreeMap<String, Held> = BTreeMap::new();
    move |view| {
        for event in news(view, &mut seen) {
            if let broker::Event::Fill(fill) = event {
                let held = truth.entry(fill.symbol.to_string()).or_default();
                held.fill(fill.side.signed(fill.qty), fill.price);
            }
        }
        platter.read(view, |replica| {
            truth.iter().try_for_each(|(symbol, held)| {
                let position = view.exhibit::<Journal>().position(symbol);
                if position != held.qty {
                    return Err(format!(
                        "{symbol}: the exchange has {position}, its fills make {}",
                        held.qty
                    ));
                }
                held.equals(symbol, replica)
            })
        })
    }
}

/// A position with what it cost.
#[derive(Default)]
struct Held {
    qty: Decimal,
    cost: Decimal,
}

impl Held {
    fn fill(&mut self, signed: Decimal, price: Decimal) {
        let after = self.qty + signed;
        let opposed = !self.qty.is_zero() && self.qty.is_sign_negative() != signed.is_sign_negative();
        self.cost = if !opposed {
            self.cost + signed * price
        } else if after.is_zero() || after.is_sign_negative() == self.qty.is_sign_negative() {
            self.cost / self.qty * after
        } else {
            after * price
        };
        self.qty = after;
    }

    fn average(&self) -> Decimal {
        self.cost.checked_div(self.qty).unwrap_or_default()
    }

    fn equals(&self, symbol: &str, replica: &Replica) -> Result<(), String> {
        let Some(row) = replica.find("positions", "symbol", symbol) else {
            return Err(format!("the ledger has no position in {symbol}"));
        };
        let (qty, average) = (number(&row, "qty")?, number(&row, "avg_price")?);
        if qty == self.qty && (average - self.average()).abs() <= TOLERANCE {
            return Ok(());
        }
        Err(format!(
            "{symbol}: the ledger has {qty} at {average}, the exchange's fills make {} at {}",
            self.qty,
            self.average()
        ))
    }
}

fn number(row: &ledger::Row<'_>, column: &str) -> Result<Decimal, String> {
    let text = row.text(column).ok_or_else(|| format!("a row without {column}"))?;
    text.parse().map_err(|_| format!("{column} is {text:?}"))
}
