//! What the exchange answers when it refuses, with the codes and texts of its public "Error Codes" page.

mod outage;

use std::borrow::Cow;

pub use outage::Outage;
use rust_decimal::Decimal;

/// A refusal. Its text is the `msg` of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// The exchange is unwell.
    #[error(transparent)]
    Outage(#[from] Outage),
    /// Request weight of the address is used up; ask again after the given seconds.
    #[error(
        "Too many requests; current limit is {limit} requests per minute. Please use the websocket for live updates to \
         avoid polling the API."
    )]
    TooManyRequests {
        /// Weight per minute.
        limit: u32,
        /// Seconds until the window ends.
        retry_after: i64,
    },
    /// The address went on asking after it had been told to stop.
    #[error(
        "Way too many requests; IP banned until {until}. Please use the websocket for live updates to avoid bans."
    )]
    Banned {
        /// When the ban ends, in milliseconds since 1970-01-01T00:00:00Z.
        until: i64,
        /// Seconds until then.
        retry_after: i64,
    },
    /// The account's order count is used up.
    #[error("Too many new orders; current limit is {limit} orders per {interval}.")]
    TooManyOrders {
        /// Orders per interval.
        limit: u32,
        /// Name of the interval.
        interval: &'static str,
        /// Seconds until the window ends.
        retry_after: i64,
    },
    /// The timestamp is too old.
    #[error("Timestamp for this request is outside of the recvWindow.")]
    TimestampOld,
    /// The timestamp lies in the future.
    #[error("Timestamp for this request was 1000ms ahead of the server's time.")]
    TimestampAhead,
    /// The signature does not match.
    #[error("Signature for this request is not valid.")]
    BadSignature,
    /// A parameter's value is not of its kind.
    #[error("Illegal characters found in parameter '{name}'; legal range is '{legal}'.")]
    IllegalParameter {
        /// The parameter's name.
        name: &'static str,
        /// A regular expression for what is legal.
        legal: &'static str,
    },
    /// A parameter is missing or empty.
    #[error("Mandatory parameter '{0}' was not sent, was empty/null, or malformed.")]
    MissingParameter(&'static str),
    /// Neither of the two ids of an order was sent.
    #[error("Param 'origClientOrderId' or 'orderId' must be sent, but both were empty/null!")]
    MissingOrderId,
    /// More decimals than the symbol has.
    #[error("Precision is over the maximum defined for this asset.")]
    Precision,
    /// A trading rule of the symbol is broken.
    #[error("Filter failure: {0}")]
    Filter(&'static str),
    /// Unknown `timeInForce`.
    #[error("Invalid timeInForce.")]
    TimeInForce,
    /// Unknown or unsupported order type.
    #[error("Invalid orderType.")]
    OrderType,
    /// Unknown side.
    #[error("Invalid side.")]
    Side,
    /// The symbol is not listed.
    #[error("Invalid symbol.")]
    Symbol,
    /// The account has no listen key.
    #[error("This listenKey does not exist.")]
    ListenKey,
    /// `recvWindow` above 60,000 ms.
    #[error("recvWindow must be less than 60000")]
    RecvWindow,
    /// The order to cancel is unknown or no longer open.
    #[error("Unknown order sent.")]
    UnknownOrder,
    /// The order asked for is unknown.
    #[error("Order does not exist.")]
    NoSuchOrder,
    /// No API key was sent.
    #[error("API-key format invalid.")]
    ApiKeyFormat,
    /// The API key is unknown.
    #[error("Invalid API-key, IP, or permissions for action.")]
    ApiKey,
    /// There is no position that the order could reduce.
    #[error("ReduceOnly Order is rejected.")]
    ReduceOnly,
    /// Malformed client order id.
    #[error("Client order id is not valid.")]
    ClientOrderId,
    /// The account has one net position per symbol, no long and short side.
    #[error("Order's position side does not match user's setting.")]
    PositionSide,
    /// An earlier order has the client order id.
    #[error("ClientOrderId is duplicated.")]
    DuplicateClientOrderId,
    /// Resting reduce-only orders reserve the whole position.
    #[error("ReduceOnly Order Failed. Please check your existing position and open orders")]
    ReduceOnlyReserved,
    /// Price × quantity is too small.
    #[error("Order's notional must be no smaller than {0} (unless you choose reduce only).")]
    Notional(Decimal),
    /// No such endpoint.
    #[error("Path {path}, Method {method} is invalid")]
    Path {
        /// The path as sent.
        path: String,
        /// The method as sent.
        method: String,
    },
    /// The body is longer than any request needs.
    #[error("Request body is too large.")]
    BodyTooLarge,
    /// The connection broke before the body was complete, or the body is not text.
    #[error("Unreadable request: {0}.")]
    Unreadable(Cow<'static, str>),
}

impl ApiError {
    /// The `code` of the answer.
    pub fn code(&self) -> i32 {
        match self {
            Self::Outage(outage) => outage.code(),
            Self::TooManyRequests { .. } | Self::Banned { .. } => -1003,
            Self::TooManyOrders { .. } => -1015,
            Self::TimestampOld | Self::TimestampAhead => -1021,
            Self::BadSignature => -1022,
            Self::IllegalParameter { .. } => -1100,
            Self::MissingParameter(_) | Self::MissingOrderId => -1102,
            Self::Precision => -1111,
            Self::Filter(_) => -1013,
            Self::TimeInForce => -1115,
            Self::OrderType => -1116,
            Self::Side => -1117,
            Self::Symbol => -1121,
            Self::ListenKey => -1125,
            Self::RecvWindow => -1131,
            Self::UnknownOrder => -2011,
            Self::NoSuchOrder => -2013,
            Self::ApiKeyFormat => -2014,
            Self::ApiKey => -2015,
            Self::ReduceOnly => -2022,
            Self::ClientOrderId => -4015,
            Self::PositionSide => -4061,
            Self::DuplicateClientOrderId => -4116,
            Self::ReduceOnlyReserved => -4118,
            Self::Notional(_) => -4164,
            Self::Path { .. } => -5000,
            Self::BodyTooLarge | Self::Unreadable(_) => -1000,
        }
    }

    /// The HTTP status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Outage(outage) => outage.status(),
            Self::TooManyRequests { .. } | Self::TooManyOrders { .. } => 429,
            Self::Banned { .. } => 418,
            Self::ApiKeyFormat | Self::ApiKey => 401,
            Self::Path { .. } => 404,
            Self::BodyTooLarge => 413,
            _ => 400,
        }
    }

    /// Seconds for the header `Retry-After`.
    pub fn retry_after(&self) -> Option<i64> {
        match self {
            Self::TooManyRequests { retry_after, .. }
            | Self::Banned { retry_after, .. }
            | Self::TooManyOrders { retry_after, .. } => Some(*retry_after),
            _ => None,
        }
    }
}
