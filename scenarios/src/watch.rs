//! A person who watches processes from outside: asks `/health`, `/ready` and `/metrics` of each, again and again.
//!
//! Every answer is a detail (`watch.saw`, `watch.measured`); what changes is a fact (`watch.ready`, `watch.leads`).

use std::{io, time::Duration};

use env::{BoxStream, Env, detail, fact};
use sim::{Event, World, ms, secs, trace::Value};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{sleep, timeout},
};

/// The host of whoever watches.
pub const WATCH: &str = "watch";

/// How often each process is asked.
const EVERY: Duration = ms(250);

/// How long an answer may take: a process that is well answers at once.
const PATIENCE: Duration = secs(1);

/// The port on which every process serves its status.
const PORT: u16 = 8080;

/// Adds a host that watches these processes.
pub fn watch(world: &mut World, processes: &'static [&'static str]) {
    world.host(WATCH, move |env| async move {
        for &process in processes {
            let watcher = Watcher { env: env.clone(), process, ready: None, leads: None };
            env.spawn("watch", watcher.run());
        }
        std::future::pending().await
    });
}

/// Whether a field of an event has this value.
pub fn says(event: &Event, field: &str, value: bool) -> bool {
    event.get(field) == Some(&Value::Bool(value))
}

struct Watcher {
    env: Env,
    process: &'static str,
    ready: Option<bool>,
    leads: Option<bool>,
}

impl Watcher {
    async fn run(mut self) {
        loop {
            let alive = matches!(self.get("/health").await, Ok((200, _)));
            let ready = matches!(self.get("/ready").await, Ok((200, _)));
            detail!("watch.saw", process = self.process, alive, ready);
            if self.ready.replace(ready) != Some(ready) {
                fact!("watch.ready", process = self.process, ready);
            }
            if let Ok((200, metrics)) = self.get("/metrics").await {
                self.measure(&metrics);
            }
            sleep(EVERY).await;
        }
    }

    fn measure(&mut self, metrics: &str) {
        let value = |name: &str| {
            let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
            line.unwrap_or_default()
        };
        let leads = value("trader_is_leader") == "1";
        detail!(
            "watch.measured",
            process = self.process,
            leads,
            scan = value("scan_heartbeat_seconds"),
            order = value("order_heartbeat_seconds"),
            md = value("md_heartbeat_seconds"),
        );
        if self.leads.replace(leads) != Some(leads) {
            fact!("watch.leads", process = self.process, leads);
        }
    }

    async fn get(&self, path: &str) -> io::Result<(u16, String)> {
        let asked = async {
            let stream = self.env.net.connect(self.process, PORT).await?;
            get(stream, path).await
        };
        timeout(PATIENCE, asked).await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

/// The status and the body of the answer to a GET, on a connection of its own.
async fn get(mut stream: BoxStream, path: &str) -> io::Result<(u16, String)> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: status\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
}
