//! The toy: `server` echoes on port 7; a client sends numbered lines and reports each echo with the time it took.

use std::{io, time::Duration};

use env::{BoxStream, Env, fact};
use sim::{Case, Event, Options, Outcome, Plan, World, mins, ms, run, secs};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::{Instant, sleep, timeout},
};

pub const PORT: u16 = 7;

pub async fn serve(env: Env) {
    let listener = env.net.listen(PORT).await.expect("the port is free");
    fact!("server.listens");
    let mut connections = Vec::new();
    while let Ok((stream, _)) = listener.accept().await {
        let task = env.spawn("echo", async move {
            let _ = echo(stream).await;
        });
        connections.push(task.abort_on_drop());
    }
}

async fn echo(mut stream: BoxStream) -> io::Result<()> {
    let mut buffer = [0; 4_096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return Ok(()),
            read => stream.write_all(&buffer[..read]).await?,
        }
    }
}

/// Sends a line every `pause` and waits for its echo; reconnects after an error or 5 s of silence.
pub async fn ping(env: Env, pause: Duration) {
    let mut number = 0_u64;
    loop {
        let attempt = timeout(secs(5), env.net.connect("server", PORT)).await;
        let error = match attempt {
            Ok(Ok(stream)) => {
                fact!("client.connected");
                exchange(stream, &mut number, pause).await
            }
            Ok(Err(error)) => error,
            Err(_) => io::ErrorKind::TimedOut.into(),
        };
        fact!("client.lost", kind = ?error.kind());
        sleep(ms(500)).await;
    }
}

async fn exchange(mut stream: BoxStream, number: &mut u64, pause: Duration) -> io::Error {
    loop {
        *number += 1;
        let sent = Instant::now();
        let line = format!("{number:08}");
        let mut echo = [0; 8];
        let round = async {
            stream.write_all(line.as_bytes()).await?;
            stream.read_exact(&mut echo).await
        };
        match timeout(secs(5), round).await {
            Ok(Ok(_)) => {
                assert_eq!(echo, *line.as_bytes(), "the echo is what was sent");
                fact!("client.echo", number = *number, took_ms = sent.elapsed().as_millis() as u64);
            }
            Ok(Err(error)) => return error,
            Err(_) => return io::ErrorKind::TimedOut.into(),
        }
        sleep(pause).await;
    }
}

pub fn echo_world(world: &mut World) {
    world.host("server", serve).host("client", |env| ping(env, ms(100)));
}

pub fn echo_case() -> Case {
    Case::new("echo", echo_world).safety(mins(1))
}

/// The echo world under a plan, which must hold.
pub fn under(plan: &str) -> Outcome {
    let plan = Plan::parse(plan).expect("a well-formed plan");
    let outcome =
        run(&echo_case(), 1, &Options { plan: Some(plan), ..Options::default() }).expect("known hosts");
    assert!(outcome.verdict.held(), "{}\n{}", outcome.verdict, story(&outcome));
    outcome
}

pub fn story(outcome: &Outcome) -> String {
    outcome.events.iter().map(|event| format!("{event}\n")).collect()
}

pub fn named<'a>(outcome: &'a Outcome, name: &str) -> Vec<&'a Event> {
    outcome.events.iter().filter(|event| event.name == name).collect()
}

/// The longest time without an echo between two moments, in milliseconds.
pub fn silence(outcome: &Outcome, from: Duration, to: Duration) -> u64 {
    let within = |at: u64| (from.as_millis() as u64..=to.as_millis() as u64).contains(&at);
    let mut times = vec![from.as_millis() as u64];
    times.extend(
        named(outcome, "client.echo").iter().map(|event| event.at.as_millis()).filter(|at| within(*at)),
    );
    times.push(to.as_millis() as u64);
    times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

pub fn uint(event: &Event, field: &str) -> u64 {
    event.number(field).unwrap_or_else(|| panic!("{event}: {field} is no number"))
}

/// Why the client lost its connections.
pub fn losses(outcome: &Outcome) -> Vec<String> {
    named(outcome, "client.lost")
        .iter()
        .map(|event| event.text("kind").expect("a kind").to_string())
        .collect()
}
