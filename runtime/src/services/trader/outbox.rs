//! The trader's own file for the intents of exits that the ledger refuses.
//!
//! Its space is allocated and synced before it is needed, so that a full disk cannot refuse what the full ledger did. Slots
//! of fixed size hold one record each: length, checksum, JSON. A record counts when its write was synced.
//! Deliberately absent: order between records, and anything but intents.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
};

use env::{BoxFile, Env, OpenMode, fact, read_all, write_all_at};
use tokio::sync::Mutex;
use xxhash_rust::xxh3::xxh3_64;

use crate::core::{ClientOrderId, Intent};

const DIRECTORY: &str = "shared_data";

/// Where the outbox is on the trader's disk.
pub const FILE: &str = "shared_data/outbox";

/// Bytes of a slot: an intent has at most some 300 as JSON.
const SLOT: usize = 512;

/// Exits that can wait for the ledger at once, an hour of them at one each 7 s. The file has 256 KiB.
const SLOTS: usize = 512;

/// How often a record is written. After a failed fsync the whole record is written again, for its pages may be gone.
const ATTEMPTS: usize = 2;

/// A record's length (u32) and the XXH3 of its content (u64), little-endian. Length 0 is a free slot.
const HEADER: usize = 12;

/// Why an intent is not in the outbox.
#[derive(Debug, thiserror::Error)]
pub(super) enum OutboxError {
    /// All slots wait for the ledger.
    #[error("the outbox is full")]
    Full,
    /// The intent has no form that fits.
    #[error("the record has {0} bytes")]
    TooLong(usize),
    /// The file cannot be written.
    #[error("the outbox: {0}")]
    Io(#[from] io::Error),
}

/// The open outbox.
pub(super) struct Outbox {
    file: BoxFile,
    slots: Mutex<Slots>,
}

struct Slots {
    free: BTreeSet<usize>,
    used: BTreeMap<ClientOrderId, usize>,
}

impl Outbox {
    /// Opens the outbox, allocating it when it is new, and returns the intents that it holds.
    pub(super) async fn open(env: &Env) -> io::Result<(Self, Vec<Intent>)> {
        env.disk.create_dir_all(Path::new(DIRECTORY)).await?;
        let file = env.disk.open(Path::new(FILE), OpenMode::ReadWrite).await?;
        let mut content = read_all(&*file).await?;
        if content.len() < SLOT * SLOTS {
            let held = content.len();
            content.resize(SLOT * SLOTS, 0);
            // Zeros are written, not left as a hole, which would get its space when it is too late.
            write_all_at(&*file, &content[held..], held as u64).await?;
        }
        file.sync().await?;
        env.disk.sync_dir(Path::new(DIRECTORY)).await?;
        env.disk.sync_dir(Path::new("")).await?;

        let mut slots = Slots { free: BTreeSet::new(), used: BTreeMap::new() };
        let mut held = Vec::new();
        for (number, slot) in content.chunks_exact(SLOT).take(SLOTS).enumerate() {
            match decode(slot) {
                Slot::Holds(intent) => {
                    slots.used.insert(intent.client_order_id.clone(), number);
                    held.push(intent);
                    continue;
                }
                // The write was never confirmed, so the order was never sent.
                Slot::Torn => fact!("outbox.torn", slot = number),
                Slot::Free => {}
            }
            slots.free.insert(number);
        }
        Ok((Self { file, slots: Mutex::new(slots) }, held))
    }

    /// Stores an intent durably.
    ///
    /// # Errors
    /// It is not stored, and its order must not be sent.
    pub(super) async fn put(&self, intent: &Intent) -> Result<(), OutboxError> {
        let record = encode(intent)?;
        let mut slots = self.slots.lock().await;
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            let number = slots.free.pop_first().ok_or(OutboxError::Full)?;
            match self.write(&record, number).await {
                Ok(()) => {
                    slots.used.insert(intent.client_order_id.clone(), number);
                    return Ok(());
                }
                Err(error) => {
                    fact!("outbox.failed", client_order_id = %intent.client_order_id, reason = %error);
                    // What is in the slot now is open; it must not be taken for a stored record later.
                    self.clear(number).await;
                    slots.free.insert(number);
                    failed = Some(error);
                }
            }
        }
        Err(failed.map_or(OutboxError::Full, OutboxError::Io))
    }

    /// Writes a record and makes it durable.
    async fn write(&self, record: &[u8], number: usize) -> io::Result<()> {
        write_all_at(&*self.file, record, offset(number)).await?;
        self.file.sync().await
    }

    /// Frees the slot of an intent that the ledger holds. Not synced: a record that comes back is stored in the ledger
    /// again, which changes nothing there.
    pub(super) async fn release(&self, id: &ClientOrderId) {
        let mut slots = self.slots.lock().await;
        if let Some(number) = slots.used.remove(id) {
            self.clear(number).await;
            slots.free.insert(number);
        }
    }

    /// How many intents wait for the ledger.
    pub(super) async fn depth(&self) -> u64 {
        self.slots.lock().await.used.len() as u64
    }

    async fn clear(&self, number: usize) {
        if let Err(error) = write_all_at(&*self.file, &[0; HEADER], offset(number)).await {
            fact!("outbox.not_cleared", slot = number, reason = %error);
        }
    }
}

/// The intents that an image of the file holds, for whoever examines a disk.
pub fn held_in(image: &[u8]) -> impl Iterator<Item = Intent> {
    image.chunks_exact(SLOT).take(SLOTS).filter_map(|slot| match decode(slot) {
        Slot::Holds(intent) => Some(intent),
        Slot::Free | Slot::Torn => None,
    })
}

const fn offset(number: usize) -> u64 {
    (number * SLOT) as u64
}

enum Slot {
    Free,
    Torn,
    Holds(Intent),
}

fn encode(intent: &Intent) -> Result<Vec<u8>, OutboxError> {
    let content = serde_json::to_vec(intent).map_err(io::Error::other)?;
    match u32::try_from(content.len()) {
        Ok(len) if content.len() <= SLOT - HEADER => {
            let mut record = Vec::with_capacity(HEADER + content.len());
            record.extend(len.to_le_bytes());
            record.extend(xxh3_64(&content).to_le_bytes());
            record.extend(content);
            Ok(record)
        }
        _ => Err(OutboxError::TooLong(content.len())),
    }
}

fn decode(slot: &[u8]) -> Slot {
    let Some((len, rest)) = slot.split_first_chunk() else {
        return Slot::Torn;
    };
    let Some((checksum, rest)) = rest.split_first_chunk() else {
        return Slot::Torn;
    };
    let len = u32::from_le_bytes(*len) as usize;
    if len == 0 {
        return Slot::Free;
    }
    match rest.get(..len) {
        Some(content) if xxh3_64(content) == u64::from_le_bytes(*checksum) => {
            serde_json::from_slice(content).map_or(Slot::Torn, Slot::Holds)
        }
        _ => Slot::Torn,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn intent(n: u32) -> Intent {
        let intent_id: crate::core::IntentId = format!("BTCUSDT-{n}-out").parse().unwrap();
        Intent {
            client_order_id: ClientOrderId::of(&intent_id),
            intent_id,
            symbol: "BTCUSDT".parse().unwrap(),
            side: crate::core::Side::Sell,
            qty: "0.002".parse().unwrap(),
            price: "65000.1".parse().unwrap(),
            reduce_only: true,
        }
    }

    fn in_directory<T>(name: &str, test: impl AsyncFnOnce(Env) -> T) -> T {
        let data_dir = std::env::temp_dir().join(format!("tradewind-outbox-{name}-{}", std::process::id()));
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
        let result = runtime.block_on(async {
            let env =
                env::os::env(env::os::Config { data_dir: data_dir.clone(), ..Default::default() }).unwrap();
            let result = test(env.clone()).await;
            for file in env.disk.list(Path::new(DIRECTORY)).await.unwrap() {
                env.disk.remove(&Path::new(DIRECTORY).join(file)).await.unwrap();
            }
            result
        });
        runtime.shutdown_background();
        result
    }

    #[test]
    fn what_was_put_is_there_after_a_restart_until_it_is_released() {
        in_directory("restart", async |env| {
            let (outbox, held) = Outbox::open(&env).await.unwrap();
            assert_eq!(held, []);
            outbox.put(&intent(1)).await.unwrap();
            outbox.put(&intent(2)).await.unwrap();
            let (outbox, held) = Outbox::open(&env).await.unwrap();
            assert_eq!(held, [intent(1), intent(2)]);
            outbox.release(&intent(1).client_order_id).await;
            let (_, held) = Outbox::open(&env).await.unwrap();
            assert_eq!(held, [intent(2)]);
        });
    }

    #[test]
    fn a_full_outbox_refuses_and_takes_again_after_a_release() {
        in_directory("full", async |env| {
            let (outbox, _) = Outbox::open(&env).await.unwrap();
            for n in 0..SLOTS as u32 {
                outbox.put(&intent(n)).await.unwrap();
            }
            assert!(matches!(outbox.put(&intent(9999)).await, Err(OutboxError::Full)));
            outbox.release(&intent(7).client_order_id).await;
            outbox.put(&intent(9999)).await.unwrap();
        });
    }

    #[test]
    fn a_record_cut_off_anywhere_does_not_count() {
        let record = encode(&intent(1)).unwrap();
        for kept in 1..record.len() {
            let mut slot = vec![0; SLOT];
            slot[..kept].copy_from_slice(&record[..kept]);
            assert!(!matches!(decode(&slot), Slot::Holds(_)), "{kept} bytes were taken for a record");
        }
    }

    proptest! {
        #[test]
        fn any_content_of_a_slot_is_read_without_a_panic(slot in prop::collection::vec(any::<u8>(), 0..=SLOT)) {
            prop_assert!(!matches!(decode(&slot), Slot::Holds(_)));
        }
    }
}
