//! How fast the scenarios run: `cargo bench -p scenarios`. A seed per iteration; divan prints the time per seed, and the
//! simulated seconds per second as items.

use std::sync::atomic::{AtomicU64, Ordering};

use divan::{Bencher, counter::ItemsCount};
use scenarios::ALL;
use sim::{Options, run};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() {
    divan::main();
}

#[divan::bench(args = ALL.iter().map(|scenario| scenario.name), sample_count = 30)]
fn seed(bencher: Bencher, name: &str) {
    let case =
        scenarios::find(name).expect("the argument is one of the names").case(scenarios::Length::Sweep);
    let play = |seed| run(&case, seed, &Options::default()).expect("a plan of the scenario's own");
    let simulated = play(0).simulated.as_secs();
    let next = AtomicU64::new(0);
    bencher.counter(ItemsCount::new(simulated)).bench(|| {
        let outcome = play(next.fetch_add(1, Ordering::Relaxed));
        assert!(outcome.verdict.held(), "{}", outcome.verdict);
    });
}
