//! HTTP/1.1 over streams of `env`: what hyper's pooling client needs to live in a process of this system.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use env::{BoxStream, Env};
use http_body_util::Full;
use hyper::{
    Uri,
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

use super::Endpoint;

/// How long an unused connection is kept; below the minute after which servers commonly close it.
const POOL_IDLE: Duration = Duration::from_secs(30);

/// A client with a pool of connections to one server. Clones share the pool.
pub(super) type Pool = Client<Connector, Full<Bytes>>;

/// A pool of connections to `endpoint`; requests name it in their URI, too.
pub(super) fn pool(env: Env, endpoint: Endpoint) -> Pool {
    Client::builder(Background(env.clone()))
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .build(Connector(env, endpoint))
}

/// An error in one line, down to its root.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
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
        self.0.spawn("http.connection", future);
    }
}

#[derive(Clone)]
pub(super) struct Connector(Env, Endpoint);

impl Service<Uri> for Connector {
    type Response = PooledStream;
    type Error = io::Error;
    type Future = env::BoxFuture<io::Result<PooledStream>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let (env, endpoint) = (self.0.clone(), self.1);
        Box::pin(async move { Ok(PooledStream(TokioIo::new(super::connect(&env, endpoint).await?))) })
    }
}

/// A stream in the shape that the HTTP client wants.
pub(super) struct PooledStream(TokioIo<BoxStream>);

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
