//! Keeps the account's user stream open and passes on what it reports.

use env::{Env, fact};
use tokio::sync::mpsc;

use crate::clients::{
    backoff::Backoff,
    broker::Broker,
    user_stream::{OrderUpdate, UserStream, UserStreamError},
};

/// What the desk learns from the user stream.
#[derive(Clone, Debug)]
pub(super) enum Event {
    /// The stream stands: what happened before it did must be asked for.
    Up,
    /// An order moved.
    Update(OrderUpdate),
}

/// Follows the user stream, through reconnections, until nobody receives.
pub(super) async fn follow(env: Env, broker: Broker, send: mpsc::Sender<Event>) {
    let mut backoff = Backoff::reconnect("trader.user_stream");
    loop {
        let lost = match UserStream::open(&env, broker.clone()).await {
            Ok(stream) => {
                backoff.reset();
                fact!("user_stream.up");
                match pass_on(stream, &send).await {
                    Some(lost) => lost,
                    None => return,
                }
            }
            Err(error) => error,
        };
        fact!("user_stream.down", reason = %lost);
        backoff.wait(&env).await;
    }
}

/// Passes on events until the stream is lost; `None` when nobody receives.
async fn pass_on(mut stream: UserStream, send: &mpsc::Sender<Event>) -> Option<UserStreamError> {
    send.send(Event::Up).await.ok()?;
    loop {
        match stream.next().await {
            Ok(update) => send.send(Event::Update(update)).await.ok()?,
            Err(lost) => return Some(lost),
        }
    }
}
