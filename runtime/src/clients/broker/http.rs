//! HTTP to the broker, with bounded waits.

use std::time::Duration;

use bytes::Bytes;
use env::Env;
use http_body_util::{BodyExt, Full, Limited};
use hyper::{Method, Request, StatusCode, header::HeaderName};

use super::{
    super::{
        BROKER,
        http::{Pool, pool, with_causes},
    },
    answer::BrokerError,
    limits::{Limits, retry_after},
};

/// How long an answer may take. The exchange's own limit for the matching engine is 5 s ("-1007 TIMEOUT").
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

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

/// A pool of connections, with what was told through it of the exchange's limits. Clones share both.
#[derive(Clone)]
pub(super) struct Http {
    pool: Pool,
    pub(super) limits: Limits,
}

impl Http {
    pub(super) fn new(env: Env) -> Self {
        Self { pool: pool(env, BROKER), limits: Limits::default() }
    }

    /// Sends a request without a body: the exchange takes all parameters in the query.
    pub(super) async fn request(
        &self,
        method: Method,
        path_and_query: &str,
        api_key: Option<&str>,
    ) -> Result<Response, BrokerError> {
        self.limits.may_ask()?;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("http://{}:{}{path_and_query}", BROKER.0, BROKER.1));
        if let Some(key) = api_key {
            request = request.header(API_KEY, key);
        }
        let request =
            request.body(Full::default()).map_err(|error| BrokerError::NotSent(error.to_string()))?;
        match tokio::time::timeout(REQUEST_TIMEOUT, self.exchange(request)).await {
            Ok(outcome) => outcome,
            Err(_) => Err(BrokerError::Unknown("no answer in time".into())),
        }
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Response, BrokerError> {
        let response = self.pool.request(request).await.map_err(|error| {
            if error.is_connect() {
                BrokerError::NotSent(with_causes(&error))
            } else {
                BrokerError::Unknown(with_causes(&error))
            }
        })?;
        let (head, body) = response.into_parts();
        self.limits.note(head.status, &head.headers);
        let retry_after = retry_after(&head.headers);
        let body = Limited::new(body, BODY_LIMIT)
            .collect()
            .await
            .map_err(|error| BrokerError::Unknown(format!("the answer broke off: {error}")))?;
        Ok(Response { status: head.status, retry_after, body: body.to_bytes() })
    }
}
