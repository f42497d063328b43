//! The HTTP interface that every process of the system serves: its health, its readiness, and what an operator may ask.
//!
//! Deliberately absent: what the answers mean.

use std::time::Duration;

use bytes::Bytes;
use env::Env;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};

use super::http::{Pool, pool, with_causes};
use crate::status::PORT;

/// The longest answer that is read: metrics have some kilobytes.
const BODY_LIMIT: usize = 1 << 20;

/// A client of one process. Clones share its connections.
#[derive(Clone)]
pub struct Process {
    host: &'static str,
    pool: Pool,
}

/// An answer of whatever status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: StatusCode,
    /// The body.
    pub body: Bytes,
}

/// Why there is no answer. Whether the request was carried out is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NoReply(String);

impl Process {
    /// A client of the process with this role name.
    pub fn new(env: Env, host: &'static str) -> Self {
        Self { host, pool: pool(env, (host, PORT)) }
    }

    /// Its role name.
    pub const fn host(&self) -> &'static str {
        self.host
    }

    /// Asks for a document.
    ///
    /// # Errors
    /// There was no whole answer within the time.
    pub async fn get(&self, path: &str, within: Duration) -> Result<Reply, NoReply> {
        self.request(Method::GET, path, None, String::new(), within).await
    }

    /// Asks for something to be done, on behalf of whoever has this token.
    ///
    /// # Errors
    /// There was no whole answer within the time.
    pub async fn post(
        &self,
        path: &str,
        token: &str,
        body: String,
        within: Duration,
    ) -> Result<Reply, NoReply> {
        self.request(Method::POST, path, Some(token), body, within).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        token: Option<&str>,
        body: String,
        within: Duration,
    ) -> Result<Reply, NoReply> {
        let mut request = Request::builder().method(method).uri(format!("http://{}:{PORT}{path}", self.host));
        if let Some(token) = token {
            request = request
                .header(AUTHORIZATION, format!("Bearer {token}"))
                .header(CONTENT_TYPE, "application/json");
        }
        let request =
            request.body(Full::from(body)).map_err(|error| NoReply(format!("not a request: {error}")))?;
        let whole = async {
            let response = self.pool.request(request).await.map_err(|error| NoReply(with_causes(&error)))?;
            let (head, body) = response.into_parts();
            let body = Limited::new(body, BODY_LIMIT).collect().await;
            let body = body.map_err(|error| NoReply(format!("the answer broke off: {error}")))?.to_bytes();
            Ok(Reply { status: head.status, body })
        };
        tokio::time::timeout(within, whole)
            .await
            .unwrap_or_else(|_| Err(NoReply(format!("no answer within {} ms", within.as_millis()))))
    }
}
