//! One client's stream connection: events out, commands in, until either side ends it.

use std::pin::pin;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        self, Bytes, Message, Utf8Bytes,
        protocol::{CloseFrame, frame::coding::CloseCode},
    },
};

use super::{
    Target, control,
    hub::Seat,
    keepalive::{Due, Keepalive},
};
use crate::server::Venue;

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a connection until it ends.
pub(super) async fn run(venue: &Venue, socket: Socket, target: Target) {
    let (seat, inbox) = venue.hub.join(target.combined);
    target.names.iter().for_each(|name| seat.subscribe(name));
    let hears_user = target.names.iter().any(|name| is_listen_key(name));
    if hears_user {
        env::fact!("broker.user_stream", state = "connected");
    }
    let end = tokio::select! { biased;
        _ = inbox.lost => "too slow",
        end = converse(socket, inbox.events, &seat) => end.unwrap_or("broken"),
    };
    if hears_user {
        env::fact!("broker.user_stream", state = "disconnected", reason = end);
    }
}

/// A name without `@` can only be a listen key.
fn is_listen_key(name: &str) -> bool {
    !name.contains('@')
}

/// Returns why the conversation ended; an error means that the transport broke.
async fn converse(
    mut socket: Socket,
    mut events: mpsc::Receiver<Utf8Bytes>,
    seat: &Seat<'_>,
) -> Result<&'static str, tungstenite::Error> {
    let mut life = Keepalive::new(Instant::now());
    let mut timer = pin!(sleep_until(life.deadline()));
    loop {
        tokio::select! { biased;
            incoming = socket.next() => {
                let Some(message) = incoming.transpose()? else { return Ok("closed") };
                if !life.message(Instant::now()) {
                    return close(socket, CloseCode::Policy, "too many messages").await;
                }
                match message {
                    Message::Text(text) => socket.send(Message::text(control::answer(&text, seat))).await?,
                    Message::Pong(_) => life.pong(Instant::now()),
                    // The library has queued the answer; it goes out with the flush.
                    Message::Ping(_) => socket.flush().await?,
                    Message::Close(_) => {
                        // Whether the answer arrives no longer matters.
                        let _ = socket.flush().await;
                        return Ok("closed");
                    }
                    Message::Binary(_) | Message::Frame(_) => {
                        return close(socket, CloseCode::Unsupported, "binary message").await;
                    }
                }
            }
            event = events.recv() => {
                let Some(event) = event else { return Ok("too slow") };
                socket.feed(Message::Text(event)).await?;
                while let Ok(event) = events.try_recv() {
                    socket.feed(Message::Text(event)).await?;
                }
                socket.flush().await?;
            }
            () = &mut timer => match life.due(Instant::now()) {
                Due::Ping => socket.send(Message::Ping(Bytes::new())).await?,
                Due::Silent => return Ok("no pong"),
                Due::Old => return close(socket, CloseCode::Away, "24 hours are over").await,
            }
        }
        if timer.deadline() != life.deadline() {
            timer.as_mut().reset(life.deadline());
        }
    }
}

async fn close(
    mut socket: Socket,
    code: CloseCode,
    reason: &'static str,
) -> Result<&'static str, tungstenite::Error> {
    socket.close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })).await?;
    Ok(reason)
}
