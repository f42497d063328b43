//! The REST API: finds the endpoint, checks limits and signature, answers in JSON.

mod account;
mod algo;
mod batch;
mod gate;
mod listen_key;
mod listing;
mod lists;
mod market;
mod order;
mod settings;
mod terms;

use std::{net::IpAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use env::WallTime;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode,
    body::{Body, Incoming},
    header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER},
    http::request::Parts,
};
use tokio::time::timeout;

pub(crate) use self::algo::id as algo_id;
use self::{gate::Passage, terms::Door};
use crate::{
    error::ApiError,
    fault::{Fault, Subject},
    limits::OrderCounts,
    params::Params,
    server::Venue,
    sign::check_time,
    stream,
};

/// How long the body of a request may take to arrive.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);
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
    Algo(algo::Endpoint),
    CancelBatch,
    List(lists::Endpoint),
    Order(order::Endpoint),
    PlaceAlgo,
    PlaceBatch,
    PlaceOrder,
    Settings(settings::Endpoint),
}

impl Endpoint {
    fn find(method: &Method, path: &str) -> Option<Self> {
        let path = path.strip_prefix("/fapi/")?;
        let public = Self::public(method, path).map(Self::Public);
        public.or_else(|| Self::keyed(method, path)).or_else(|| Self::signed(method, path).map(Self::Signed))
    }

    fn public(method: &Method, path: &str) -> Option<market::Endpoint> {
        use market::Endpoint::*;
        Some(match (method.as_str(), path) {
            ("GET", "v1/aggTrades") => AggTrades,
            ("GET", "v1/depth") => Depth,
            ("GET", "v1/exchangeInfo") => ExchangeInfo,
            ("GET", "v1/historicalTrades") => HistoricalTrades,
            ("GET", "v1/klines") => Klines,
            ("GET", "v1/ping") => Ping,
            ("GET", "v1/premiumIndex") => PremiumIndex,
            ("GET", "v1/ticker/24hr") => Ticker24h,
            ("GET", "v1/ticker/bookTicker") => BookTicker,
            ("GET", "v1/ticker/price" | "v2/ticker/price") => TickerPrice,
            ("GET", "v1/time") => Time,
            ("GET", "v1/trades") => Trades,
            _ => return None,
        })
    }

    fn keyed(method: &Method, path: &str) -> Option<Self> {
        use listen_key::Endpoint::{Create, Delete, Extend};
        Some(Self::Keyed(match (method.as_str(), path) {
            ("DELETE", "v1/listenKey") => Delete,
            ("POST", "v1/listenKey") => Create,
            ("PUT", "v1/listenKey") => Extend,
            _ => return None,
        }))
    }

    fn signed(method: &Method, path: &str) -> Option<Signed> {
        use account::Endpoint::{AccountV2, AccountV3, Balance, PositionRiskV2, PositionRiskV3};
        use lists::Endpoint::{AllOrders, Income, OpenOrders, UserTrades};
        use order::Endpoint::{Amend, Cancel, CancelAll, Query, QueryOpen, Test};
        use settings::Endpoint::*;
        Some(match (method.as_str(), path) {
            ("DELETE", "v1/algoOpenOrders") => Signed::Algo(algo::Endpoint::CancelAll),
            ("DELETE", "v1/algoOrder") => Signed::Algo(algo::Endpoint::Cancel),
            ("DELETE", "v1/allOpenOrders") => Signed::Order(CancelAll),
            ("DELETE", "v1/batchOrders") => Signed::CancelBatch,
            ("DELETE", "v1/order") => Signed::Order(Cancel),
            ("GET", "v1/algoOrder") => Signed::Algo(algo::Endpoint::Query),
            ("GET", "v1/allOrders") => Signed::List(AllOrders),
            ("GET", "v1/commissionRate") => Signed::Settings(CommissionRate),
            ("GET", "v1/income") => Signed::List(Income),
            ("GET", "v1/leverageBracket") => Signed::Settings(LeverageBracket),
            ("GET", "v1/multiAssetsMargin") => Signed::Settings(AssetsMode),
            ("GET", "v1/openAlgoOrders") => Signed::Algo(algo::Endpoint::OpenOrders),
            ("GET", "v1/openOrder") => Signed::Order(QueryOpen),
            ("GET", "v1/openOrders") => Signed::List(OpenOrders),
            ("GET", "v1/order") => Signed::Order(Query),
            ("GET", "v1/positionSide/dual") => Signed::Settings(PositionMode),
            ("GET", "v1/userTrades") => Signed::List(UserTrades),
            ("GET", "v2/account") => Signed::Account(AccountV2),
            ("GET", "v2/balance" | "v3/balance") => Signed::Account(Balance),
            ("GET", "v2/positionRisk") => Signed::Account(PositionRiskV2),
            ("GET", "v3/account") => Signed::Account(AccountV3),
            ("GET", "v3/positionRisk") => Signed::Account(PositionRiskV3),
            ("POST", "v1/algoOrder") => Signed::PlaceAlgo,
            ("POST", "v1/batchOrders") => Signed::PlaceBatch,
            ("POST", "v1/countdownCancelAll") => Signed::Settings(Countdown),
            ("POST", "v1/leverage") => Signed::Settings(SetLeverage),
            ("POST", "v1/marginType") => Signed::Settings(SetMarginType),
            ("POST", "v1/multiAssetsMargin") => Signed::Settings(SetAssetsMode),
            ("POST", "v1/order") => Signed::PlaceOrder,
            ("POST", "v1/order/test") => Signed::Order(Test),
            ("POST", "v1/positionSide/dual") => Signed::Settings(SetPositionMode),
            ("PUT", "v1/order") => Signed::Order(Amend),
            _ => return None,
        })
    }

    /// What the request is about, as faults tell requests apart.
    fn subject(self, params: &Params<'_>) -> Subject {
        match self {
            Self::Public(_) => Subject::Market,
            Self::Keyed(_) => Subject::Keys,
            Self::Signed(signed) => match signed {
                Signed::Account(endpoint) => endpoint.subject(),
                Signed::Algo(endpoint) => endpoint.subject(),
                Signed::CancelBatch => Subject::Orders { reduces: true },
                Signed::List(_) => Subject::Queries,
                Signed::Order(endpoint) => endpoint.subject(),
                Signed::PlaceBatch => Subject::Orders { reduces: false },
                Signed::PlaceAlgo | Signed::PlaceOrder => Subject::Orders { reduces: only_reduces(params) },
                Signed::Settings(endpoint) => endpoint.subject(),
            },
        }
    }

    /// Request weight per address ("IP limits" of each endpoint's page).
    fn weight(self, params: &Params<'_>) -> u32 {
        match self {
            Self::Public(endpoint) => endpoint.weight(params),
            Self::Keyed(_) => 1,
            Self::Signed(signed) => match signed {
                Signed::Account(_) | Signed::PlaceBatch => 5,
                Signed::Algo(endpoint) => endpoint.weight(params),
                Signed::CancelBatch => 1,
                Signed::List(endpoint) => endpoint.weight(params),
                Signed::Order(endpoint) => endpoint.weight(),
                Signed::PlaceAlgo | Signed::PlaceOrder => 0,
                Signed::Settings(endpoint) => endpoint.weight(),
            },
        }
    }
}

/// A successful answer.
struct Reply {
    body: String,
    orders: Option<OrderCounts>,
}

/// A request that has been read.
struct Asked {
    endpoint: Endpoint,
    head: Parts,
    body: String,
    peer: IpAddr,
    now: WallTime,
}

/// There is no answer: the connection is to be cut.
#[derive(Debug, thiserror::Error)]
#[error("the connection is cut instead of an answer")]
pub(crate) struct NoAnswer;

/// Answers any request; one for a stream becomes a WebSocket.
///
/// # Errors
/// A fault has eaten the answer.
pub(crate) async fn respond(
    venue: &Arc<Venue>,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    match stream::Target::of(request.uri()) {
        Some(target) => {
            let upgrade = stream::upgrade(venue, target, request);
            Ok(upgrade.unwrap_or_else(|error| failure(&error)))
        }
        None => answer(venue, peer, request).await,
    }
}

async fn answer(
    venue: &Venue,
    peer: IpAddr,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, NoAnswer> {
    let (head, body) = request.into_parts();
    let Some(endpoint) = Endpoint::find(&head.method, head.uri.path()) else {
        let error = ApiError::Path { path: head.uri.path().into(), method: head.method.to_string() };
        return Ok(if body.is_end_stream() { failure(&error) } else { last(&error) });
    };
    let body = match read(body).await {
        Ok(body) => body,
        Err(error) => return Ok(last(&error)),
    };
    let asked = Asked { endpoint, head, body, peer, now: venue.env.clock.now() };
    let params = Params::parse(asked.query(), &asked.body);
    let counted = venue.limits().request(asked.now.as_millis(), peer, endpoint.weight(&params));
    if let Err(error) = counted {
        return Ok(asked.finish(venue, Err(error)));
    }
    let outcome = match gate::pass(venue, endpoint.subject(&params)) {
        Passage::Open => asked.serve(venue, &params).await,
        Passage::Refused(error) => Err(error),
        Passage::Unanswered { executed, ending } => {
            if executed {
                // Whatever came of it, nobody will know.
                let _ = asked.serve(venue, &params).await;
            }
            ending.reach().await?
        }
    };
    Ok(asked.finish(venue, outcome))
}

impl Asked {
    fn query(&self) -> &str {
        self.head.uri.query().unwrap_or_default()
    }

    async fn serve(&self, venue: &Venue, params: &Params<'_>) -> Result<Reply, ApiError> {
        let Self { head, body, now, .. } = self;
        let mut orders = None;
        let body = match self.endpoint {
            Endpoint::Public(endpoint) => {
                if endpoint.needs_key() {
                    customer(venue, &head.headers)?;
                }
                market::answer(venue, *now, endpoint, params)?
            }
            Endpoint::Keyed(endpoint) => {
                let (account, _) = customer(venue, &head.headers)?;
                listen_key::answer(venue, account, endpoint)?
            }
            Endpoint::Signed(endpoint) => {
                let (account, signer) = customer(venue, &head.headers)?;
                let stamp = params.required_parsed("timestamp")?;
                signer.verify(self.query(), body)?;
                check_time(now.as_millis(), stamp, params.parsed("recvWindow")?)?;
                match endpoint {
                    Signed::Account(endpoint) => account::answer(venue, account, endpoint, params)?,
                    Signed::Algo(endpoint) => algo::answer(venue, *now, account, endpoint, params)?,
                    Signed::CancelBatch => batch::cancel(venue, *now, account, params)?,
                    Signed::List(endpoint) => lists::answer(venue, account, endpoint, params)?,
                    Signed::Order(endpoint) => order::answer(venue, *now, account, endpoint, params)?,
                    Signed::PlaceBatch => {
                        let (body, counts) = batch::place(venue, account, params).await?;
                        orders = counts;
                        body
                    }
                    Signed::Settings(endpoint) => settings::answer(venue, *now, account, endpoint, params)?,
                    Signed::PlaceAlgo | Signed::PlaceOrder => {
                        let door = if endpoint == Signed::PlaceAlgo { Door::Algo } else { Door::Order };
                        let (body, counts) = order::place(venue, account, params, door).await?;
                        orders = Some(counts);
                        body
                    }
                }
            }
        };
        Ok(Reply { body, orders })
    }

    /// The answer; whatever it is, it tells the weight used so far ("General Info", section IP Limits).
    fn finish(&self, venue: &Venue, outcome: Result<Reply, ApiError>) -> Response<Full<Bytes>> {
        let mut response = outcome.map_or_else(|error| failure(&error), success);
        let used = venue.limits().used(self.now.as_millis(), self.peer);
        response.headers_mut().insert("x-mbx-used-weight-1m", HeaderValue::from(used));
        response
    }
}

/// Whether an order can only shrink a position.
fn only_reduces(params: &Params<'_>) -> bool {
    let says = |name| params.text(name).is_some_and(|word| word.eq_ignore_ascii_case("true"));
    says("reduceOnly") || says("closePosition")
}

async fn read(body: Incoming) -> Result<String, ApiError> {
    if body.is_end_stream() {
        return Ok(String::new());
    }
    let Ok(collected) = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await else {
        return Err(ApiError::Unreadable("the body did not arrive in time".into()));
    };
    let collected = collected.map_err(|error| {
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
    let expired = |fault: &mut Fault| matches!(fault, Fault::TokenExpiry).then_some(());
    if venue.exchange.faults().strike(expired).is_some() {
        return Err(ApiError::ApiKey);
    }
    venue.exchange.customer(key.as_bytes()).ok_or(ApiError::ApiKey)
}

/// The last answer of a connection whose request was not read to its end: nothing more can be said there, and the client is
/// told so before it tries (RFC 9112, §9.6).
fn last(error: &ApiError) -> Response<Full<Bytes>> {
    let mut response = failure(error);
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

fn success(reply: Reply) -> Response<Full<Bytes>> {
    let mut response = json(StatusCode::OK, reply.body);
    if let Some(counts) = reply.orders {
        let headers = response.headers_mut();
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
