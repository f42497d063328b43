//! What an account chooses for itself: leverage per symbol ("Change Initial Leverage").

use env::WallTime;

use super::{Change, State, Update};
use crate::{error::ApiError, margin::Exposure};

impl State {
    /// Changes the leverage of an account in a market.
    ///
    /// # Errors
    /// The symbol does not allow it, or the margin does not cover position and orders under it.
    pub fn set_leverage(
        &mut self,
        now: WallTime,
        account: usize,
        market: usize,
        leverage: u32,
    ) -> Result<Update, ApiError> {
        let of = &self.markets[market];
        if !(1..=of.rules.max_leverage).contains(&leverage) {
            return Err(ApiError::Leverage(leverage));
        }
        let before = self.exposure(account, market, None);
        let more = Exposure { leverage, ..before }.initial() - before.initial();
        if more > rust_decimal::Decimal::ZERO && more > self.margin(account).free() {
            return Err(ApiError::LeverageMargin);
        }
        let symbol = of.symbol.clone();
        self.holdings[account].set_leverage(market, leverage);
        Ok(Update { account, at: now, change: Change::Leverage { symbol, leverage } })
    }
}
