//! Makes other people's code deterministic: the libc entry points through which it asks for randomness and wall time.
//!
//! Client crates draw `HashMap` keys, WebSocket masks and back-off jitter from the operating system. On a thread that
//! runs a simulation these functions answer from the run's seed and clock; on every other thread they pass through to
//! the kernel. The only `unsafe` code of the project. Deliberately absent: CLOCK_MONOTONIC, which tokio pauses by itself.
#![expect(unsafe_code, reason = "replaces C functions; see the safety comment of each")]

use std::{cell::RefCell, sync::OnceLock};

use libc::{c_int, c_uint, c_void, clockid_t, size_t, ssize_t, timespec};

use crate::draw::Draw;

thread_local! {
    static SOURCE: RefCell<Option<Source>> = const { RefCell::new(None) };
}

struct Source {
    random: Draw,
    wall_micros: Box<dyn Fn() -> i64>,
}

/// While it lives, this thread's libc randomness and wall clock are the simulation's.
pub(crate) struct Interposed(());

/// Puts the current thread under the seed. `wall_micros` tells microseconds since the Unix epoch.
pub(crate) fn interpose(seed: u64, wall_micros: impl Fn() -> i64 + 'static) -> Interposed {
    let source = Source { random: Draw::new(seed, "libc", ""), wall_micros: Box::new(wall_micros) };
    SOURCE.with(|slot| *slot.borrow_mut() = Some(source));
    Interposed(())
}

impl Drop for Interposed {
    fn drop(&mut self) {
        SOURCE.with(|slot| slot.borrow_mut().take());
    }
}

/// Fills from the seed; false outside a simulation, and while a source is being asked already.
fn fill(buffer: &mut [u8]) -> bool {
    SOURCE
        .try_with(|slot| {
            let Ok(mut slot) = slot.try_borrow_mut() else {
                return false;
            };
            let Some(source) = slot.as_mut() else { return false };
            for chunk in buffer.chunks_mut(8) {
                chunk.copy_from_slice(&source.random.bits().to_le_bytes()[..chunk.len()]);
            }
            true
        })
        .unwrap_or(false)
}

fn simulated_wall_micros() -> Option<i64> {
    SOURCE
        .try_with(|slot| {
            let slot = slot.try_borrow().ok()?;
            slot.as_ref().map(|source| (source.wall_micros)())
        })
        .ok()
        .flatten()
}

/// getrandom(2).
// SAFETY: the symbol has the C prototype of glibc's function of this name and replaces it for the whole process.
#[unsafe(no_mangle)]
unsafe extern "C" fn getrandom(buffer: *mut c_void, length: size_t, flags: c_uint) -> ssize_t {
    if !buffer.is_null() && length <= isize::MAX as usize {
        // SAFETY: the caller of getrandom(2) promises `length` writable bytes at `buffer`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer.cast::<u8>(), length) };
        if fill(bytes) {
            return length as ssize_t;
        }
    }
    // SAFETY: the arguments are those of the caller, for the system call of the same meaning.
    unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as ssize_t }
}

/// getentropy(3): as `getrandom`, all or nothing, at most 256 bytes.
// SAFETY: as for `getrandom` above.
#[unsafe(no_mangle)]
unsafe extern "C" fn getentropy(buffer: *mut c_void, length: size_t) -> c_int {
    if length > 256 {
        return -1;
    }
    // SAFETY: the caller of getentropy(3) promises `length` writable bytes at `buffer`.
    if unsafe { getrandom(buffer, length, 0) } == length as ssize_t { 0 } else { -1 }
}

/// clock_gettime(2): wall time is the simulated host's, every other clock is the machine's.
// SAFETY: as for `getrandom` above.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_gettime(clock: clockid_t, time: *mut timespec) -> c_int {
    if (clock == libc::CLOCK_REALTIME || clock == libc::CLOCK_REALTIME_COARSE)
        && let Some(micros) = simulated_wall_micros()
    {
        let tv_sec = micros.div_euclid(1_000_000);
        let tv_nsec = micros.rem_euclid(1_000_000) * 1_000;
        // SAFETY: the caller of clock_gettime(2) promises a writable timespec at `time`.
        unsafe { time.write(timespec { tv_sec, tv_nsec }) };
        return 0;
    }
    match hidden_clock_gettime() {
        // SAFETY: the arguments are those of the caller, for the function that the caller meant.
        Some(hidden) => unsafe { hidden(clock, time) },
        // SAFETY: the arguments are those of the caller, for the system call of the same meaning.
        None => unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as c_int },
    }
}

type ClockGettime = unsafe extern "C" fn(clockid_t, *mut timespec) -> c_int;

/// The C library's function, which ours hides. It reads the machine's clocks without a system call (vdso(7)), and tokio
/// asks for the time whenever it has run out of tasks. A statically linked program has none.
fn hidden_clock_gettime() -> Option<ClockGettime> {
    static HIDDEN: OnceLock<Option<ClockGettime>> = OnceLock::new();
    *HIDDEN.get_or_init(|| {
        // SAFETY: the name is a C string.
        let next = unsafe { libc::dlsym(libc::RTLD_NEXT, c"clock_gettime".as_ptr()) };
        // SAFETY: the next symbol of this name after our own is the C library's, of the same prototype; null is `None`.
        unsafe { std::mem::transmute::<*mut c_void, Option<ClockGettime>>(next) }
    })
}

#[cfg(test)]
mod tests {
    #![expect(
        clippy::disallowed_methods,
        clippy::disallowed_types,
        reason = "asks for entropy and wall time as a careless crate would"
    )]

    use std::{
        collections::HashMap,
        hash::BuildHasher,
        thread,
        time::{SystemTime, UNIX_EPOCH},
    };

    use super::*;

    fn hash_on_a_fresh_thread(seed: Option<u64>) -> u64 {
        thread::spawn(move || {
            let _guard = seed.map(|seed| interpose(seed, || 0));
            HashMap::<u8, u8>::new().hasher().hash_one("key")
        })
        .join()
        .expect("hashing does not panic")
    }

    #[test]
    fn hash_map_keys_follow_the_seed_inside_a_simulation_only() {
        assert_eq!(hash_on_a_fresh_thread(Some(5)), hash_on_a_fresh_thread(Some(5)));
        assert_ne!(hash_on_a_fresh_thread(Some(5)), hash_on_a_fresh_thread(Some(6)));
        assert_ne!(hash_on_a_fresh_thread(None), hash_on_a_fresh_thread(None));
    }

    #[test]
    fn the_system_clock_shows_simulated_time_until_the_guard_goes() {
        let year_2000 = 946_684_800;
        let guard = interpose(1, move || year_2000 * 1_000_000 + 250_000);
        let inside = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        drop(guard);
        let outside = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970");
        assert_eq!((inside.as_secs(), inside.subsec_millis()), (year_2000 as u64, 250));
        assert!(outside.as_secs() > 1_700_000_000);
    }
}
