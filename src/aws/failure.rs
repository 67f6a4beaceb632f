//! What became of a request that CloudWatch did not answer as was hoped for.

use std::error::Error as StdError;

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_cloudwatch::operation::RequestId as _;

use crate::finding::error_chain;

/// Why CloudWatch did not do what it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// There is nowhere to send it, or nothing to sign it with; no request was made.
    NotSent(String),
    /// The request is not acceptable as it is, however often it is sent.
    Rejected(String),
    TooLarge(String),
    /// The credentials do not allow it.
    Denied(String),
    Throttled(String),
    /// No answer, or none that says what became of the request.
    Failed {
        message: String,
        answer_lost: bool,
    },
}

impl Failure {
    /// The value of the label `outcome`; `None` if no request was made.
    pub fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::NotSent(_) => None,
            Self::Rejected(_) => Some("rejected"),
            Self::TooLarge(_) => Some("too_large"),
            Self::Denied(_) => Some("denied"),
            Self::Throttled(_) => Some("throttled"),
            Self::Failed { .. } => Some("failed"),
        }
    }

    pub fn message(&self) -> &str {
        match self {
            Self::NotSent(message)
            | Self::Rejected(message)
            | Self::TooLarge(message)
            | Self::Denied(message)
            | Self::Throttled(message)
            | Self::Failed { message, .. } => message,
        }
    }
}

pub(super) fn failure<E>(error: &SdkError<E>) -> Failure
where
    E: StdError + ProvideErrorMetadata + 'static,
{
    let message = error_chain(error);
    match error {
        SdkError::ServiceError(service) => {
            let message = message_of(error).unwrap_or(message);
            let status = service.raw().status().as_u16();
            match service.err().code() {
                // Whoever answers without an error code and a request id is not CloudWatch, and what it says is no verdict.
                Some(code) if error.request_id().is_some() => classify(status, code, message),
                _ => classify_stranger(status, message),
            }
        }
        SdkError::ConstructionFailure(_) => Failure::Failed {
            message,
            answer_lost: false,
        },
        SdkError::DispatchFailure(_) => Failure::Failed {
            message,
            answer_lost: !never_sent(error),
        },
        _ => Failure::Failed {
            message,
            answer_lost: true,
        },
    }
}

/// ``AccessDenied: User … is not authorized``
fn message_of(error: &impl ProvideErrorMetadata) -> Option<String> {
    let (code, message) = (error.code()?, error.message()?);
    Some(format!("{code}: {message}"))
}

/// CloudWatch's answers are told apart by status and error code. Only what is known to be a verdict on the data is taken for
/// one: everything else may be over by the next attempt.
fn classify(status: u16, code: &str, message: String) -> Failure {
    const REJECTED: [&str; 5] = [
        "InvalidParameter",
        "InvalidFormat",
        "MissingParameter",
        "MissingRequiredParameter",
        "Validation",
    ];
    const DENIED: [&str; 7] = [
        "AccessDenied",
        "ExpiredToken",
        "InvalidClientTokenId",
        "InvalidSignature",
        "MissingAuthenticationToken",
        "SignatureDoesNotMatch",
        "UnrecognizedClient",
    ];
    const THROTTLED: [&str; 6] = [
        "LimitExceeded",
        "RequestLimitExceeded",
        "RequestThrottled",
        "SlowDown",
        "Throttl",
        "TooManyRequests",
    ];
    let is = |codes: &[&str]| codes.iter().any(|known| code.starts_with(known));
    match status {
        _ if is(&THROTTLED) => Failure::Throttled(message),
        _ if is(&DENIED) => Failure::Denied(message),
        400 if is(&REJECTED) => Failure::Rejected(message),
        _ => classify_stranger(status, message),
    }
}

/// Answers known by their status alone.
fn classify_stranger(status: u16, message: String) -> Failure {
    match status {
        413 => Failure::TooLarge(message),
        429 => Failure::Throttled(message),
        401 | 403 => Failure::Denied(message),
        _ => Failure::Failed {
            message: format!("status {status}: {message}"),
            // Whoever stands in between may have passed it on, and CloudWatch may have taken it before it failed.
            answer_lost: status == 408 || status >= 500,
        },
    }
}

/// Whether the connection was not even made: no name, no route, nobody who listens, no TLS.
fn never_sent(error: &(dyn StdError + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        let client = error.downcast_ref::<hyper_util::client::legacy::Error>();
        if client.is_some_and(hyper_util::client::legacy::Error::is_connect) {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::classify;

    #[test]
    fn answers_are_told_apart_by_status_and_code() {
        let outcome = |status, code| classify(status, code, String::new()).outcome().unwrap();
        assert_eq!(outcome(400, "InvalidParameterValue"), "rejected");
        assert_eq!(
            outcome(400, "InvalidParameterCombinationException"),
            "rejected"
        );
        assert_eq!(outcome(400, "ValidationError"), "rejected");
        assert_eq!(outcome(400, "ThrottlingException"), "throttled");
        assert_eq!(outcome(400, "TooManyRequestsException"), "throttled");
        assert_eq!(outcome(400, "ExpiredToken"), "denied");
        assert_eq!(outcome(400, "SomethingNew"), "failed");
        assert_eq!(outcome(403, "whatever"), "denied");
        assert_eq!(outcome(413, ""), "too_large");
        assert_eq!(outcome(429, ""), "throttled");
        assert_eq!(outcome(500, "InternalServiceFault"), "failed");
        assert_eq!(outcome(404, ""), "failed");
    }
}
