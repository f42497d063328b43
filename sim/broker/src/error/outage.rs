//! What the exchange answers when it is itself unwell ("General Info", section HTTP Return Codes; "Error Codes", 10xx).

/// An answer that is nobody's fault but the exchange's. Some leave open whether the request was executed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Outage {
    /// HTTP 500. The request may have been executed.
    #[error("An unknown error occured while processing the request.")]
    Internal,
    /// −1008, HTTP 503. The request was not executed; cancels and reduce-only orders are served.
    #[error(
        "Request throttled by system-level protection. Reduce-only/close-position orders are exempt. Please try again."
    )]
    Overloaded,
    /// −1007, HTTP 408. The request may have been executed.
    #[error(
        "Timeout waiting for response from backend server. Send status unknown; execution status unknown."
    )]
    Timeout,
    /// HTTP 503. The request was not executed.
    #[error("Service Unavailable.")]
    Unavailable,
    /// −1006, HTTP 500: the documentation gives no status. The request may have been executed.
    #[error("An unexpected response was received from the message bus. Execution status unknown.")]
    UnexpectedResponse,
    /// HTTP 503 with the text that stands for "sent, but no response within the timeout". The request may have been
    /// executed.
    #[error("Unknown error, please check your request or try again later.")]
    Unknown,
}

impl Outage {
    /// The `code` of the answer.
    pub fn code(self) -> i32 {
        match self {
            Self::Internal | Self::Unknown => -1000,
            Self::UnexpectedResponse => -1006,
            Self::Timeout => -1007,
            Self::Overloaded => -1008,
            Self::Unavailable => 0,
        }
    }

    /// The HTTP status of the answer.
    pub fn status(self) -> u16 {
        match self {
            Self::Internal | Self::UnexpectedResponse => 500,
            Self::Overloaded | Self::Unavailable | Self::Unknown => 503,
            Self::Timeout => 408,
        }
    }
}
