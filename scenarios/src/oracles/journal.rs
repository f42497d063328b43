//! S16: the order journal is whole, and an entry's line is on the platter before the entry is sent.

use std::collections::{BTreeMap, BTreeSet};

use broker::Event as Truth;
use runtime::{
    core::journal::{Chain, Event, LineHash, read},
    services::trader::{JOURNAL_FILE, sealed_journal_file},
};
use sim::{Invariant, View, invariant};

use super::{is_trader, orders::news};

/// A trader's journal as a power loss would leave it, kept up to date.
#[derive(Default)]
struct Image {
    chain: Chain,
    /// How much of the current file has been read.
    read: usize,
    /// Where the current file will be when it is full.
    sealed: String,
    /// The orders whose intent is there.
    intended: BTreeSet<String>,
    /// Bits were flipped in it, which the trader finds out when it next reads it.
    spoiled: bool,
}

impl Image {
    /// Reads on, first what was put away since the last time; says what is missing.
    fn catch_up(&mut self, host: &str, view: &View<'_>) -> Result<(), String> {
        let sealed = std::mem::take(&mut self.sealed);
        let mut read = view.durable(host, &sealed, |file| file.map_or(Ok(()), |file| self.read_on(file)));
        self.sealed = sealed;
        if read.is_ok() {
            read = view.durable(host, JOURNAL_FILE, |file| self.read_on(file.unwrap_or_default()));
        }
        read.map_err(|missing| format!("{host}: {missing}"))
    }

    fn read_on(&mut self, file: &[u8]) -> Result<(), String> {
        let goes_on = file.get(..self.read).is_some_and(|read| ends_with(read, self.chain.tip()));
        let from = if goes_on { self.read } else { 0 };
        let mut reading = read(self.chain, &file[from..]);
        let known = self.chain.last();
        if !goes_on && reading.records.first().is_some_and(|first| first.seq <= known) {
            // The same lines in a new file.
            reading = read(Chain::default(), file);
        }
        if reading.records.is_empty() {
            return Ok(());
        }
        for record in &reading.records {
            if let Event::Intent { order, .. } = &record.event {
                self.intended.insert(order.to_string());
            }
        }
        if let (0, Some(first)) = (from, reading.records.first()) {
            self.sealed = sealed_journal_file(first.seq);
        }
        (self.read, self.chain) = (from + reading.intact, reading.chain);
        match reading.holes.first() {
            _ if self.spoiled => Ok(()),
            Some(hole) => Err(format!("lines {} to {} are missing", hole.first, hole.last)),
            None if self.chain.last() < known => {
                Err(format!("there was a line {known}, now the last is {}", self.chain.last()))
            }
            None => Ok(()),
        }
    }
}

fn ends_with(read: &[u8], tip: LineHash) -> bool {
    read.strip_suffix(b"\"}\n").is_some_and(|read| read.ends_with(tip.to_string().as_bytes()))
}

/// The numbers of the journal have no gap and each line is chained to the one before, on the platter, at every moment.
pub fn the_journal_is_whole() -> Invariant {
    let mut images: BTreeMap<String, Image> = BTreeMap::new();
    invariant("the order journal has no gap and no line out of its chain", move |event, view| {
        if event.name == "fault.bit" {
            let fault = event.text("fault").unwrap_or_default();
            for (host, image) in &mut images {
                image.spoiled |= fault.starts_with(&format!("disk corrupt {host} {JOURNAL_FILE}"));
            }
        }
        if is_trader(&event.host) && !images.contains_key(&*event.host) {
            images.insert(event.host.to_string(), Image::default());
        }
        let looks = is_trader(&event.host) || event.name == "broker.order_received";
        images.iter_mut().filter(|_| looks).try_for_each(|(host, image)| image.catch_up(host, view))
    })
}

/// When the exchange receives an order that may open or grow a position, the line of its intent would survive a power
/// loss of the trader.
pub fn no_entry_before_its_line() -> Invariant {
    let mut images: BTreeMap<String, Image> = BTreeMap::new();
    let mut seen = 0;
    invariant("an entry's line in the journal is durable before the entry is sent", move |_, view| {
        for truth in news(view, &mut seen) {
            let Truth::OrderReceived(order) = truth else { continue };
            if order.reduce_only {
                continue;
            }
            let mut found = false;
            for host in view.hosts().filter(|host| is_trader(host)) {
                let image = images.entry(host.to_string()).or_default();
                image.catch_up(host, view)?;
                found |= image.intended.contains(&*order.client_order_id);
            }
            if !found {
                return Err(format!("{} is in no journal", order.client_order_id));
            }
        }
        Ok(())
    })
}
