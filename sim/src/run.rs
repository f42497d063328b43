//! Runs one case with one seed, on a thread of its own.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64},
        mpsc,
    },
    thread,
    time::{Duration, Instant},
};

use tokio::runtime::{Builder, RngSeed};
use turmoil_net::KernelConfig;

use crate::{
    case::Case,
    check::{Checks, Exhibits},
    disk::SimDisk,
    draw::Draws,
    driver::Driver,
    host::{Host, HostState},
    interpose::interpose,
    kernel::{Kernel, Limits},
    misfit::{self, Misfit},
    net::Fabric,
    plan::Plan,
    recorder::{Recorder, Recording, current_host},
    signal::Signal,
    task::{capture_panics, panic_message},
    time::SimTime,
    trace::{Event, FactSubscriber, json_line},
    verdict::Verdict,
    world::World,
};

/// How long after its limit a run that does not even poll is given up.
const GRACE: Duration = Duration::from_secs(5);

/// How to run.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The faults; `None`: those that the case draws from the seed.
    pub plan: Option<Plan>,
    /// What to keep.
    pub recording: Recording,
    /// When to call it stalled.
    pub limits: Limits,
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The case's name.
    pub case: &'static str,
    /// The seed.
    pub seed: u64,
    /// The faults that were injected.
    pub plan: Plan,
    /// The judgement.
    pub verdict: Verdict,
    /// Identifies everything that happened: equal for two runs of one binary, case, seed and plan.
    pub hash: u64,
    /// What happened.
    pub events: Vec<Event>,
    /// How much simulated time passed.
    pub simulated: Duration,
    /// How much real time passed.
    pub wall: Duration,
}

/// Runs a case with a seed.
///
/// # Errors
/// When the plan does not fit the case's world.
///
/// # Panics
/// When the case's setup or one of its checks panics: a fault of the test, not of the tested.
#[expect(
    clippy::disallowed_methods,
    reason = "every run needs a fresh thread: libraries keep random keys per thread"
)]
pub fn run(case: &Case, seed: u64, options: &Options) -> Result<Outcome, Misfit> {
    capture_panics();
    let plan = options.plan.clone().unwrap_or_else(|| case.plan(seed));
    let mut world = World::new();
    (case.setup)(&mut world);
    misfit::fits(&plan, &world)?;
    let mut checks = Checks::default();
    (case.verify)(&mut checks);

    let started = Instant::now();
    let (send, receive) = mpsc::channel();
    let simulation =
        Simulation { case: case.clone(), seed, plan: plan.clone(), checks, world, options: options.clone() };
    let thread = thread::Builder::new()
        .name(format!("{} seed {seed}", case.name))
        .stack_size(8 << 20)
        .spawn(move || {
            let outcome = catch_unwind(AssertUnwindSafe(|| simulation.run()));
            // The receiver gives up on a run that takes too long.
            let _ = send.send(outcome);
        })
        .expect("the system has room for one more thread");
    let (verdict, hash, events, simulated) = match receive.recv_timeout(options.limits.wall + GRACE) {
        Ok(outcome) => {
            thread.join().expect("the thread has caught every panic");
            outcome.unwrap_or_else(|panic: Box<dyn Any + Send>| {
                panic!("{} seed {seed}: {}", case.name, panic_message(&*panic))
            })
        }
        Err(_) => {
            let reason = format!("one step took longer than {:?}", options.limits.wall + GRACE);
            (Verdict::Stalled { reason }, 0, Vec::new(), Duration::ZERO)
        }
    };
    Ok(Outcome { case: case.name, seed, plan, verdict, hash, events, simulated, wall: started.elapsed() })
}

/// Runs a case twice with a seed; the outcome of the first, or [`Verdict::Diverged`] with the first difference.
///
/// # Errors
/// As [`run`].
pub fn run_twice(case: &Case, seed: u64, options: &Options) -> Result<Outcome, Misfit> {
    let first = run(case, seed, options)?;
    let second = run(case, seed, options)?;
    if first.hash == second.hash {
        return Ok(first);
    }
    let everything = Options { recording: Recording::Everything, ..options.clone() };
    let (one, other) = (run(case, seed, &everything)?, run(case, seed, &everything)?);
    let end = || "the end of the run".to_string();
    let differing = one.events.iter().zip(&other.events).position(|(a, b)| a != b);
    let at = differing.unwrap_or_else(|| one.events.len().min(other.events.len()));
    let told = |outcome: &Outcome| outcome.events.get(at).map_or_else(end, json_line);
    let verdict = Verdict::Diverged { first: told(&one), second: told(&other) };
    Ok(Outcome { verdict, ..first })
}

/// Everything that goes to the run's thread.
struct Simulation {
    case: Case,
    seed: u64,
    plan: Plan,
    checks: Checks,
    world: World,
    options: Options,
}

impl Simulation {
    fn run(self) -> (Verdict, u64, Vec<Event>, Duration) {
        let Self { case, seed, plan, checks, world, options } = self;
        let names: Vec<Arc<str>> = world.hosts.iter().map(|(name, _)| name.clone()).collect();
        let signal = Arc::new(Signal::default());
        let recorder = Recorder::new(names.clone(), options.recording, signal.clone());
        let draws = Arc::new(Draws::new(seed));

        // The stack counts calls, not time, until it sends again: never.
        let mut stack = turmoil_net::Net::with_config(KernelConfig::default().retx_threshold(u32::MAX));
        let mut hosts = Vec::new();
        let mut exhibits = Exhibits { published: world.published, ..Exhibits::default() };
        for (index, (name, boot)) in world.hosts.into_iter().enumerate() {
            let ip = crate::net::address(index);
            let disk = SimDisk::new(name.clone(), draws.clone(), recorder.clone());
            exhibits.disks.insert(name.clone(), disk.clone());
            hosts.push(Arc::new(Host {
                index,
                name,
                ip,
                net: stack.add_host(ip),
                boot,
                disk,
                recorder: recorder.clone(),
                impeded: AtomicBool::new(false),
                state: Mutex::new(HostState::new()),
            }));
        }
        let nodes =
            hosts.iter().map(|host| crate::net::Node { name: host.name.clone(), powered: true, boots: 0 });
        let links = world.links;
        let profile = move |from: &str, to: &str| {
            links.get(&(from.to_string(), to.to_string())).copied().unwrap_or_default()
        };
        let fabric = Fabric::new(seed, nodes.collect(), recorder.clone(), Box::new(profile));
        let faults = plan.entries.iter().map(|entry| entry.fault.to_string()).collect();
        recorder.set_checks(checks, Arc::new(exhibits), faults);

        let kernel = Arc::new(Kernel {
            draws,
            recorder: recorder.clone(),
            signal,
            hosts: hosts.clone(),
            fabric: Mutex::new(fabric),
            commands: Mutex::default(),
            spent: AtomicU64::new(0),
            limits: options.limits,
            peers: world.peers,
            #[expect(clippy::disallowed_methods, reason = "the watchdog watches real time")]
            started: Instant::now(),
        });
        let _interposed = interpose(seed, wall_clock(hosts));
        fastrand::seed(seed);
        let _reporting = tracing::subscriber::set_default(FactSubscriber(recorder.clone()));
        let runtime = Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .rng_seed(RngSeed::from_bytes(&seed.to_le_bytes()))
            .build()
            .expect("a runtime without I/O needs nothing from the system");
        let stack = stack.enter();
        let (stack, simulated) = runtime.block_on(async {
            recorder.start();
            let stack = Driver::new(kernel, stack, plan, &case).run().await;
            (stack, recorder.now())
        });
        drop(runtime);
        drop(stack);
        let (verdict, hash, events) = recorder.finish();
        (verdict, hash, events, SimTime::elapsed(simulated))
    }
}

/// Wall time for code that asks libc: the clock of the host that runs, or of the first.
fn wall_clock(hosts: Vec<Arc<Host>>) -> impl Fn() -> i64 {
    move || {
        let host = current_host().or(Some(0)).and_then(|index| hosts.get(index));
        host.map_or(crate::host::EPOCH, |host| host.wall()).as_micros()
    }
}
