//! One account's money and positions in one-way mode: a pure state machine fed with fills.
//!
//! What of it is bound as margin is `margin`'s. Deliberately absent: funding, transfers, other assets.

use rust_decimal::Decimal;

use crate::order::Side;

/// Leverage of a symbol until its owner changes it ("Change Initial Leverage").
const INITIAL_LEVERAGE: u32 = 20;

/// Wallet and positions of one account.
#[derive(Clone, Debug)]
pub(crate) struct Holdings {
    /// USDT, after fees and realised profit.
    pub wallet: Decimal,
    /// By index of the market.
    positions: Vec<Position>,
    /// By index of the market.
    leverage: Vec<u32>,
    /// Profit realised so far before fees, in USDT, by index of the market.
    realized: Vec<Decimal>,
}

/// A net position in one symbol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Position {
    /// Positive when long.
    pub amount: Decimal,
    /// What the open amount cost in USDT; negative when short. Kept instead of the mean price so that no rounding
    /// of the mean can create or destroy money.
    cost: Decimal,
    /// Fees paid less profit realised since the position was opened, in USDT.
    spent: Decimal,
}

impl Position {
    /// Mean price of the open amount, in USDT; zero when flat.
    pub fn entry_price(&self) -> Decimal {
        self.cost.checked_div(self.amount).unwrap_or_default().round_dp(8).normalize()
    }

    /// The price at which closing the position would leave neither profit nor loss since it was opened, fees included, in
    /// USDT; zero when flat.
    pub fn break_even_price(&self) -> Decimal {
        (self.cost + self.spent).checked_div(self.amount).unwrap_or_default().round_dp(8).normalize()
    }

    /// Profit if the position were closed at `price`, in USDT.
    pub fn unrealized(&self, price: Decimal) -> Decimal {
        self.amount * price - self.cost
    }

    /// How much an order of `side` can reduce the position by; zero when it would grow it.
    pub fn reducible(&self, side: Side) -> Decimal {
        match side {
            Side::Buy => (-self.amount).max(Decimal::ZERO),
            Side::Sell => self.amount.max(Decimal::ZERO),
        }
    }

    /// Trades, and returns the realised profit before the fee, in USDT.
    fn trade(&mut self, side: Side, quantity: Decimal, price: Decimal, fee: Decimal) -> Decimal {
        let before = self.amount;
        let closing = quantity.min(self.reducible(side));
        let mut realized = Decimal::ZERO;
        if closing > Decimal::ZERO {
            let released = if closing == self.amount.abs() {
                self.cost
            } else {
                (self.cost * (closing / self.amount.abs())).round_dp(8)
            };
            realized = -(side.signed(closing) * price) - released;
            self.cost -= released;
        }
        self.amount += side.signed(quantity);
        self.cost += side.signed(quantity - closing) * price;
        let same = !before.is_zero() && before.is_sign_negative() == self.amount.is_sign_negative();
        self.spent = if self.amount.is_zero() {
            Decimal::ZERO
        } else if same {
            self.spent + fee - realized
        } else {
            // A new position: of the fee it bears the share that opened it.
            (fee * (self.amount.abs() / quantity)).round_dp(8)
        };
        realized
    }
}

impl Holdings {
    pub fn new(wallet: Decimal, markets: usize) -> Self {
        Self {
            wallet,
            positions: vec![Position::default(); markets],
            leverage: vec![INITIAL_LEVERAGE; markets],
            realized: vec![Decimal::ZERO; markets],
        }
    }

    pub fn realized(&self, market: usize) -> Decimal {
        self.realized[market]
    }

    pub fn leverage(&self, market: usize) -> u32 {
        self.leverage[market]
    }

    pub fn set_leverage(&mut self, market: usize, leverage: u32) {
        self.leverage[market] = leverage;
    }

    pub fn position(&self, market: usize) -> &Position {
        &self.positions[market]
    }

    /// Books a fill and returns the realised profit before the fee, in USDT.
    pub fn fill(
        &mut self,
        market: usize,
        side: Side,
        quantity: Decimal,
        price: Decimal,
        fee: Decimal,
    ) -> Decimal {
        let realized = self.positions[market].trade(side, quantity, price, fee);
        self.wallet += realized - fee;
        self.realized[market] += realized;
        realized
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    #[test]
    fn a_round_trip_realizes_the_difference_less_both_fees() {
        let mut holdings = Holdings::new(dec("1000"), 1);
        assert_eq!(holdings.fill(0, Side::Buy, dec("2"), dec("100"), dec("0.08")), dec("0"));
        assert_eq!(holdings.position(0).entry_price(), dec("100"));
        assert_eq!(holdings.position(0).unrealized(dec("103")), dec("6"));
        assert_eq!(holdings.fill(0, Side::Sell, dec("2"), dec("110"), dec("0.088")), dec("20"));
        assert_eq!(*holdings.position(0), Position::default());
        assert_eq!(holdings.wallet, dec("1019.832"));
    }

    #[test]
    fn a_position_breaks_even_where_its_fees_and_losses_are_earned_back() {
        let mut holdings = Holdings::new(dec("0"), 1);
        holdings.fill(0, Side::Buy, dec("2"), dec("100"), dec("1"));
        assert_eq!(holdings.position(0).break_even_price(), dec("100.5"));
        holdings.fill(0, Side::Sell, dec("1"), dec("99"), dec("0.5"));
        assert_eq!(holdings.position(0).break_even_price(), dec("102.5"));
        holdings.fill(0, Side::Sell, dec("1"), dec("102.5"), dec("0"));
        assert_eq!((holdings.wallet, holdings.position(0).break_even_price()), (dec("0"), dec("0")));
    }

    #[test]
    fn an_order_larger_than_the_position_turns_it_at_the_new_price() {
        let mut holdings = Holdings::new(dec("0"), 1);
        holdings.fill(0, Side::Sell, dec("1"), dec("100"), dec("0"));
        let realized = holdings.fill(0, Side::Buy, dec("3"), dec("90"), dec("0"));
        assert_eq!(realized, dec("10"));
        assert_eq!(holdings.position(0).amount, dec("2"));
        assert_eq!(holdings.position(0).entry_price(), dec("90"));
        assert_eq!(holdings.position(0).reducible(Side::Buy), dec("0"));
        assert_eq!(holdings.position(0).reducible(Side::Sell), dec("2"));
    }

    #[test]
    fn thirds_of_a_position_create_no_money() {
        let mut holdings = Holdings::new(dec("0"), 1);
        holdings.fill(0, Side::Buy, dec("1"), dec("100.1"), dec("0"));
        holdings.fill(0, Side::Buy, dec("2"), dec("100.2"), dec("0"));
        for _ in 0..3 {
            holdings.fill(0, Side::Sell, dec("1"), dec("100"), dec("0"));
        }
        assert_eq!(holdings.wallet, dec("-0.5"));
        assert_eq!(*holdings.position(0), Position::default());
    }
}
