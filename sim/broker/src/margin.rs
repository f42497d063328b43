//! How much of an account's money is bound: cross margin in one-way mode, pure arithmetic in USDT.
//!
//! Sources: the venue's support pages "How to Calculate Cost Required to Open a Position in Perpetual Futures Contracts"
//! (cost = initial margin + open loss; a seller's assumed price is not below the mark price), "Leverage and Margin of
//! USDⓈ-M Futures" (maintenance margin by bracket), and the API page "Account Information V3" (what each total means).
//! The margin that position and open orders of a symbol need together is
//! max(|position + bids|, |position − asks|) / leverage, where bids and asks are notionals. Two things are stricter than the
//! documentation says: the taker's fee is part of the cost, so that an accepted order never overdraws the account; and
//! there is one bracket, with its rate for any notional.
//!
//! Deliberately absent: isolated margin, assets other than USDT, the insurance fund and its clearance fee.

use std::ops::AddAssign;

use rust_decimal::Decimal;

/// What one symbol binds.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Exposure {
    /// Position × mark price; negative when short.
    pub notional: Decimal,
    /// Σ price × remaining quantity of the open buy orders that may grow a position.
    pub bids: Decimal,
    /// The same of the sell orders.
    pub asks: Decimal,
    pub leverage: u32,
    /// Maintenance margin as a fraction of the notional.
    pub maintenance_rate: Decimal,
}

impl Exposure {
    /// The largest notional that the position can grow to with its orders.
    pub fn largest(&self) -> Decimal {
        (self.notional + self.bids).abs().max((self.notional - self.asks).abs())
    }

    /// Margin of position and orders together.
    pub fn initial(&self) -> Decimal {
        share(self.largest(), self.leverage)
    }

    /// Margin of the position alone.
    pub fn position_initial(&self) -> Decimal {
        share(self.notional.abs(), self.leverage)
    }

    /// Margin that the orders need on top.
    pub fn order_initial(&self) -> Decimal {
        self.initial() - self.position_initial()
    }

    /// What the account must keep, or else the position is liquidated.
    pub fn maintenance(&self) -> Decimal {
        (self.notional.abs() * self.maintenance_rate).round_dp(8)
    }
}

fn share(notional: Decimal, leverage: u32) -> Decimal {
    notional.checked_div(leverage.into()).unwrap_or(notional).round_dp(8)
}

/// An account as a whole.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Margin {
    pub wallet: Decimal,
    pub unrealized: Decimal,
    pub position_initial: Decimal,
    pub order_initial: Decimal,
    pub maintenance: Decimal,
}

impl Margin {
    /// Wallet and unrealised profit.
    pub fn balance(&self) -> Decimal {
        self.wallet + self.unrealized
    }

    pub fn initial(&self) -> Decimal {
        self.position_initial + self.order_initial
    }

    /// What is left for new orders; negative when prices have moved against the account.
    pub fn free(&self) -> Decimal {
        self.balance() - self.initial()
    }

    /// [`Margin::free`] as the API shows it.
    pub fn available(&self) -> Decimal {
        self.free().max(Decimal::ZERO)
    }

    /// What may leave the account: unrealised profit may not, unrealised loss must stay covered.
    pub fn withdrawable(&self) -> Decimal {
        self.free().min(self.wallet - self.initial()).max(Decimal::ZERO)
    }

    /// Whether the balance no longer covers the maintenance margin of an open position.
    pub fn is_exhausted(&self) -> bool {
        self.maintenance > Decimal::ZERO && self.balance() <= self.maintenance
    }
}

impl AddAssign<&Exposure> for Margin {
    fn add_assign(&mut self, exposure: &Exposure) {
        self.position_initial += exposure.position_initial();
        self.order_initial += exposure.order_initial();
        self.maintenance += exposure.maintenance();
    }
}

/// The price at which a position of `amount` units at `mark` uses up an account with `margin`, all else equal: zero when
/// there is none, because the position is flat or the balance outlasts any price.
///
/// Source: the venue's support page "How to Calculate Liquidation Price of USDⓈ-M Futures Contracts", for one position side
/// and one bracket, solved for the price: balance + amount × (price − mark) = maintenance of the others + rate × |amount| × price.
pub(crate) fn liquidation_price(
    margin: &Margin,
    exposure: &Exposure,
    amount: Decimal,
    mark: Decimal,
) -> Decimal {
    let others = margin.maintenance - exposure.maintenance();
    let slope = amount - amount.abs() * exposure.maintenance_rate;
    let price = (amount * mark + others - margin.balance()).checked_div(slope).unwrap_or_default();
    price.max(Decimal::ZERO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dec(text: &str) -> Decimal {
        text.parse().expect("a decimal")
    }

    fn exposure(notional: &str, bids: &str, asks: &str) -> Exposure {
        Exposure {
            notional: dec(notional),
            bids: dec(bids),
            asks: dec(asks),
            leverage: 20,
            maintenance_rate: dec("0.004"),
        }
    }

    #[test]
    fn orders_against_a_position_need_margin_only_for_what_exceeds_it() {
        assert_eq!(exposure("0", "9253.3", "0").initial(), dec("462.665"), "the documentation's example");
        assert_eq!(exposure("1000", "0", "1000").order_initial(), dec("0"));
        assert_eq!(exposure("1000", "0", "2500").order_initial(), dec("25"));
        assert_eq!(exposure("-1000", "500", "600").initial(), dec("80"));
        assert_eq!(exposure("-1000", "0", "0").maintenance(), dec("4"));
    }

    #[test]
    fn profit_not_yet_realised_can_be_traded_with_but_not_withdrawn() {
        let margin = |unrealized: &str| Margin {
            wallet: dec("100"),
            unrealized: dec(unrealized),
            position_initial: dec("50"),
            order_initial: dec("10"),
            maintenance: dec("4"),
        };
        assert_eq!((margin("20").available(), margin("20").withdrawable()), (dec("60"), dec("40")));
        assert_eq!((margin("-20").available(), margin("-20").withdrawable()), (dec("20"), dec("20")));
        assert_eq!(margin("-90").available(), dec("0"));
        assert!(!margin("-95").is_exhausted() && margin("-96").is_exhausted());
    }

    #[test]
    fn at_its_liquidation_price_the_balance_equals_the_maintenance_margin() {
        for amount in ["2", "-2"] {
            let (amount, mark) = (dec(amount), dec("100"));
            let exposure = exposure(&(amount * mark).to_string(), "0", "0");
            let mut margin = Margin { wallet: dec("10"), ..Margin::default() };
            margin += &exposure;
            let price = liquidation_price(&margin, &exposure, amount, mark);
            let balance = margin.balance() + amount * (price - mark);
            let maintenance = amount.abs() * price * exposure.maintenance_rate;
            assert!((balance - maintenance).abs() < dec("0.0000001"), "{amount}: {price}");
        }
        let rich = Margin { wallet: dec("1000000"), ..Margin::default() };
        assert_eq!(liquidation_price(&rich, &exposure("200", "0", "0"), dec("2"), dec("100")), dec("0"));
    }
}
