//! HTTP/1.1 to the broker over streams of `env`, with pooled connections and bounded waits.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use env::{BoxStream, Env};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Method, Request, StatusCode, Uri,
    header::{HeaderName, RETRY_AFTER},
    rt::{Executor, Read, ReadBufCursor, Write},
};
use hyper_util::{
    client::legacy::{
        Client,
        connect::{Connected, Connection},
    },
    rt::{TokioIo, TokioTimer},
};
use tower_service::Service;

use super::{super::BROKER, answer::BrokerError};

/// How long an answer may take. The exchange's own limit for the matching engine is 5 s ("-1007 TIMEOUT").
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an unused connection is kept; below the minute after which servers commonly close it.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// The longest answer that is read: 1000 trades have about 250 kB.
const BODY_LIMIT: usize = 2 << 20;

/// Carries the key of the account ("API-KEY Endpoint security").
const API_KEY: HeaderName = HeaderName::from_static("x-mbx-apikey");

/// An answer of whatever status.
pub(super) struct Response {
    pub(super) status: StatusCode,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: Bytes,
}

/// A pool of connections. Clones share it.
#[derive(Clone)]
pub(super) struct Http(Client<Connector, Empty<Bytes>>);

impl Http {
    pub(super) fn new(env: Env) -> Self {
        let client = Client::builder(Background(env.clone()))
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .build(Connector(env));
        Self(client)
    }

    /// Sends a request without a body: the exchange takes all parameters in the query.
    pub(super) async fn request(
        &self,
        method: Method,
        path_and_query: &str,
        api_key: Option<&str>,
    ) -> Result<Response, BrokerError> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}:{}{path_and_query}", BROKER.0, BROKER.1));
        if let Some(key) = api_key {
            request = request.header(API_KEY, key);
        }
        let request = request.body(Empty::new()).map_err(|error| BrokerError::NotSent(error.to_string()))?;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(BrokerError::Unknown("no answer in time".into())),
        }
    }

    async fn exchange(&self, request: Request<Empty<Bytes>>) -> Result<Response, BrokerError> {
        let response = self.0.request(request).await.map_err(|error| {
            if error.is_connect() {
                BrokerError::NotSent(with_causes(&error))
            } else {
                BrokerError::Unknown(with_causes(&error))
            }
        })?;
        let (head, body) = response.into_parts();
        let retry_after = head
            .headers
            .get(RETRY_AFTER)
            .and_then(|seconds| seconds.to_str().ok()?.parse().ok())
            .map(Duration::from_secs);
        let body = Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map_err(|error| BrokerError::Unknown(format!("the answer broke off: {error}")))?;
        Ok(Response { status: head.status, retry_after, body: body.to_bytes() })
    }
}

/// An error in one line, down to its root.
fn with_causes(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

/// Runs the client's background work as tasks of this process.
#[derive(Clone)]
struct Background(Env);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Background {
    fn execute(&self, future: F) {
        self.0.spawn("broker.connection", future);
    }
}

#[derive(Clone)]
struct Connector(Env);

impl Service<Uri> for Connector {
    type Response = PooledStream;
    type Error = io::Error;
    type Future = env::BoxFuture<io::Result<PooledStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let env = self.0.clone();
        Box::pin(async move { Ok(PooledStream(TokioIo::new(super::super::connect(&env, BROKER).await?))) })
    }
}

/// A stream in the shape that the HTTP client wants.
struct PooledStream(TokioIo<BoxStream>);

impl Connection for PooledStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for PooledStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl Write for PooledStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
