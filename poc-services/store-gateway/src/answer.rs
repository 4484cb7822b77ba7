//! Answers: a status and a JSON body, with `Retry-After` where coming back helps.

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Response, StatusCode};
use serde_json::{Value, json};

pub type Answer = Response<Full<Bytes>>;

/// Why a request is not taken as a whole.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Refusal {
    #[error("there is nothing here: POST /v1/stores/S0042/tlog or /marks, POST /capture or GET /health")]
    NotFound,
    #[error("use {allowed}")]
    Method { allowed: &'static str },
    #[error("{0}")]
    Bad(String),
    #[error("more than {limit} bytes: send less at once")]
    TooLong { limit: usize },
    #[error("Kafka does not take one of the messages, now or later: {0}")]
    Untaken(String),
    #[error("the body did not come in time")]
    Slow,
    #[error("too much is under way: come back in a second")]
    TooMuch,
    #[error("the backbone does not take it now: come back in a second")]
    Unavailable,
}

impl Refusal {
    pub const fn status(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::Untaken(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Slow => StatusCode::REQUEST_TIMEOUT,
            Self::TooMuch => StatusCode::TOO_MANY_REQUESTS,
            Self::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The caller did nothing wrong.
    pub const fn is_busy(&self) -> bool {
        matches!(self, Self::TooMuch | Self::Unavailable)
    }

    pub fn answer(&self) -> Answer {
        let mut answer = json_answer(self.status(), &json!({ "error": self.to_string() }));
        if self.is_busy() {
            answer
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if let Self::Method { allowed } = self {
            answer
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static(allowed));
        }
        answer
    }
}

pub fn json_answer(status: StatusCode, body: &Value) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body.to_string())));
    *answer.status_mut() = status;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}
