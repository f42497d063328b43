//! Single trades ("Recent Trades List"). A tape has aggregated ones, which only count them: each is shared equally among the
//! trades that it counts, in whole lots where there are enough.

use rust_decimal::Decimal;

use super::AggTrade;

/// What one resting order traded with a taker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SingleTrade {
    /// Contiguous per symbol.
    pub id: u64,
    /// In USDT.
    pub price: Decimal,
    /// In units of the base asset.
    pub quantity: Decimal,
    /// In milliseconds since the epoch.
    pub time: i64,
    /// Whether the taker sold.
    pub is_buyer_maker: bool,
}

/// The single trades of `trade` from id `from` on; `lot` is the step of quantities.
pub(crate) fn singles(
    trade: &AggTrade,
    from: u64,
    lot: Decimal,
) -> impl DoubleEndedIterator<Item = SingleTrade> + '_ {
    let count = Decimal::from(trade.last_trade_id.saturating_sub(trade.first_trade_id)) + Decimal::ONE;
    let equal = trade.quantity / count;
    let share = match (equal / lot).floor() {
        none if none.is_zero() => equal.trunc_with_scale(8),
        lots => lots * lot,
    };
    let rest = trade.quantity - share * (count - Decimal::ONE);
    (trade.first_trade_id.max(from)..=trade.last_trade_id).map(move |id| SingleTrade {
        id,
        price: trade.price,
        quantity: if id == trade.last_trade_id { rest } else { share },
        time: trade.time,
        is_buyer_maker: trade.is_buyer_maker,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn the_single_trades_of_a_trade_add_up_to_it(first in 1..1_000_u64, count in 1..50_u64, lots in 1..900_i64) {
            let trade = AggTrade {
                id: 1,
                price: Decimal::TEN,
                quantity: Decimal::new(lots, 3),
                first_trade_id: first,
                last_trade_id: first + count - 1,
                time: 7,
                is_buyer_maker: true,
            };
            let all: Vec<_> = singles(&trade, 0, Decimal::new(1, 3)).collect();
            prop_assert_eq!(all.iter().map(|one| one.quantity).sum::<Decimal>(), trade.quantity);
            prop_assert!(all.iter().zip(first..).all(|(one, id)| one.id == id && one.quantity > Decimal::ZERO));
            prop_assert_eq!(all.len() as u64, count);
            let half: Vec<_> = singles(&trade, first + count / 2, Decimal::new(1, 3)).collect();
            prop_assert_eq!(&half[..], &all[(count / 2) as usize..]);
        }
    }
}
