//! What can go wrong at the exchange that no machine, disk or network explains: its vocabulary for plans.
//!
//! ```text
//! on order.sent #3  peer broker ack-lost  for 10s
//! 40s  peer broker unknown-503 30% orders  for 1m
//! 50s  peer broker late-events 200ms..3s  for 20s
//! ```
//!
//! [`Fault`]'s variants say what each does. Whatever is drawn – whom a share hits, whether a request without an answer was
//! executed – is drawn anew each time. The truth journal tells what was executed; it knows nothing of faults.
//!
//! Deliberately absent: what a plan can do to the machine. A wrong clock is `clock step broker +2s`, a slow or dead exchange
//! `host slow broker`, `net black-hole broker`, and so on.

mod requests;
mod wait;

use std::{fmt, time::Duration};

use faults::{Span, Unexpected, Words};

pub(crate) use self::requests::chance;
pub use self::{
    requests::{Class, Fate, Requests, Subject},
    wait::Wait,
};
use crate::replica::HORIZON;

/// A fault of the exchange. Each says first how a plan writes it; what stands in brackets may be left out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `ack-lost [PERCENT]`: an order is executed, or refused, as usual; then its connection is cut instead of an answer.
    AckLost {
        /// How many of a hundred orders it hits.
        percent: u64,
    },
    /// `ban-418 SPAN`: from the first request on and for this long, every request is answered with HTTP 418, −1003 and the
    /// seconds that are left in `Retry-After`. The ban ends with the fault at the latest. Streams are not affected.
    Ban(Wait),
    /// `definite-503 [PERCENT] [CLASS]`: "Service Unavailable.", HTTP 503; nothing is executed.
    Definite(Requests),
    /// `duplicate-confirmation`: an order is executed, but its answer carries the exchange's id of the account's order before
    /// it, so that two orders are confirmed under one id. Events and queries tell the truth.
    DuplicateConfirmation,
    /// `duplicate-fill`: every `ORDER_TRADE_UPDATE` of an execution is sent twice, with the same trade id.
    DuplicateFill,
    /// `fill-before-ack SPANS`: the answer to an order that traded at once is held back this long, while its events go out.
    FillBeforeAck(Delay),
    /// `late-events SPANS`: every event of a user stream is late by a span drawn from these; their order stays.
    LateEvents(Delay),
    /// `listen-key-expiry [silent]`: every listen key expires at once, as after 60 minutes; those who listen are told with
    /// `listenKeyExpired`, or are not: the connection stays open and is silent. Without a key, the next one to be created.
    ListenKeyExpiry {
        /// Whether nobody is told.
        silent: bool,
    },
    /// `overload [PERCENT]`: −1008 for new orders, HTTP 503; nothing is executed. Reduce-only orders and cancels are served.
    Overload {
        /// How many of a hundred orders it hits.
        percent: u64,
    },
    /// `partial-fill PERCENT`: an arriving order finds liquidity for no more than this share of what it could trade. The rest
    /// of a good-till-cancelled limit order rests, any other rest expires; a fill-or-kill order expires in full.
    PartialFill {
        /// The share that trades.
        percent: u64,
    },
    /// `query-lag SPAN`: queries of orders, trades, positions and balances are answered from a replica that is this far
    /// behind. A younger order does not exist (−2013).
    QueryLag(Duration),
    /// `rate-limit-429 SPAN`: from the first request on and for this long, every request is answered with HTTP 429, −1003 and
    /// the seconds that are left in `Retry-After`. It ends with the fault at the latest; ignoring it leads to no ban.
    RateLimit(Wait),
    /// `reordered-events SPANS [anyhow]`: every event of a user stream is late by a span of its own, drawn from these. Events
    /// of one type keep their order, as the exchange guarantees, unless told `anyhow`.
    ReorderedEvents {
        /// How late.
        delay: Delay,
        /// Whether events of one type may change places, too.
        anyhow: bool,
    },
    /// `stale-balance SPAN`: as `query-lag`, for balances only.
    StaleBalance(Duration),
    /// `stale-position-list SPAN`: as `query-lag`, for positions only.
    StalePositions(Duration),
    /// `stream-corrupt PERCENT [frames]`: this share of stream events, of markets and users alike, is cut off at a drawn place
    /// and is no valid JSON. With `frames` it is the WebSocket frame that is cut off, and with it the connection.
    StreamCorrupt {
        /// How many of a hundred events it hits.
        percent: u64,
        /// Whether the frame is broken rather than its content.
        frames: bool,
    },
    /// `stream-drop [user|market]`: the stream connections that are open are cut without a goodbye; when none is, the next.
    StreamDrop(Option<Audience>),
    /// `stream-mute [user|market]`: connections stay open and take commands, pings are answered, but no event and no ping is
    /// sent. What would have been sent is lost.
    StreamMute(Option<Audience>),
    /// `token-expiry`: every API key is answered with −2015, HTTP 401.
    TokenExpiry,
    /// An answer that leaves open whether the request was executed; see [`Blank`].
    Unknown {
        /// What comes instead of an answer.
        blank: Blank,
        /// Which requests it hits.
        requests: Requests,
        /// Whether they are executed.
        fate: Fate,
    },
}

/// What comes instead of an answer, so that nobody knows whether the request was executed. A plan writes
/// `NAME PERCENT [CLASS] [executed|dropped]`; without the last word it is drawn, half and half, for each request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blank {
    /// `backend-timeout`: −1007, HTTP 408.
    BackendTimeout,
    /// `intermittent-500`: HTTP 500.
    Internal,
    /// `intermittent-timeout`: no answer until the client gives up, or for a minute; then the connection is cut.
    Silence,
    /// `unexpected-response`: −1006, HTTP 500.
    UnexpectedResponse,
    /// `unknown-503`: "Unknown error, please check your request or try again later.", HTTP 503.
    Unknown,
}

/// Who listens to a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Everybody: public streams.
    Market,
    /// An account's owner: the stream of a listen key.
    User,
}

/// A range of time from which delays are drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Delay {
    /// The shortest.
    pub least: Duration,
    /// The bound of the longest.
    pub most: Duration,
}

const WORDS: &str = "a fault of the exchange: ack-lost, backend-timeout, ban-418, definite-503, duplicate-confirmation, \
                     duplicate-fill, fill-before-ack, intermittent-500, intermittent-timeout, late-events, \
                     listen-key-expiry, overload, partial-fill, query-lag, rate-limit-429, reordered-events, \
                     stale-balance, stale-position-list, stream-corrupt, stream-drop, stream-mute, token-expiry, \
                     unexpected-response or unknown-503";

impl faults::Fault for Fault {
    fn read(words: &mut Words<'_>) -> Result<Self, Unexpected> {
        let name = words.next(WORDS)?;
        if let Some(blank) = Blank::ALL.into_iter().find(|blank| blank.word() == name) {
            let requests = Requests { percent: words.percent()?, class: Class::read(words) };
            return Ok(Self::Unknown { blank, requests, fate: Fate::read(words) });
        }
        Ok(match name {
            "ack-lost" => Self::AckLost { percent: requests::share(words)? },
            "ban-418" => Self::Ban(Wait::new(words.span()?)),
            "definite-503" => {
                Self::Definite(Requests { percent: requests::share(words)?, class: Class::read(words) })
            }
            "duplicate-confirmation" => Self::DuplicateConfirmation,
            "duplicate-fill" => Self::DuplicateFill,
            "fill-before-ack" => Self::FillBeforeAck(Delay::read(words)?),
            "late-events" => Self::LateEvents(Delay::read(words)?),
            "listen-key-expiry" => Self::ListenKeyExpiry { silent: words.skip("silent") },
            "overload" => Self::Overload { percent: requests::share(words)? },
            "partial-fill" => Self::PartialFill { percent: words.percent()? },
            "query-lag" => Self::QueryLag(lag(words)?),
            "rate-limit-429" => Self::RateLimit(Wait::new(words.span()?)),
            "reordered-events" => {
                Self::ReorderedEvents { delay: Delay::read(words)?, anyhow: words.skip("anyhow") }
            }
            "stale-balance" => Self::StaleBalance(lag(words)?),
            "stale-position-list" => Self::StalePositions(lag(words)?),
            "stream-corrupt" => {
                Self::StreamCorrupt { percent: words.percent()?, frames: words.skip("frames") }
            }
            "stream-drop" => Self::StreamDrop(Audience::read(words)),
            "stream-mute" => Self::StreamMute(Audience::read(words)),
            "token-expiry" => Self::TokenExpiry,
            other => return Err(words.unexpected(WORDS, Some(other))),
        })
    }

    fn lasts(&self) -> bool {
        !matches!(self, Self::ListenKeyExpiry { .. } | Self::StreamDrop(_))
    }
}

/// How far a replica is behind: no further than its memory goes.
fn lag(words: &mut Words<'_>) -> Result<Duration, Unexpected> {
    words.read("a time of no more than 10m, such as 250ms or 12s", |word| {
        faults::parse_span(word).filter(|span| *span <= HORIZON)
    })
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AckLost { percent } => write!(f, "ack-lost{}", Requests::of_orders(*percent)),
            Self::Ban(wait) => write!(f, "ban-418 {}", Span(wait.span())),
            Self::Definite(requests) => write!(f, "definite-503{requests}"),
            Self::DuplicateConfirmation => write!(f, "duplicate-confirmation"),
            Self::DuplicateFill => write!(f, "duplicate-fill"),
            Self::FillBeforeAck(delay) => write!(f, "fill-before-ack {delay}"),
            Self::LateEvents(delay) => write!(f, "late-events {delay}"),
            Self::ListenKeyExpiry { silent } => {
                write!(f, "listen-key-expiry{}", optional(*silent, " silent"))
            }
            Self::Overload { percent } => write!(f, "overload{}", Requests::of_orders(*percent)),
            Self::PartialFill { percent } => write!(f, "partial-fill {percent}%"),
            Self::QueryLag(span) => write!(f, "query-lag {}", Span(*span)),
            Self::RateLimit(wait) => write!(f, "rate-limit-429 {}", Span(wait.span())),
            Self::ReorderedEvents { delay, anyhow } => {
                write!(f, "reordered-events {delay}{}", optional(*anyhow, " anyhow"))
            }
            Self::StaleBalance(span) => write!(f, "stale-balance {}", Span(*span)),
            Self::StalePositions(span) => write!(f, "stale-position-list {}", Span(*span)),
            Self::StreamCorrupt { percent, frames } => {
                write!(f, "stream-corrupt {percent}%{}", optional(*frames, " frames"))
            }
            Self::StreamDrop(audience) => write!(f, "stream-drop{}", Audience::suffix(*audience)),
            Self::StreamMute(audience) => write!(f, "stream-mute{}", Audience::suffix(*audience)),
            Self::TokenExpiry => write!(f, "token-expiry"),
            Self::Unknown { blank, requests, fate } => {
                let (percent, class) = (requests.percent, requests.class.suffix());
                write!(f, "{} {percent}%{class}{}", blank.word(), fate.suffix())
            }
        }
    }
}

fn optional(given: bool, word: &'static str) -> &'static str {
    if given { word } else { "" }
}

impl Blank {
    /// Every variant.
    const ALL: [Self; 5] =
        [Self::BackendTimeout, Self::Internal, Self::Silence, Self::UnexpectedResponse, Self::Unknown];

    const fn word(self) -> &'static str {
        match self {
            Self::BackendTimeout => "backend-timeout",
            Self::Internal => "intermittent-500",
            Self::Silence => "intermittent-timeout",
            Self::UnexpectedResponse => "unexpected-response",
            Self::Unknown => "unknown-503",
        }
    }
}

impl Audience {
    fn read(words: &mut Words<'_>) -> Option<Self> {
        if words.skip("user") { Some(Self::User) } else { words.skip("market").then_some(Self::Market) }
    }

    /// Whether a fault for `wanted`, or for everybody, concerns these.
    pub(crate) fn is(self, wanted: Option<Self>) -> bool {
        wanted.is_none_or(|wanted| wanted == self)
    }

    fn suffix(audience: Option<Self>) -> &'static str {
        match audience {
            None => "",
            Some(Self::Market) => " market",
            Some(Self::User) => " user",
        }
    }
}

impl Delay {
    fn read(words: &mut Words<'_>) -> Result<Self, Unexpected> {
        let (least, most) = words.spans()?;
        Ok(Self { least, most })
    }

    /// A delay, drawn at `site`.
    pub(crate) fn draw(self, entropy: &dyn env::Entropy, site: &'static str) -> Duration {
        let spread = u64::try_from((self.most - self.least).as_micros()).unwrap_or(u64::MAX);
        self.least + Duration::from_micros(entropy.below(site, spread.max(1)))
    }
}

impl fmt::Display for Delay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{}", Span(self.least), Span(self.most))
    }
}

#[cfg(test)]
mod tests;
