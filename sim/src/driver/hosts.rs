//! Machines and processes: starting, asking, killing, cutting the power.

use std::{collections::BTreeMap, sync::Arc};

use env::Env;
use tokio::sync::{oneshot, watch};

use super::Driver;
use crate::{
    disk::HostDisk,
    host::{Host, Process},
    kernel::{Command, Kernel},
    net::HostNet,
    plan::{HostFault, Survival},
    process::HostEnv,
    task::HostTasks,
    trace::Value,
};

impl Driver {
    /// Begins a fault of a host.
    pub(super) fn begin_at_host(&mut self, index: usize, host: &Arc<Host>, fault: &HostFault) {
        let recorder = self.kernel.recorder.clone();
        match fault {
            HostFault::Kill => {
                if self.kill(host) {
                    recorder.bite(index);
                }
            }
            HostFault::Restart => {
                if self.kill(host) {
                    recorder.bite(index);
                }
                self.start(host.index);
            }
            HostFault::Stop => {
                if self.stop(host) {
                    recorder.bite(index);
                }
            }
            HostFault::PowerLoss(survival) => {
                self.cut_power(host, *survival);
                recorder.bite(index);
            }
            HostFault::Pause => {
                host.state().pauses.push(index);
                host.review_impediments();
            }
            HostFault::Slow { least, most } => {
                host.state().slowness.push((index, *least, *most));
                host.review_impediments();
            }
            HostFault::Memory { percent } => host.state().pressures.push((index, *percent)),
        }
    }

    fn cut_power(&mut self, host: &Arc<Host>, survival: Option<Survival>) {
        let boots = {
            let mut state = host.state();
            state.powered = false;
            state.boots
        };
        let recorder = self.kernel.recorder.clone();
        recorder.engine_event(Some(&host.name), "host.lost_power", vec![]);
        // The sockets first: what closing them would say is not said any more.
        self.with_fabric(|fabric, deliver| fabric.set_power(host.index, false, boots, deliver));
        host.drop_process();
        let lost = Value::Bool(host.disk.power_loss(survival));
        recorder.engine_event(Some(&host.name), "disk.crashed", vec![("unsynced_data_lost", lost)]);
    }

    /// kill -9; whether there was a process.
    pub(super) fn kill(&self, host: &Host) -> bool {
        let killed = host.drop_process();
        if killed {
            self.kernel.recorder.engine_event(Some(&host.name), "host.killed", vec![]);
        }
        killed
    }

    /// SIGTERM; whether there was a process that had not been asked yet.
    pub(super) fn stop(&self, host: &Host) -> bool {
        let asked = host.state().process.as_ref().is_some_and(|process| !process.stop.send_replace(true));
        if asked {
            self.kernel.recorder.engine_event(Some(&host.name), "host.asked_to_stop", vec![]);
        }
        asked
    }

    /// Starts the host's process, unless it runs; gives the machine power first, if it has none.
    pub(super) fn start(&mut self, index: usize) {
        let host = self.kernel.hosts[index].clone();
        if host.runs() {
            return;
        }
        let boots = {
            let mut state = host.state();
            if !state.powered {
                state.powered = true;
                state.boots += 1;
            }
            state.process =
                Some(Process { tasks: BTreeMap::new(), next_task: 0, stop: watch::Sender::new(false) });
            state.boots
        };
        self.with_fabric(|fabric, deliver| {
            fabric.set_power(index, true, boots, deliver);
            fabric.reap(index, None, deliver);
        });
        self.kernel.recorder.engine_event(Some(&host.name), "host.started", vec![]);
        let env = environment(&self.kernel, &host);
        let tasks = env.tasks.clone();
        let main = (host.boot)(env);
        let kernel = self.kernel.clone();
        let process = async move {
            main.await;
            // The process ends with its main task; the driver takes away the others.
            kernel.recorder.engine_event(Some(&host.name), "host.exited", vec![]);
            let (done, _) = oneshot::channel();
            kernel.ask(Command::Kill { host: host.index, done });
        };
        tasks.spawn("main", Box::pin(process));
    }
}

/// Everything that a process of the host may touch.
fn environment(kernel: &Arc<Kernel>, host: &Arc<Host>) -> Env {
    let (kernel, host) = (|| kernel.clone(), || host.clone());
    let small = Arc::new(HostEnv { kernel: kernel(), host: host() });
    Env {
        net: Arc::new(HostNet { kernel: kernel(), host: host() }),
        disk: Arc::new(HostDisk(host().disk.clone())),
        clock: small.clone(),
        entropy: small.clone(),
        tasks: Arc::new(HostTasks { kernel: kernel(), host: host() }),
        processes: small.clone(),
        resources: small,
    }
}
