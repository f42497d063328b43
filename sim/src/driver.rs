//! The loop that moves a world: it wakes when a process has touched the network, when a packet or a fault is due, or
//! when a process asks for something, and sleeps otherwise, while tokio's paused clock jumps to the next timer.

mod hosts;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    future::poll_fn,
    sync::Arc,
    task::Poll,
};

use turmoil_net::{EnterGuard, Packet};

use crate::{
    case::Case,
    host::Host,
    kernel::{Command, Kernel},
    plan::{ClockFault, Entry, Fault, HostFault, Plan, When},
    time::SimTime,
};

/// What the driver does at a time that is known beforehand. Of two at one time, the one that was noted first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Begin(usize),
    End(usize),
    Start(usize),
    Heal,
    /// Nothing; the time is one at which the checks are asked.
    Look,
}

pub(crate) struct Driver {
    kernel: Arc<Kernel>,
    stack: EnterGuard,
    plan: Plan,
    agenda: BinaryHeap<Reverse<(SimTime, u64, Step)>>,
    noted: u64,
    /// Faults that have begun and not ended, with the host that they keep down.
    active: BTreeMap<usize, Option<usize>>,
    healed: Option<SimTime>,
    settle: std::time::Duration,
    outgoing: Vec<Packet>,
    incoming: Vec<Packet>,
}

impl Driver {
    pub(crate) fn new(kernel: Arc<Kernel>, stack: EnterGuard, plan: Plan, case: &Case) -> Self {
        let mut driver = Self {
            kernel,
            stack,
            plan,
            agenda: BinaryHeap::new(),
            noted: 0,
            active: BTreeMap::new(),
            healed: None,
            settle: case.settle,
            outgoing: Vec::new(),
            incoming: Vec::new(),
        };
        for host in 0..driver.kernel.hosts.len() {
            driver.note(SimTime::ZERO, Step::Start(host));
        }
        for (index, entry) in driver.plan.entries.clone().iter().enumerate() {
            match &entry.when {
                When::At(time) => driver.note(*time, Step::Begin(index)),
                When::On { event, nth, .. } => driver.kernel.recorder.watch(event, *nth, index),
            }
        }
        driver.note(SimTime::after(case.safety), Step::Heal);
        driver
    }

    fn note(&mut self, at: SimTime, step: Step) {
        self.noted += 1;
        self.agenda.push(Reverse((at, self.noted, step)));
    }

    /// Runs the world until a verdict is clear. Returns the stack, which must outlive every socket.
    pub(crate) async fn run(mut self) -> EnterGuard {
        let mut timer = Box::pin(tokio::time::sleep_until(self.kernel.recorder.instant(SimTime::ZERO)));
        loop {
            let next = self.next();
            let deadline = self.kernel.recorder.instant(next);
            if timer.deadline() != deadline {
                timer.as_mut().reset(deadline);
            }
            let signalled = poll_fn(|cx| match self.kernel.signal.poll(cx) {
                Poll::Ready(()) => Poll::Ready(true),
                Poll::Pending => timer.as_mut().poll(cx).map(|()| false),
            })
            .await;
            self.turn(signalled);
            if self.over() {
                break;
            }
        }
        for host in &self.kernel.hosts {
            host.drop_process();
        }
        self.stack
    }

    /// When there is certainly something to do.
    fn next(&self) -> SimTime {
        let packet = self.fabric().next_due();
        let step = self.agenda.peek().map(|Reverse((at, ..))| *at);
        // Without either only a signal can wake the driver, which looks once a simulated minute all the same.
        let idle = || self.kernel.recorder.now() + crate::time::mins(1);
        packet.into_iter().chain(step).min().unwrap_or_else(idle)
    }

    fn fabric(&self) -> std::sync::MutexGuard<'_, crate::net::Fabric> {
        self.kernel.fabric.lock().expect("no fault panics")
    }

    fn turn(&mut self, signalled: bool) {
        let now = self.kernel.recorder.now();
        for entry in self.kernel.recorder.take_fired() {
            if let When::On { delay, .. } = self.plan.entries[entry].when {
                self.note(now + delay, Step::Begin(entry));
            }
        }
        while let Some(Reverse((at, _, step))) = self.agenda.peek().copied()
            && at <= now
        {
            self.agenda.pop();
            self.take(step, now);
        }
        let commands = std::mem::take(&mut *self.kernel.commands.lock().expect("pushing does not panic"));
        for command in commands {
            self.obey(command);
        }
        self.move_packets(now, signalled);
    }

    /// Moves packets until every stack is quiet. Looking into the stacks is what costs most, for it means looking at every
    /// socket: without `collect` it is left out when what arrives calls for no answer before a process gives one.
    fn move_packets(&mut self, now: SimTime, collect: bool) {
        let mut fabric = self.kernel.fabric.lock().expect("no fault panics");
        let answers_due = fabric.take_due(now, &mut self.incoming);
        loop {
            for packet in self.incoming.drain(..) {
                self.stack.deliver(packet);
            }
            if !collect && !answers_due {
                break;
            }
            self.stack.egress_all(&mut self.outgoing);
            if self.outgoing.is_empty() {
                break;
            }
            for packet in self.outgoing.drain(..) {
                fabric.send(now, packet, &mut self.incoming);
            }
            if self.incoming.is_empty() {
                break;
            }
        }
    }

    fn take(&mut self, step: Step, now: SimTime) {
        match step {
            Step::Begin(entry) if self.healed.is_none() => self.begin(entry, now),
            Step::Begin(_) | Step::Look => {}
            Step::End(entry) => self.end(entry, now),
            Step::Start(host) => self.start(host),
            Step::Heal => self.heal(now),
        }
    }

    fn begin(&mut self, index: usize, now: SimTime) {
        let Entry { fault, lasting, .. } = self.plan.entries[index].clone();
        let kernel = self.kernel.clone();
        kernel.recorder.engine_event(None, "fault.begins", vec![("fault", fault.to_string().into())]);
        let mut down = None;
        match &fault {
            Fault::Net(fault) => self.with_fabric(|fabric, deliver| fabric.begin(index, fault, deliver)),
            Fault::Disk { host, fault } => self.named(host).disk.begin(index, fault),
            Fault::Host { host, fault } => {
                let host = self.named(host);
                self.begin_at_host(index, &host, fault);
                down = matches!(fault, HostFault::Kill | HostFault::Stop | HostFault::PowerLoss(_))
                    .then_some(host.index);
            }
            Fault::Clock { host, fault } => {
                let host = self.named(host);
                match fault {
                    ClockFault::Step { millis } => host.step_clock(*millis),
                    ClockFault::Drift { ppm } => host.drift_clock(*ppm),
                }
                kernel.recorder.bite(index);
            }
            Fault::Peer { host, words } => {
                let recorder = kernel.recorder.clone();
                self.port(host)
                    .begin(index, words, Box::new(move || recorder.bite(index)))
                    .expect("a plan is checked against the servers before the run");
            }
        }
        if fault.lasts() {
            self.active.insert(index, down);
        }
        if let Some(span) = lasting {
            self.note(now + span, Step::End(index));
        }
    }

    fn named(&self, name: &str) -> Arc<Host> {
        self.kernel.host(name).expect("a plan is checked against the hosts before the run").clone()
    }

    fn port(&self, host: &str) -> &dyn faults::Port {
        &**self.kernel.peers.get(host).expect("a plan is checked against the servers before the run")
    }

    /// Lets the fabric act, then delivers what that calls for and discards what the stacks answer to it from dead hosts.
    fn with_fabric(&mut self, act: impl FnOnce(&mut crate::net::Fabric, &mut Vec<Packet>)) {
        let mut fabric = self.kernel.fabric.lock().expect("no fault panics");
        let now = self.kernel.recorder.now();
        // What the hosts have said so far was said before.
        self.stack.egress_all(&mut self.outgoing);
        for packet in self.outgoing.drain(..) {
            fabric.send(now, packet, &mut self.incoming);
        }
        act(&mut fabric, &mut self.incoming);
        drop(fabric);
        self.move_packets(now, true);
    }

    fn end(&mut self, index: usize, now: SimTime) {
        let Some(down) = self.active.remove(&index) else {
            return;
        };
        let fault = self.plan.entries[index].fault.clone();
        self.kernel.recorder.engine_event(None, "fault.ends", vec![("fault", fault.to_string().into())]);
        match &fault {
            Fault::Net(_) => self.with_fabric(|fabric, _| fabric.end(now, index)),
            Fault::Disk { host, .. } => self.named(host).disk.end(index),
            Fault::Host { host, .. } => {
                let host = self.named(host);
                {
                    let mut state = host.state();
                    state.pauses.retain(|entry| *entry != index);
                    state.slowness.retain(|(entry, ..)| *entry != index);
                    state.pressures.retain(|(entry, _)| *entry != index);
                }
                host.review_impediments();
            }
            Fault::Clock { host, fault } => match fault {
                // Without an end of its own a step is a jump, which no healing takes back.
                ClockFault::Step { millis } if self.plan.entries[index].lasting.is_some() => {
                    self.named(host).step_clock(-millis);
                }
                ClockFault::Step { .. } => {}
                ClockFault::Drift { ppm } => self.named(host).drift_clock(-ppm),
            },
            Fault::Peer { host, .. } => self.port(host).end(index),
        }
        let kept_down_by_another = |host: usize| self.active.values().any(|other| *other == Some(host));
        if let Some(host) = down
            && !kept_down_by_another(host)
        {
            self.start(host);
        }
    }

    /// Ends every fault and starts every host that a fault has ended; from now on the system must recover.
    fn heal(&mut self, now: SimTime) {
        for index in self.active.keys().copied().collect::<Vec<_>>() {
            // What was killed for good stays dead: a supervisor's business, not the healing's.
            let for_good = self.plan.entries[index].lasting.is_none();
            if for_good && let Some(down) = self.active.get_mut(&index) {
                *down = down.filter(|host| !self.kernel.hosts[*host].state().powered);
            }
            self.end(index, now);
        }
        self.healed = Some(now);
        self.kernel.recorder.engine_event(None, "world.healed", vec![]);
        for at in [self.settle, self.kernel.recorder.patience()] {
            self.note(now + at, Step::Look);
        }
    }

    fn over(&self) -> bool {
        if self.kernel.recorder.concluded() {
            return true;
        }
        let Some(healed) = self.healed else { return false };
        let since = self.kernel.recorder.now().since(healed);
        let settled = self.kernel.recorder.judge(since);
        self.kernel.recorder.concluded() || (settled && since >= self.settle)
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Start { host, done } => {
                self.start(host);
                let _ = done.send(());
            }
            Command::Stop { host } => {
                let host = self.kernel.hosts[host].clone();
                self.stop(&host);
            }
            Command::Kill { host, done } => {
                let host = self.kernel.hosts[host].clone();
                self.kill(&host);
                let _ = done.send(());
            }
            Command::Reap { host, port, done } => {
                self.with_fabric(|fabric, deliver| fabric.reap(host, Some(port), deliver));
                let _ = done.send(());
            }
        }
    }
}
