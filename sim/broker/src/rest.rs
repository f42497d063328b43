//! The REST API: finds the endpoint, checks limits and signature, answers in JSON.

mod account;
mod listen_key;
mod market;
mod order;
mod terms;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{CONTENT_TYPE, HeaderValue, RETRY_AFTER},
};

use crate::{error::ApiError, limits::OrderCounts, params::Params, server::Venue, sign::check_time, stream};

/// The longest body of a request, in bytes.
const MAX_BODY: usize = 16 * 1024;

/// What a client may ask for, by what it must prove.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Endpoint {
    Public(market::Endpoint),
    Keyed(listen_key::Endpoint),
    Signed(Signed),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signed {
    Account(account::Endpoint),
    Order(order::Endpoint),
    PlaceOrder,
}

impl Endpoint {
    fn find(method: &Method, path: &str) -> Option<Self> {
        use account::Endpoint::{Balance, OpenOrders, PositionRisk, UserTrades};
        use listen_key::Endpoint::{Create, Delete, Extend};
        use market::Endpoint::{AggTrades, BookTicker, ExchangeInfo, Ping, Time};
        use order::Endpoint::{Cancel, Query};
        Some(match (method.as_str(), path) {
            ("GET", "/fapi/v1/aggTrades") => Self::Public(AggTrades),
            ("GET", "/fapi/v1/exchangeInfo") => Self::Public(ExchangeInfo),
            ("GET", "/fapi/v1/ping") => Self::Public(Ping),
            ("GET", "/fapi/v1/ticker/bookTicker") => Self::Public(BookTicker),
            ("GET", "/fapi/v1/time") => Self::Public(Time),
            ("DELETE", "/fapi/v1/listenKey") => Self::Keyed(Delete),
            ("POST", "/fapi/v1/listenKey") => Self::Keyed(Create),
            ("PUT", "/fapi/v1/listenKey") => Self::Keyed(Extend),
            ("DELETE", "/fapi/v1/order") => Self::Signed(Signed::Order(Cancel)),
            ("GET", "/fapi/v1/openOrders") => Self::Signed(Signed::Account(OpenOrders)),
            ("GET", "/fapi/v1/order") => Self::Signed(Signed::Order(Query)),
            ("GET", "/fapi/v1/userTrades") => Self::Signed(Signed::Account(UserTrades)),
            ("GET", "/fapi/v2/balance") => Self::Signed(Signed::Account(Balance)),
            ("GET", "/fapi/v2/positionRisk") => Self::Signed(Signed::Account(PositionRisk)),
            ("POST", "/fapi/v1/order") => Self::Signed(Signed::PlaceOrder),
            _ => return None,
        })
    }

    /// Request weight per address ("IP limits" of each endpoint's page).
    fn weight(self, params: &Params<'_>) -> u32 {
        match self {
            Self::Public(market::Endpoint::AggTrades) => 20,
            Self::Public(market::Endpoint::BookTicker) => 2,
            Self::Signed(Signed::Account(account::Endpoint::OpenOrders))
                if params.text("symbol").is_none() =>
            {
                40
            }
            Self::Signed(Signed::Account(account::Endpoint::OpenOrders)) => 1,
            Self::Signed(Signed::Account(_)) => 5,
            Self::Signed(Signed::PlaceOrder) => 0,
            Self::Public(_) | Self::Keyed(_) | Self::Signed(Signed::Order(_)) => 1,
        }
    }
}

/// A successful answer.
struct Reply {
    body: String,
    weight: u32,
    orders: Option<OrderCounts>,
}

/// Answers any request; one for a stream becomes a WebSocket.
pub(crate) async fn respond(
    venue: &Arc<Venue>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let answer = match stream::Target::of(request.uri()) {
        Some(target) => stream::upgrade(venue, target, request),
        None => answer(venue, peer, request).await.map(success),
    };
    answer.unwrap_or_else(|error| failure(&error))
}

async fn answer(venue: &Venue, peer: IpAddr, request: Request<Incoming>) -> Result<Reply, ApiError> {
    let (head, body) = request.into_parts();
    let endpoint = Endpoint::find(&head.method, head.uri.path())
        .ok_or_else(|| ApiError::Path { path: head.uri.path().into(), method: head.method.to_string() })?;
    let body = read(body).await?;
    let query = head.uri.query().unwrap_or_default();
    let params = Params::parse(query, &body);
    let now = venue.env.clock.now();
    let weight = {
        let mut limits = venue.exchange.limits.lock().expect("no holder of this lock panics");
        limits.request(now.as_millis(), peer, endpoint.weight(&params))?
    };
    let mut orders = None;
    let body = match endpoint {
        Endpoint::Public(endpoint) => market::answer(venue, now, endpoint, &params)?,
        Endpoint::Keyed(endpoint) => {
            let (account, _) = customer(venue, &head.headers)?;
            listen_key::answer(venue, account, endpoint)?
        }
        Endpoint::Signed(endpoint) => {
            let (account, signer) = customer(venue, &head.headers)?;
            let stamp = params.required_parsed("timestamp")?;
            signer.verify(query, &body)?;
            check_time(now.as_millis(), stamp, params.parsed("recvWindow")?)?;
            match endpoint {
                Signed::Account(endpoint) => account::answer(venue, account, endpoint, &params)?,
                Signed::Order(endpoint) => order::answer(venue, now, account, endpoint, &params)?,
                Signed::PlaceOrder => {
                    let (body, counts) = order::place(venue, account, &params).await?;
                    orders = Some(counts);
                    body
                }
            }
        }
    };
    Ok(Reply { body, weight, orders })
}

async fn read(body: Incoming) -> Result<String, ApiError> {
    if body.is_end_stream() {
        return Ok(String::new());
    }
    let collected = Limited::new(body, MAX_BODY).collect().await.map_err(|error| {
        if error.is::<LengthLimitError>() {
            ApiError::BodyTooLarge
        } else {
            ApiError::Unreadable("the body ended early".into())
        }
    })?;
    String::from_utf8(collected.to_bytes().into())
        .map_err(|_| ApiError::Unreadable("the body is not UTF-8".into()))
}

fn customer<'a>(venue: &'a Venue, headers: &HeaderMap) -> Result<(usize, &'a crate::Signer), ApiError> {
    let key = headers.get("x-mbx-apikey").ok_or(ApiError::ApiKeyFormat)?;
    venue.exchange.customer(key.as_bytes()).ok_or(ApiError::ApiKey)
}

fn success(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = json(StatusCode::OK, reply.body);
    let headers = response.headers_mut();
    headers.insert("x-mbx-used-weight-1m", HeaderValue::from(reply.weight));
    if let Some(counts) = reply.orders {
        headers.insert("x-mbx-order-count-10s", HeaderValue::from(counts.ten_seconds));
        headers.insert("x-mbx-order-count-1m", HeaderValue::from(counts.minute));
    }
    response
}

fn failure(error: &ApiError) -> Response<Full<Bytes>> {
    let body = serde_json::json!({ "code": error.code(), "msg": error.to_string() }).to_string();
    let status = StatusCode::from_u16(error.status()).expect("every refusal has a valid status");
    let mut response = json(status, body);
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn json(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json;charset=utf-8"));
    response
}

/// `value` as JSON text.
fn to_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("our own answers have text keys and finite numbers")
}

/// The market that the parameter `symbol` names.
fn symbol(state: &crate::exchange::State, params: &Params<'_>) -> Result<usize, ApiError> {
    state.market(params.required("symbol")?).ok_or(ApiError::Symbol)
}
