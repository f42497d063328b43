//! `/fapi/v1/listenKey`: start, keep alive and close an account's user stream.

use std::sync::Arc;

use tokio::time::Instant;

use crate::{error::ApiError, server::Venue};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Create,
    Delete,
    Extend,
}

pub(super) fn answer(venue: &Venue, account: usize, endpoint: Endpoint) -> Result<String, ApiError> {
    let now = Instant::now();
    let mut state = venue.exchange.lock();
    let key = match endpoint {
        Endpoint::Create => {
            let key = state.keys.create(account, now, || fresh(venue));
            venue.key_created.notify_one();
            venue.stirred.notify_one();
            key
        }
        Endpoint::Extend => state.keys.extend(account, now).ok_or(ApiError::ListenKey)?,
        Endpoint::Delete => {
            state.keys.delete(account);
            return Ok("{}".into());
        }
    };
    Ok(format!("{{\"listenKey\":\"{key}\"}}"))
}

/// 64 hexadecimal digits.
fn fresh(venue: &Venue) -> Arc<str> {
    let part = |_| format!("{:016x}", venue.env.entropy.bits("broker.listen_key"));
    (0..4).map(part).collect::<String>().into()
}
