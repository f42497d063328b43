//! Where faults stop a request: between its being counted and its being served.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{NoAnswer, Reply};
use crate::{
    error::{ApiError, Outage},
    fault::{Blank, Fault, Subject, Wait, chance},
    limits::{WEIGHT_PER_MINUTE, whole_seconds},
    server::Venue,
};

/// How long a client that is never answered is kept waiting.
const SILENCE: Duration = Duration::from_secs(60);

/// Whether a request gets through.
pub(super) enum Passage {
    Open,
    /// It is answered with a refusal, and nothing else happens.
    Refused(ApiError),
    /// Its outcome stays unknown to the client.
    Unanswered {
        executed: bool,
        ending: Ending,
    },
}

/// What a client gets instead of an answer.
pub(super) enum Ending {
    Outage(Outage),
    Cut,
    Silence,
}

impl Ending {
    /// Waits for it.
    pub async fn reach(self) -> Result<Result<Reply, ApiError>, NoAnswer> {
        match self {
            Self::Outage(outage) => Ok(Err(outage.into())),
            Self::Cut => Err(NoAnswer),
            Self::Silence => {
                sleep(SILENCE).await;
                Err(NoAnswer)
            }
        }
    }
}

/// Asks the faults that are on about a request.
pub(super) fn pass(venue: &Venue, subject: Subject) -> Passage {
    let entropy = &*venue.env.entropy;
    let is_order = matches!(subject, Subject::Orders { .. });
    let is_new_risk = subject == Subject::Orders { reduces: false };
    let refused = |outage: Outage| Passage::Refused(outage.into());
    let struck = venue.exchange.faults().strike(|fault| match fault {
        Fault::AckLost { percent } if is_order && chance(*percent, entropy, "broker.fault.ack_lost") => {
            Some(Passage::Unanswered { executed: true, ending: Ending::Cut })
        }
        Fault::Ban(wait) => banned(venue, wait).map(Passage::Refused),
        Fault::Definite(requests) => requests.hit(subject, entropy).then(|| refused(Outage::Unavailable)),
        Fault::Overload { percent } if is_new_risk && chance(*percent, entropy, "broker.fault.overload") => {
            Some(refused(Outage::Overloaded))
        }
        Fault::RateLimit(wait) => limited(wait).map(Passage::Refused),
        Fault::Unknown { blank, requests, fate } if requests.hit(subject, entropy) => {
            Some(Passage::Unanswered { executed: fate.executes(entropy), ending: ending(*blank) })
        }
        _ => None,
    });
    struck.unwrap_or(Passage::Open)
}

fn ending(blank: Blank) -> Ending {
    match blank {
        Blank::BackendTimeout => Ending::Outage(Outage::Timeout),
        Blank::Internal => Ending::Outage(Outage::Internal),
        Blank::Silence => Ending::Silence,
        Blank::UnexpectedResponse => Ending::Outage(Outage::UnexpectedResponse),
        Blank::Unknown => Ending::Outage(Outage::Unknown),
    }
}

fn banned(venue: &Venue, wait: &mut Wait) -> Option<ApiError> {
    let left = millis(wait.left(Instant::now())?);
    let until = venue.env.clock.now().as_millis().saturating_add(left);
    Some(ApiError::Banned { until, retry_after: whole_seconds(left) })
}

fn limited(wait: &mut Wait) -> Option<ApiError> {
    let left = millis(wait.left(Instant::now())?);
    Some(ApiError::TooManyRequests { limit: WEIGHT_PER_MINUTE, retry_after: whole_seconds(left) })
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
