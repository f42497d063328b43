//! What the exchange answers when it refuses, with the codes and texts of its public "Error Codes" page
//! (<https://developers.binance.com/docs/derivatives/usds-margined-futures/error-code>).
//!
//! Two choices among what the venue's pages say: a broken filter is −1013 and names the filter, as the venue's trading engine
//! does, not the 40xx code of its single rule; and whatever the matching engine turns down for its terms – fill-or-kill,
//! post-only – is −2010, not 50xx.

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
    #[error("Param '{0}' or '{1}' must be sent, but both were empty/null!")]
    MissingBoth(&'static str, &'static str),
    /// More decimals than the symbol has.
    #[error("Precision is over the maximum defined for this asset.")]
    Precision,
    /// A price or quantity breaks a rule of the symbol.
    #[error("Filter failure: {name}. {0}", name = .0.name())]
    Filter(Filter),
    /// A parameter that the other parameters exclude.
    #[error("Parameter '{0}' sent when not required.")]
    NotRequired(&'static str),
    /// A parameter whose value makes no sense.
    #[error("Data sent for parameter '{0}' is not valid.")]
    BadParameter(&'static str),
    /// Optional parameters that exclude each other.
    #[error("Combination of optional parameters invalid.")]
    BadCombination,
    /// A period that ends before it starts.
    #[error("Start time is greater than end time.")]
    BadPeriod,
    /// A longer period than may be asked for.
    #[error("More than {hours} hours between startTime and endTime.")]
    LongPeriod {
        /// The longest period.
        hours: u32,
    },
    /// No such candlestick interval.
    #[error("Invalid interval.")]
    Interval,
    /// A number of levels that an order book cannot be asked for.
    #[error("{0} is not valid depth limit.")]
    DepthLimit(usize),
    /// Unknown `timeInForce`.
    #[error("Invalid timeInForce.")]
    TimeInForce,
    /// Unknown order type.
    #[error("Invalid orderType.")]
    OrderType,
    /// A `callbackRate` outside of 0.1 to 10 per cent, or finer than a tenth.
    #[error("Invalid callBack rate.")]
    CallbackRate,
    /// An `activationPrice` that is no price of the symbol.
    #[error("Invalid activation price.")]
    ActivationPrice,
    /// The margin that is left does not cover the order.
    #[error("Margin is insufficient.")]
    Margin,
    /// The stop price is already reached.
    #[error("Order would immediately trigger.")]
    ImmediateTrigger,
    /// The account has as many open orders as it may have.
    #[error("Reach max open order limit.")]
    TooManyOpen,
    /// The account has as many waiting conditional orders as it may have.
    #[error("Reach max stop order limit.")]
    TooManyConditional,
    /// The position with its orders would be larger than the bracket allows.
    #[error("Exceeded the maximum allowable position at current leverage.")]
    MaxPosition,
    /// Lower leverage would need more margin than there is.
    #[error("Leverage is smaller than permitted: insufficient margin balance.")]
    LeverageMargin,
    /// Leverage outside of what the symbol allows.
    #[error("Leverage {0} is not valid.")]
    Leverage(u32),
    /// The account's margin is already of this type.
    #[error("No need to change margin type.")]
    SameMarginType,
    /// Only cross margin is simulated.
    #[error("Isolated margin is not supported.")]
    IsolatedMargin,
    /// The account already nets its positions.
    #[error("No need to change position side.")]
    SamePositionMode,
    /// Only one-way mode is simulated.
    #[error("Hedge mode is not supported.")]
    HedgeMode,
    /// The account already uses a single asset as margin.
    #[error("Adjusted asset mode is currently set and does not need to be adjusted repeatedly.")]
    SameAssetsMode,
    /// Only single-asset margin is simulated.
    #[error("Multi-assets mode is not supported.")]
    MultiAssets,
    /// Fewer than one or more than five orders.
    #[error("Invalid number of batch place orders.")]
    BatchSize,
    /// An order that closes the position already waits in this direction.
    #[error("An open stop or take profit order with GTE and closePosition in the direction is existing.")]
    CloseExists,
    /// `closePosition` goes with stop-market and take-profit-market orders only.
    #[error("Target strategy invalid for orderType {0},closePosition true")]
    CloseKind(&'static str),
    /// An order that closes the position has no quantity of its own.
    #[error("Quantity must be zero with closePosition equals true")]
    CloseQuantity,
    /// A fill-or-kill order that cannot be filled.
    #[error(
        "Due to the order could not be filled immediately, the FOK order has been rejected. The order will not be recorded in the order history"
    )]
    FillOrKill,
    /// A post-only order that would take liquidity.
    #[error(
        "Due to the order could not be executed as maker, the Post Only order will be rejected. The order will not be recorded in the order history"
    )]
    PostOnly,
    /// Only limit orders can be changed.
    #[error("Only limit order is supported.")]
    AmendKind,
    /// The order has been changed as often as it may be.
    #[error("Exceed maximum modify order limit.")]
    AmendTooOften,
    /// Neither price nor quantity would change.
    #[error("No need to modify the order.")]
    AmendNothing,
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

/// A rule of a symbol that a price or a quantity can break, in the words of "Filters and other issues" of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Filter {
    /// `PRICE_FILTER`.
    #[error("Price less than 0.")]
    PriceBelowZero,
    /// `PRICE_FILTER`.
    #[error("Price greater than max price.")]
    PriceAboveMax,
    /// `PRICE_FILTER`.
    #[error("Price less than min price.")]
    PriceBelowMin,
    /// `PRICE_FILTER`.
    #[error("Price not increased by tick size.")]
    TickSize,
    /// `PRICE_FILTER`, of the stop price.
    #[error("Stop price less than zero.")]
    StopBelowZero,
    /// `PRICE_FILTER`, of the stop price.
    #[error("Stop price greater than max price.")]
    StopAboveMax,
    /// `LOT_SIZE`.
    #[error("Quantity less than or equal to zero.")]
    QuantityZero,
    /// `LOT_SIZE`.
    #[error("Quantity less than min quantity.")]
    QuantityBelowMin,
    /// `LOT_SIZE`.
    #[error("Quantity greater than max quantity.")]
    QuantityAboveMax,
    /// `LOT_SIZE`.
    #[error("Qty not increased by step size.")]
    StepSize,
    /// `MARKET_LOT_SIZE`.
    #[error("Quantity greater than max quantity.")]
    MarketQuantityAboveMax,
    /// `PERCENT_PRICE`.
    #[error("Limit price can't be higher than {0}.")]
    BandTop(Decimal),
    /// `PERCENT_PRICE`.
    #[error("Limit price can't be lower than {0}.")]
    BandBottom(Decimal),
    /// `PERCENT_PRICE`, of a market order.
    #[error("The counterparty's best price does not meet the PERCENT_PRICE filter limit.")]
    BandMarket,
}

impl Filter {
    /// The `filterType` of "Exchange Information".
    pub fn name(self) -> &'static str {
        match self {
            Self::PriceBelowZero
            | Self::PriceAboveMax
            | Self::PriceBelowMin
            | Self::TickSize
            | Self::StopBelowZero
            | Self::StopAboveMax => "PRICE_FILTER",
            Self::QuantityZero | Self::QuantityBelowMin | Self::QuantityAboveMax | Self::StepSize => {
                "LOT_SIZE"
            }
            Self::MarketQuantityAboveMax => "MARKET_LOT_SIZE",
            Self::BandTop(_) | Self::BandBottom(_) | Self::BandMarket => "PERCENT_PRICE",
        }
    }
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
            Self::MissingParameter(_) | Self::MissingBoth(..) => -1102,
            Self::Precision => -1111,
            Self::Filter(_) => -1013,
            Self::BadPeriod => -1023,
            Self::NotRequired(_) => -1106,
            Self::TimeInForce => -1115,
            Self::OrderType => -1116,
            Self::Interval => -1120,
            Self::LongPeriod { .. } => -1127,
            Self::BadCombination => -1128,
            Self::BadParameter(_) => -1130,
            Self::CallbackRate => -2007,
            Self::Margin => -2019,
            Self::ImmediateTrigger => -2021,
            Self::TooManyOpen => -2025,
            Self::MaxPosition => -2027,
            Self::LeverageMargin => -2028,
            Self::DepthLimit(_) => -4021,
            Self::Leverage(_) => -4028,
            Self::TooManyConditional => -4045,
            Self::SameMarginType => -4046,
            Self::IsolatedMargin | Self::HedgeMode | Self::MultiAssets => -4084,
            Self::SamePositionMode => -4059,
            Self::BatchSize => -4082,
            Self::CloseExists => -4130,
            Self::ActivationPrice => -4135,
            Self::CloseKind(_) => -4136,
            Self::CloseQuantity => -4137,
            Self::SameAssetsMode => -4171,
            Self::FillOrKill | Self::PostOnly => -2010,
            Self::AmendKind => -5025,
            Self::AmendTooOften => -5026,
            Self::AmendNothing => -5027,
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
