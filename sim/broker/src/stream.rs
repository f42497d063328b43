//! WebSocket streams: `/ws/<stream>` sends raw events, `/stream?streams=a/b` wraps each with its stream's name.

mod act;
mod algo;
mod connection;
mod control;
mod courier;
mod hub;
mod keepalive;
mod market;
mod name;
mod user;

use std::{borrow::Cow, sync::Arc};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Request, Response, StatusCode, Uri,
    body::Incoming,
    header::{
        CONNECTION, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
    },
};
use hyper_util::rt::TokioIo;
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        handshake::derive_accept_key,
        protocol::{Role, WebSocketConfig},
    },
};

pub(crate) use act::act;
pub(crate) use courier::{Courier, deliver};
pub(crate) use hub::Hub;
pub(crate) use market::play;
pub(crate) use user::expire_keys;

use crate::{
    error::ApiError,
    server::{Place, Venue},
};

/// The most streams that one connection may listen to ("Websocket Market Streams" of USDⓈ-M futures; other markets of the
/// venue allow 200).
const MAX_STREAMS: usize = 1024;
/// The longest message that a client may send, in bytes.
const MAX_MESSAGE: usize = 32 * 1024;
/// Enough for the few small messages that clients send; the library's default is 128 KiB for every connection.
const READ_BUFFER: usize = 4 * 1024;

/// The streams that a connection's address asks for.
pub(crate) struct Target {
    combined: bool,
    names: Vec<String>,
}

/// What an address may begin with: the newer ones route streams by their kind, as `wss://fstream.binance.com/market/ws/…`.
/// Here each leads to all streams, as an address without it does.
const ROUTES: &[&str] = &["/market", "/private", "/public"];

impl Target {
    /// None when `uri` is not that of a stream.
    pub fn of(uri: &Uri) -> Option<Self> {
        let path = ROUTES.iter().find_map(|route| uri.path().strip_prefix(route)).unwrap_or(uri.path());
        let query = uri.query().unwrap_or_default().as_bytes();
        let param = |wanted: &str| form_urlencoded::parse(query).find(|(name, _)| name == wanted);
        let (combined, list) = match path {
            "/ws" => (false, Cow::Borrowed("")),
            "/stream" => {
                let streams = param("streams");
                (true, streams.map_or(Cow::Borrowed(""), |(_, value)| value))
            }
            path => (false, Cow::Borrowed(path.strip_prefix("/ws/")?)),
        };
        let mut names: Vec<String> =
            list.split('/').filter(|name| !name.is_empty()).map(String::from).collect();
        // The newer addresses give the key of an account's stream as a parameter.
        names.extend(param("listenKey").map(|(_, key)| key.into_owned()));
        Some(Self { combined, names })
    }
}

/// Answers the opening handshake (RFC 6455, §4.2) and leaves the connection to a task of its own.
pub(crate) fn upgrade(
    venue: &Arc<Venue>,
    target: Target,
    mut request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, ApiError> {
    let headers = request.headers();
    let says = |name, word: &str| {
        headers.get(name).is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(word.as_bytes()))
    };
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|_| says(UPGRADE, "websocket") && says(SEC_WEBSOCKET_VERSION, "13"));
    let key = key.ok_or(ApiError::Unreadable("a stream needs a WebSocket handshake".into()))?;
    if target.names.len() > MAX_STREAMS {
        return Err(ApiError::Unreadable("too many streams".into()));
    }
    if let Some(objection) = target.names.iter().find_map(|name| name::objection(name)) {
        return Err(ApiError::Unreadable(objection.into()));
    }
    let accept = derive_accept_key(key.as_bytes());
    let accept = HeaderValue::from_str(&accept).expect("base64 is printable");
    let place = request.extensions_mut().remove::<Place>();
    let upgraded = hyper::upgrade::on(&mut request);
    let serving = venue.clone();
    venue.env.spawn("broker.stream", async move {
        // The client may be gone before the handshake's answer is out.
        let Ok(upgraded) = upgraded.await else { return };
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BUFFER)
            .max_message_size(Some(MAX_MESSAGE))
            .max_frame_size(Some(MAX_MESSAGE));
        let socket =
            WebSocketStream::from_raw_socket(TokioIo::new(upgraded), Role::Server, Some(config)).await;
        connection::run(&serving, socket, target).await;
        drop(place);
    });
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    response.headers_mut().insert(UPGRADE, HeaderValue::from_static("websocket"));
    response.headers_mut().insert(SEC_WEBSOCKET_ACCEPT, accept);
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_may_begin_with_the_kind_of_its_streams() {
        let names = |uri: &'static str| Target::of(&Uri::from_static(uri)).map(|target| target.names);
        assert_eq!(
            names("/market/stream?streams=btcusdt@aggTrade"),
            Some(vec!["btcusdt@aggTrade".to_owned()])
        );
        assert_eq!(names("/private/ws/key"), Some(vec!["key".to_owned()]));
        assert_eq!(names("/private/ws/?listenKey=key"), Some(vec!["key".to_owned()]));
        assert_eq!(names("/public/ws"), Some(vec![]));
        assert_eq!(names("/other/ws/key"), None);
        assert_eq!(names("/market"), None);
    }
}
