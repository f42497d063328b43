//! Tells a repeated wish from a new one by what it asks for, under whichever id it comes.
//!
//! A signature is claimed by the order that it leads to, and is free again after [`TTL`], but never before that order is
//! resolved. The durable form is the order's own row in the ledger: a new leader restores the claims from there.
//! Deliberately absent: the ids of signals, which the desk compares first.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt,
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

use super::{ClientOrderId, Intent, Signal};

/// For how long the same wish counts as a repetition (auto-heal runbook, scenario 5: "within 2min TTL").
pub const TTL: Duration = Duration::from_secs(120);

/// What a wish asks for, as one text. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signature(Arc<str>);

impl Signature {
    /// The signature of a signal: what it asks for, before anything was cut off.
    pub fn of(signal: &Signal) -> Self {
        let Signal { symbol, side, qty, price, .. } = signal;
        Self(format!("{symbol}:{side}:{qty}:{price}").into())
    }

    /// The signature of an order that has none on record: what the order asks for.
    pub fn of_order(intent: &Intent) -> Self {
        let Intent { symbol, side, qty, price, .. } = intent;
        Self(format!("{symbol}:{side}:{qty}:{price}").into())
    }

    /// A signature as it was recorded.
    pub fn recorded(text: &str) -> Self {
        Self(text.into())
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The claimed signatures.
#[derive(Clone, Debug, Default)]
pub struct Signatures {
    claims: BTreeMap<Signature, Claim>,
    by_order: BTreeMap<ClientOrderId, Signature>,
    /// Claims by the end of their TTL, soonest first. An entry whose claim is gone, or is another order's by now, is void.
    expiries: VecDeque<(Instant, ClientOrderId)>,
}

#[derive(Clone, Debug)]
struct Claim {
    order: ClientOrderId,
    expired: bool,
    resolved: bool,
}

impl Signatures {
    /// The order that a wish would repeat.
    pub fn holder(&mut self, now: Instant, signature: &Signature) -> Option<&ClientOrderId> {
        self.expire(now);
        self.claims.get(signature).map(|claim| &claim.order)
    }

    /// Claims a free signature for an order.
    ///
    /// # Errors
    /// The order that holds it; nothing has changed.
    pub fn claim(
        &mut self,
        now: Instant,
        signature: Signature,
        order: ClientOrderId,
    ) -> Result<(), ClientOrderId> {
        self.claim_aged(now, signature, order, Duration::ZERO)
    }

    /// Claims a signature for an unresolved or recent order of an earlier life, which was made `age` ago; an age above
    /// [`TTL`] counts as that. To be called for the oldest order first.
    ///
    /// # Errors
    /// As [`Signatures::claim`].
    pub fn claim_aged(
        &mut self,
        now: Instant,
        signature: Signature,
        order: ClientOrderId,
        age: Duration,
    ) -> Result<(), ClientOrderId> {
        if let Some(holder) = self.holder(now, &signature) {
            return Err(holder.clone());
        }
        self.expiries.push_back((now + TTL.saturating_sub(age), order.clone()));
        self.by_order.insert(order.clone(), signature.clone());
        self.claims.insert(signature, Claim { order, expired: false, resolved: false });
        Ok(())
    }

    /// The fate of an order is known: its claim ends with its TTL.
    pub fn resolve(&mut self, order: &ClientOrderId) {
        let Some(signature) = self.by_order.get(order) else { return };
        let Some(claim) = self.claims.get_mut(signature) else { return };
        claim.resolved = true;
        if claim.expired {
            self.free(order);
        }
    }

    /// The order never came to be, so that the same wish is no repetition.
    pub fn free(&mut self, order: &ClientOrderId) {
        if let Some(signature) = self.by_order.remove(order) {
            self.claims.remove(&signature);
        }
    }

    fn expire(&mut self, now: Instant) {
        while let Some((_, order)) = self.expiries.pop_front_if(|(at, _)| *at <= now) {
            let Some(signature) = self.by_order.get(&order) else { continue };
            let Some(claim) = self.claims.get_mut(signature) else { continue };
            claim.expired = true;
            if claim.resolved {
                self.free(&order);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn signature(n: u32) -> Signature {
        Signature::recorded(&format!("BTCUSDT:BUY:{n}:65000.1"))
    }

    fn order(n: u32) -> ClientOrderId {
        format!("tw-{n}").parse().unwrap()
    }

    fn secs(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_text_names_every_term_without_trailing_zeros_and_not_the_id() {
        let signal = |id: &str, qty: &str, price: &str| super::super::Signal {
            id: id.parse().unwrap(),
            symbol: "BTCUSDT".parse().unwrap(),
            side: super::super::Side::Sell,
            qty: qty.parse().unwrap(),
            price: price.parse().unwrap(),
            reduce_only: true,
            market_time: env::WallTime::from_millis(1),
        };
        let signature = Signature::of(&signal("a", "0.0020", "65000.10"));
        assert_eq!(signature.to_string(), "BTCUSDT:SELL:0.002:65000.1");
        assert_eq!(signature, Signature::of(&signal("b", "0.002", "65000.1")));
        assert_eq!(signature, Signature::of_order(&signal("c", "0.002", "65000.1").into()));
        assert_eq!(signature, Signature::recorded(&signature.to_string()));
    }

    #[test]
    fn of_ten_equal_wishes_one_passes_and_two_minutes_later_the_next() {
        let start = Instant::now();
        let mut signatures = Signatures::default();
        assert_eq!(signatures.claim(start, signature(0), order(0)), Ok(()));
        signatures.resolve(&order(0));
        for n in 1..10 {
            assert_eq!(signatures.claim(start + secs(11) * n, signature(0), order(n)), Err(order(0)));
        }
        assert_eq!(signatures.claim(start + TTL, signature(0), order(10)), Ok(()));
    }

    #[test]
    fn a_claim_outlives_its_time_while_its_order_is_unresolved() {
        let start = Instant::now();
        let mut signatures = Signatures::default();
        signatures.claim(start, signature(0), order(0)).unwrap();
        assert_eq!(signatures.claim(start + secs(3600), signature(0), order(1)), Err(order(0)));
        signatures.resolve(&order(0));
        assert_eq!(signatures.claim(start + secs(3600), signature(0), order(1)), Ok(()));
    }

    #[test]
    fn a_claim_of_an_earlier_life_ends_when_it_would_have_ended_there() {
        let start = Instant::now();
        let mut signatures = Signatures::default();
        signatures.claim_aged(start, signature(0), order(0), secs(100)).unwrap();
        signatures.resolve(&order(0));
        assert_eq!(signatures.claim(start + secs(19), signature(0), order(1)), Err(order(0)));
        assert_eq!(signatures.claim(start + secs(20), signature(0), order(1)), Ok(()));
    }

    #[test]
    fn an_order_that_never_came_to_be_leaves_its_signature_free() {
        let now = Instant::now();
        let mut signatures = Signatures::default();
        signatures.claim(now, signature(0), order(0)).unwrap();
        signatures.free(&order(0));
        assert_eq!(signatures.claim(now, signature(0), order(1)), Ok(()));
        // What the freed claim left behind does not end the new one early.
        assert_eq!(signatures.claim(now + TTL, signature(0), order(2)), Err(order(1)));
    }

    proptest! {
        #[test]
        fn two_orders_of_one_signature_are_two_minutes_and_a_resolution_apart(
            steps in prop::collection::vec((0..40_u64, 0..3_u32, any::<bool>()), 1..200),
        ) {
            let mut now = Instant::now();
            let mut signatures = Signatures::default();
            let mut held: BTreeMap<u32, (Instant, ClientOrderId, bool)> = BTreeMap::new();
            for (n, (pause, which, claims)) in (0..).zip(steps) {
                now += secs(pause);
                if claims {
                    let free = held.get(&which).is_none_or(|(since, _, resolved)| *resolved && now - *since >= TTL);
                    let claimed = signatures.claim(now, signature(which), order(n)).is_ok();
                    prop_assert_eq!(claimed, free);
                    if claimed {
                        held.insert(which, (now, order(n), false));
                    }
                } else if let Some((_, order, resolved)) = held.get_mut(&which) {
                    signatures.resolve(order);
                    *resolved = true;
                }
            }
            prop_assert!(signatures.claims.len() <= 3 && signatures.by_order.len() <= 3);
        }
    }
}
