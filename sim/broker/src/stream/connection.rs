//! One client's stream connection: events out, commands in, until either side ends it.

use std::pin::pin;

use futures_util::{SinkExt, StreamExt};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tokio::{
    io::AsyncWriteExt,
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
    hub::{Event, Events, Seat},
    keepalive::{Due, Keepalive},
};
use crate::{
    fault::{Audience, Fault, chance},
    server::Venue,
};

type Socket = WebSocketStream<TokioIo<Upgraded>>;

/// Serves a connection until it ends.
pub(super) async fn run(venue: &Venue, socket: Socket, target: Target) {
    let (seat, inbox) = venue.hub.join(target.combined);
    target.names.iter().for_each(|name| seat.subscribe(name));
    let mut client = Client { venue, socket, seat: &seat, hears_user: false };
    client.look_whether_it_hears_a_user();
    let end = tokio::select! { biased;
        reason = inbox.lost => reason.unwrap_or("too slow"),
        end = client.converse(inbox.events) => end.unwrap_or("broken"),
    };
    if client.hears_user {
        env::fact!("broker.user_stream", state = "disconnected", reason = end);
    }
}

struct Client<'a> {
    venue: &'a Venue,
    socket: Socket,
    seat: &'a Seat<'a>,
    /// Whether it listens to an account's events.
    hears_user: bool,
}

/// Whether the conversation goes on, or why not.
enum Next {
    Continue,
    End(&'static str),
}

/// What a fault makes of an event.
enum Spoilt {
    Lost,
    Text,
    Frame,
}

impl Client<'_> {
    /// Returns why the conversation ended; an error means that the transport broke.
    async fn converse(&mut self, mut events: Events) -> Result<&'static str, tungstenite::Error> {
        let mut life = Keepalive::new(Instant::now());
        let mut timer = pin!(sleep_until(life.deadline()));
        loop {
            let next = tokio::select! { biased;
                incoming = self.socket.next() => match incoming {
                    None => Next::End("closed"),
                    Some(Ok(message)) => self.hear(message, &mut life).await?,
                    Some(Err(tungstenite::Error::Capacity(_))) => {
                        self.close(CloseCode::Size, "message too long").await?
                    }
                    Some(Err(error)) => return Err(error),
                },
                event = events.recv() => match event {
                    None => Next::End("too slow"),
                    Some(event) => self.tell(event, &mut events).await?,
                },
                () = &mut timer => match life.due(Instant::now()) {
                    Due::Ping => self.ping().await?,
                    Due::Silent => Next::End("no pong"),
                    Due::Old => self.close(CloseCode::Away, "24 hours are over").await?,
                },
            };
            if let Next::End(reason) = next {
                return Ok(reason);
            }
            if timer.deadline() != life.deadline() {
                timer.as_mut().reset(life.deadline());
            }
        }
    }

    async fn hear(&mut self, message: Message, life: &mut Keepalive) -> Result<Next, tungstenite::Error> {
        if !life.message(Instant::now()) {
            return self.close(CloseCode::Policy, "too many messages").await;
        }
        match message {
            Message::Text(text) => {
                let answer = control::answer(&text, self.seat);
                self.look_whether_it_hears_a_user();
                self.socket.send(Message::text(answer)).await?;
            }
            Message::Pong(_) => life.pong(Instant::now()),
            // The library has queued the answer; it goes out with the flush.
            Message::Ping(_) => self.socket.flush().await?,
            Message::Close(_) => {
                // Whether the answer arrives no longer matters.
                let _ = self.socket.flush().await;
                return Ok(Next::End("closed"));
            }
            Message::Binary(_) | Message::Frame(_) => {
                return self.close(CloseCode::Unsupported, "binary message").await;
            }
        }
        Ok(Next::Continue)
    }

    /// Sends an event and all that wait behind it.
    async fn tell(&mut self, first: Event, events: &mut Events) -> Result<Next, tungstenite::Error> {
        let mut next = Some(first);
        while let Some(event) = next {
            match self.spoil(event.audience) {
                None => self.socket.feed(Message::Text(event.text)).await?,
                Some(Spoilt::Lost) => {}
                Some(Spoilt::Text) => {
                    let end = self.cut_at(&event.text);
                    self.socket.feed(Message::text(&event.text[..end])).await?;
                }
                Some(Spoilt::Frame) => {
                    self.break_off(&event.text).await?;
                    return Ok(Next::End("cut within a frame"));
                }
            }
            next = events.try_recv();
        }
        self.socket.flush().await?;
        Ok(Next::Continue)
    }

    fn spoil(&self, audience: Audience) -> Option<Spoilt> {
        let entropy = &*self.venue.env.entropy;
        self.venue.exchange.faults().strike(|fault| match fault {
            Fault::StreamMute(wanted) => audience.is(*wanted).then_some(Spoilt::Lost),
            Fault::StreamCorrupt { percent, frames } => {
                let hit = chance(*percent, entropy, "broker.fault.corrupt");
                hit.then_some(if *frames { Spoilt::Frame } else { Spoilt::Text })
            }
            _ => None,
        })
    }

    /// Where an event breaks off: after its first character and before its last, so that it is no JSON.
    fn cut_at(&self, text: &str) -> usize {
        let drawn =
            self.venue.env.entropy.below("broker.fault.cut", text.len().saturating_sub(1).max(1) as u64);
        text.floor_char_boundary(1 + drawn as usize)
    }

    /// Sends the head of a frame and a part of its content.
    async fn break_off(&mut self, text: &Utf8Bytes) -> Result<(), tungstenite::Error> {
        /// Final fragment, opcode "text"; RFC 6455, §5.2.
        const TEXT: u8 = 0x81;
        /// The length follows in 8 bytes.
        const LONG: u8 = 127;
        self.socket.flush().await?;
        let mut frame = vec![TEXT, LONG];
        frame.extend((text.len() as u64).to_be_bytes());
        frame.extend(&text.as_bytes()[..self.cut_at(text)]);
        let transport = self.socket.get_mut();
        transport.write_all(&frame).await?;
        Ok(transport.flush().await?)
    }

    async fn ping(&mut self) -> Result<Next, tungstenite::Error> {
        let audience = self.seat.audience();
        let muted = |fault: &mut Fault| match fault {
            Fault::StreamMute(wanted) => audience.is(*wanted).then_some(()),
            _ => None,
        };
        if self.venue.exchange.faults().strike(muted).is_none() {
            self.socket.send(Message::Ping(Bytes::new())).await?;
        }
        Ok(Next::Continue)
    }

    async fn close(&mut self, code: CloseCode, reason: &'static str) -> Result<Next, tungstenite::Error> {
        self.socket.close(Some(CloseFrame { code, reason: Utf8Bytes::from_static(reason) })).await?;
        Ok(Next::End(reason))
    }

    /// Reports it when the client begins to listen to a listen key; gives acts that wait for a listener their chance.
    fn look_whether_it_hears_a_user(&mut self) {
        if !self.hears_user && self.seat.audience() == Audience::User {
            self.hears_user = true;
            env::fact!("broker.user_stream", state = "connected");
        }
        self.venue.stirred.notify_one();
    }
}
