//! A WebSocket to the broker that notices when the other side is gone.
//!
//! Deliberately absent: reconnecting, which needs to know what to subscribe to and what was missed.

use std::time::Duration;

use env::{BoxStream, Env};
use futures_util::{FutureExt, SinkExt, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{self, Message, Utf8Bytes, protocol::WebSocketConfig},
};

use super::{BROKER, connect};

/// How long the upgrade may take once the connection stands.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// A connection that is silent this long is asked for a sign of life. Together with `PONG_TIMEOUT` below the 30 s for
/// which a price is tradable; few enough pings for the exchange, which takes 10 messages per second.
const SILENCE: Duration = Duration::from_secs(15);

/// How long the sign of life may take.
const PONG_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest message that is read: hundreds of times the longest that the exchange sends on our streams.
const MESSAGE_LIMIT: usize = 1 << 20;

/// Bytes read at once; messages have some 200 bytes.
const READ_BUFFER: usize = 16 << 10;

/// Why a socket is of no more use.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// No connection.
    #[error("connecting failed: {0}")]
    Connect(#[from] std::io::Error),
    /// The protocol failed, the connection broke.
    #[error("{0}")]
    Protocol(#[from] tungstenite::Error),
    /// No sign of life.
    #[error("silent")]
    Silent,
    /// The broker said goodbye.
    #[error("closed by the broker")]
    Closed,
    /// A message is not what the stream carries.
    #[error("malformed message: {0}")]
    Malformed(String),
}

/// An open WebSocket.
pub(super) struct Socket {
    inner: WebSocketStream<BoxStream>,
    /// A ping is under way that nothing has answered yet.
    pinged: bool,
}

impl Socket {
    /// Opens `path` at the broker.
    pub(super) async fn open(env: &Env, path: &str) -> Result<Self, SocketError> {
        let stream = connect(env, BROKER).await?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MESSAGE_LIMIT))
            .max_frame_size(Some(MESSAGE_LIMIT));
        let handshake = client_async_with_config(format!("ws://{}{path}", BROKER.0), stream, Some(config));
        let (inner, _response) = timeout(HANDSHAKE_TIMEOUT, handshake)
            .await
            .unwrap_or(Err(tungstenite::Error::ConnectionClosed))?;
        Ok(Self { inner, pinged: false })
    }

    /// Waits for the next text. May be dropped and called again without losing one.
    pub(super) async fn next(&mut self) -> Result<Utf8Bytes, SocketError> {
        loop {
            let patience = if self.pinged { PONG_TIMEOUT } else { SILENCE };
            match timeout(patience, self.inner.next()).await {
                Ok(message) => {
                    self.pinged = false;
                    if let Some(text) = text(message)? {
                        return Ok(text);
                    }
                }
                Err(_) if self.pinged => return Err(SocketError::Silent),
                Err(_) => {
                    self.pinged = true;
                    timeout(PONG_TIMEOUT, self.inner.send(Message::Ping(bytes::Bytes::new())))
                        .await
                        .map_err(|_| SocketError::Silent)??;
                }
            }
        }
    }

    /// The next text if it has arrived already.
    pub(super) fn next_arrived(&mut self) -> Result<Option<Utf8Bytes>, SocketError> {
        while let Some(message) = self.inner.next().now_or_never() {
            if let Some(text) = text(message)? {
                return Ok(Some(text));
            }
        }
        Ok(None)
    }
}

/// The text in a message; the library answers pings by itself.
fn text(message: Option<Result<Message, tungstenite::Error>>) -> Result<Option<Utf8Bytes>, SocketError> {
    match message.ok_or(SocketError::Closed)?? {
        Message::Text(text) => Ok(Some(text)),
        Message::Close(_) => Err(SocketError::Closed),
        Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => Ok(None),
    }
}
