//! The HTTP server of a process: `/health`, `/ready`, `/metrics`, and what the process adds.

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use env::{BoxStream, Env, detail, fact};
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{sleep, timeout},
};

use super::Status;

/// The port on which every process tells of itself.
pub const PORT: u16 = 8080;
/// The most clients at once: operators, a supervisor, a scraper.
const CONNECTIONS: usize = 64;
/// How long a request's head may take; an idle connection is closed after it, too.
const HEAD_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a request's body may take.
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// The longest body, in bytes: requests here carry a reason or a symbol.
const BODY_LIMIT: usize = 16 * 1024;
/// The pause after a failed accept, which is usually a shortage that passes.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A request.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The method.
    pub method: Method,
    /// The path, without the query.
    pub path: String,
    /// The token of an `Authorization: Bearer` header.
    pub bearer: Option<String>,
    /// The body, at most 16 KiB.
    pub body: Bytes,
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The body.
    pub body: String,
}

impl Answer {
    /// A JSON document.
    pub fn json(status: StatusCode, document: &serde_json::Value) -> Self {
        Self { status, content_type: "application/json", body: document.to_string() }
    }

    /// Plain text.
    pub fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self { status, content_type: "text/plain; charset=utf-8", body: body.into() }
    }

    /// An HTML page.
    pub fn html(body: impl Into<String>) -> Self {
        Self { status: StatusCode::OK, content_type: "text/html; charset=utf-8", body: body.into() }
    }

    /// A refusal: `{"error": why}`.
    pub fn refusal(status: StatusCode, why: impl Into<String>) -> Self {
        Self::json(status, &serde_json::json!({ "error": why.into() }))
    }
}

/// What a process serves beyond the common endpoints.
#[async_trait]
pub trait Routes: Send + Sync {
    /// Answers a request; `None` when there is no such endpoint.
    async fn answer(&self, asked: &Asked) -> Option<Answer>;
}

#[async_trait]
impl Routes for () {
    async fn answer(&self, _: &Asked) -> Option<Answer> {
        None
    }
}

/// Serves until the process ends. Without its port a process works on and says so: it is then unready for whoever asks.
pub async fn serve(env: Env, port: u16, status: Status, routes: Arc<dyn Routes>) {
    let listener = match env.net.listen(port).await {
        Ok(listener) => listener,
        Err(error) => return fact!("status.not_served", port, reason = %error),
    };
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((stream, _)) => match room.clone().try_acquire_owned() {
                Ok(place) => {
                    env.spawn("status.connection", connection(status.clone(), routes.clone(), stream, place));
                }
                // One too many: closed at once, which any client takes for what it is.
                Err(_) => drop(stream),
            },
            Err(_) => sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn connection(
    status: Status,
    routes: Arc<dyn Routes>,
    stream: BoxStream,
    _place: OwnedSemaphorePermit,
) {
    let service = service_fn(|request: Request<Incoming>| async {
        let response = match read(request).await {
            Ok(asked) => written(answer(&status, &*routes, &asked).await),
            Err(why) => {
                let mut response = written(Answer::refusal(StatusCode::BAD_REQUEST, why));
                // The rest of the request was not read.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                response
            }
        };
        Ok::<_, Infallible>(response)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        detail!("status.connection_broke", reason = %error);
    }
}

async fn read(request: Request<Incoming>) -> Result<Asked, String> {
    let (head, body) = request.into_parts();
    let body = timeout(BODY_TIMEOUT, Limited::new(body, BODY_LIMIT).collect())
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut).to_string())?
        .map_err(|error| format!("the body: {error}"))?
        .to_bytes();
    let bearer =
        head.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    Ok(Asked {
        method: head.method,
        path: head.uri.path().to_owned(),
        bearer: bearer.map(str::to_owned),
        body,
    })
}

async fn answer(status: &Status, routes: &dyn Routes, asked: &Asked) -> Answer {
    match (&asked.method, asked.path.as_str()) {
        (&Method::GET, "/health") => Answer::text(StatusCode::OK, "alive\n"),
        (&Method::GET, "/ready") => ready(status),
        (&Method::GET, "/metrics") => Answer {
            status: StatusCode::OK,
            content_type: "text/plain; version=0.0.4; charset=utf-8",
            body: status.metrics(),
        },
        (method, path) => match routes.answer(asked).await {
            Some(answer) => answer,
            None => Answer::refusal(StatusCode::NOT_FOUND, format!("there is no {method} {path}")),
        },
    }
}

fn ready(status: &Status) -> Answer {
    let missing: serde_json::Map<_, _> =
        status.missing().into_iter().map(|(name, why)| (name.to_owned(), why.into())).collect();
    let code = if missing.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Answer::json(code, &serde_json::json!({ "ready": missing.is_empty(), "missing": missing }))
}

fn written(answer: Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(answer.body));
    *response.status_mut() = answer.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(answer.content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Asked {
        Asked { method: Method::GET, path: path.into(), bearer: None, body: Bytes::new() }
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_names_what_is_missing() {
        let status = Status::default();
        status.deny("leads", "the other one does");
        let unready = answer(&status, &(), &get("/ready")).await;
        assert_eq!(unready.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(unready.body, r#"{"missing":{"leads":"the other one does"},"ready":false}"#);
        status.confirm("leads");
        assert_eq!(answer(&status, &(), &get("/ready")).await.status, StatusCode::OK);
        assert_eq!(answer(&status, &(), &get("/health")).await.status, StatusCode::OK);
        assert_eq!(answer(&status, &(), &get("/nothing")).await.status, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn a_body_that_is_too_long_is_refused() {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let directory = tempfile::tempdir().unwrap();
        let config = env::os::Config {
            listen_ip: "127.0.0.1".into(),
            data_dir: directory.path().into(),
            ..Default::default()
        };
        let env = env::os::env(config).unwrap();
        let listener = env.net.listen(0).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let _server =
            env.spawn("status", serve(env.clone(), port, Status::default(), Arc::new(()))).abort_on_drop();
        let mut stream = loop {
            match env.net.connect("127.0.0.1", port).await {
                Ok(stream) => break stream,
                Err(_) => tokio::task::yield_now().await,
            }
        };
        let request = format!("POST /x HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", BODY_LIMIT + 1);
        stream.write_all(request.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; BODY_LIMIT + 1]).await.unwrap();
        let mut answer = vec![0; 512];
        let read = stream.read(&mut answer).await.unwrap();
        let text = String::from_utf8_lossy(&answer[..read]);
        assert!(text.starts_with("HTTP/1.1 400"), "{text}");
    }
}
