//! S21: the money adds up, computed twice from sources that do not know each other.

use std::collections::BTreeMap;

use broker::Journal;
use ledger::{Replica, Row};
use rust_decimal::Decimal;
use sim::View;

use super::Platter;

/// What the account had before the first trade, in USDT.
fn opening_balance() -> Decimal {
    broker::Config::default().accounts.iter().map(|account| account.balance).sum()
}

/// 10⁻⁸ USDT.
const TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 8);

/// Opening balance + cash flow of the ledger's fills + cost of what it holds = the exchange's wallet.
pub fn ledger_and_exchange_agree_on_equity() -> impl FnMut(&View<'_>) -> Result<(), String> + Send + 'static {
    let platter = Platter::default();
    move |view| {
        let booked = platter.read(view, equity)?;
        let truth = view.exhibit::<Journal>().wallet_balance();
        if (booked - truth).abs() <= TOLERANCE {
            return Ok(());
        }
        Err(format!("the ledger makes it {booked} USDT, the exchange {truth} USDT"))
    }
}

/// The wallet as the ledger's fills imply it, each symbol held at average cost.
fn equity(replica: &Replica) -> Result<Decimal, String> {
    let mut fills: Vec<Fill> = replica.rows("fills").map(|row| Fill::read(&row)).collect::<Result<_, _>>()?;
    fills.sort_by_key(|fill| fill.trade_id);
    let mut wallet = opening_balance();
    let mut holdings: BTreeMap<String, Holding> = BTreeMap::new();
    for fill in fills {
        wallet += holdings.entry(fill.symbol.clone()).or_default().take(&fill) - fill.fee;
    }
    Ok(wallet)
}

#[derive(Default)]
struct Holding {
    qty: Decimal,
    cost: Decimal,
}

impl Holding {
    /// Adds a fill; returns the profit that it realises. One that crosses zero closes the old holding and opens a new one.
    fn take(&mut self, fill: &Fill) -> Decimal {
        let opposed = !self.qty.is_zero() && self.qty.is_sign_negative() != fill.signed.is_sign_negative();
        let closing = match opposed {
            true if fill.signed.abs() > self.qty.abs() => -self.qty,
            true => fill.signed,
            false => Decimal::ZERO,
        };
        let mut profit = Decimal::ZERO;
        if opposed {
            let cost = -closing / self.qty * self.cost;
            profit = -closing * fill.price - cost;
            self.cost -= cost;
        }
        self.qty += fill.signed;
        self.cost += (fill.signed - closing) * fill.price;
        profit
    }
}

struct Fill {
    symbol: String,
    trade_id: u64,
    signed: Decimal,
    price: Decimal,
    fee: Decimal,
}

impl Fill {
    fn read(row: &Row<'_>) -> Result<Self, String> {
        let text = |column: &str| row.text(column).ok_or_else(|| format!("a fill without {column}"));
        let number = |column: &str| {
            let text = text(column)?;
            text.parse::<Decimal>().map_err(|_| format!("{column} of a fill is {text:?}"))
        };
        let qty = number("qty")?;
        Ok(Self {
            symbol: text("symbol")?,
            trade_id: text("trade_id")?.parse().map_err(|_| "a trade id that is no number".to_string())?,
            signed: if text("side")? == "SELL" { -qty } else { qty },
            price: number("price")?,
            fee: number("fee")?,
        })
    }
}
