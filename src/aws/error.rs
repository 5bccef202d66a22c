//! The one place where errors of AWS become [`CallError`]s.
//!
//! An error is judged by its **code** and its HTTP status, never by the text of its message. SQS has two
//! spellings of most codes: that of its JSON protocol (`QueueDoesNotExist`) and that of the older query
//! protocol (`AWS.SimpleQueueService.NonExistentQueue`), which it still sends along in the header
//! `x-amzn-query-error` and which the SDK prefers. Sources: the errors of each operation in the SQS API
//! reference, "Common Error Types" there, "AWS KMS errors" in the SQS model, and the errors of each operation in the
//! API references of IAM and EKS.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sqs::config::http::HttpResponse;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;

use crate::domain::call::{CallError, ErrorKind};

/// Which service answered: `AccessDeniedException` of KMS is about a key, elsewhere about a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Amazon SQS.
    Sqs,
    /// AWS Security Token Service.
    Sts,
    /// AWS Key Management Service.
    Kms,
    /// AWS Identity and Access Management.
    Iam,
    /// Amazon Elastic Kubernetes Service.
    Eks,
}

/// What the error `code` of `service`, sent with HTTP `status`, means. `None` for a code is an answer without
/// one, for example a load balancer's page.
#[must_use]
pub fn classify(service: Service, code: Option<&str>, status: u16) -> ErrorKind {
    let Some(code) = code else {
        return kind_of_status(status).unwrap_or(ErrorKind::Transient);
    };
    let code = code.strip_prefix("AWS.SimpleQueueService.").unwrap_or(code);
    kind_of_service(service, code)
        .or_else(|| kind_of_code(code))
        .or_else(|| kind_of_status(status))
        // A code that we do not know, in a 4xx: AWS has read the call and refuses it.
        .unwrap_or(if (400..500).contains(&status) { ErrorKind::Invalid } else { ErrorKind::Transient })
}

/// What a code means from this service alone.
fn kind_of_service(service: Service, code: &str) -> Option<ErrorKind> {
    match (service, code) {
        (
            Service::Kms,
            "AccessDenied"
            | "AccessDeniedException"
            | "DisabledException"
            | "KMSInvalidStateException"
            | "NotFoundException",
        ) => Some(ErrorKind::KmsDenied),
        (Service::Eks, "ResourceNotFoundException") => Some(ErrorKind::EntityDoesNotExist),
        (Service::Eks, "ResourceInUseException") => Some(ErrorKind::EntityAlreadyExists),
        (Service::Eks, "ResourceLimitExceededException") => Some(ErrorKind::LimitExceeded),
        // Those of a request that does not suit the state of the cluster are among them.
        (Service::Eks, "ClientException" | "InvalidParameterException" | "InvalidRequestException") => {
            Some(ErrorKind::Invalid)
        }
        (Service::Kms, "DependencyTimeoutException" | "KMSInternalException") | (Service::Eks, "ServerException") => {
            Some(ErrorKind::Transient)
        }
        _ => None,
    }
}

/// What a code means whatever the service and the status.
fn kind_of_code(code: &str) -> Option<ErrorKind> {
    Some(match code {
        "QueueDoesNotExist" | "NonExistentQueue" => ErrorKind::QueueDoesNotExist,
        "QueueNameExists" | "QueueAlreadyExists" => ErrorKind::QueueNameExists,
        "QueueDeletedRecently" => ErrorKind::QueueDeletedRecently,

        "NoSuchEntity" => ErrorKind::EntityDoesNotExist,
        "EntityAlreadyExists" => ErrorKind::EntityAlreadyExists,
        "DeleteConflict" => ErrorKind::DeleteConflict,
        "LimitExceeded" => ErrorKind::LimitExceeded,

        // As in the SDK's own list of throttling errors, and SQS's words for a throttled KMS.
        "RequestThrottled"
        | "RequestThrottledException"
        | "RequestLimitExceeded"
        | "SlowDown"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException"
        | "KmsThrottled"
        | "KMS.ThrottlingException" => ErrorKind::Throttled,

        "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSecurity"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "RequestExpired"
        | "SignatureDoesNotMatch"
        | "UnauthorizedOperation"
        // A role that AWS keeps for a service of its own.
        | "UnmodifiableEntity"
        | "UnrecognizedClientException" => ErrorKind::Denied,

        "KmsAccessDenied"
        | "KMS.AccessDeniedException"
        | "KmsDisabled"
        | "KMS.DisabledException"
        | "KmsInvalidKeyUsage"
        | "KMS.InvalidKeyUsageException"
        | "KmsInvalidState"
        | "KMS.InvalidStateException"
        | "KmsNotFound"
        | "KMS.NotFoundException"
        | "KmsOptInRequired"
        | "KMS.OptInRequired" => ErrorKind::KmsDenied,

        // OverLimit (too many of something) is here because only a person can make room.
        "InvalidAddress"
        | "InvalidArnException"
        | "InvalidAttributeName"
        | "InvalidAttributeValue"
        | "InvalidInput"
        | "InvalidParameterCombination"
        | "InvalidParameterValue"
        | "MalformedPolicyDocument"
        | "MalformedQueryString"
        | "MissingParameter"
        | "OverLimit"
        | "PolicyNotAttachable"
        | "UnsupportedOperation"
        | "ValidationError"
        | "ValidationException" => ErrorKind::Invalid,

        // Somebody else changes the same thing in IAM.
        "ConcurrentModification"
        | "InternalError"
        | "InternalFailure"
        | "InternalServerError"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceFailure"
        | "ServiceUnavailable"
        | "ServiceUnavailableException" => ErrorKind::Transient,

        _ => return None,
    })
}

/// What a status says by itself. Never that a queue is not there: a 404 without a code comes from something
/// that is not SQS.
fn kind_of_status(status: u16) -> Option<ErrorKind> {
    match status {
        429 => Some(ErrorKind::Throttled),
        401 | 403 => Some(ErrorKind::Denied),
        408 | 500.. => Some(ErrorKind::Transient),
        _ => None,
    }
}

/// Turns what the SDK reports for `action` into what decisions are made on.
pub(super) fn from_sdk<E>(service: Service, action: &'static str, error: &SdkError<E, HttpResponse>) -> CallError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    match error {
        SdkError::ServiceError(answer) => {
            let status = answer.raw().status().as_u16();
            let (code, message) = (answer.err().code(), answer.err().message());
            CallError {
                action,
                kind: classify(service, code, status),
                code: code.unwrap_or_default().to_owned(),
                message: message.map_or_else(|| unreadable(status), one_line),
            }
        }
        SdkError::ResponseError(answer) => {
            let status = answer.raw().status().as_u16();
            CallError {
                action,
                kind: classify(service, None, status),
                code: String::new(),
                message: format!("{}: {}", unreadable(status), chain(error)),
            }
        }
        // Never sent, and the next try would be built just the same.
        SdkError::ConstructionFailure(_) => {
            CallError { action, kind: ErrorKind::Invalid, code: String::new(), message: chain(error) }
        }
        _ => from_unanswered(action, error),
    }
}

/// No answer came: the call was lost on the way, there or back, or never left for want of credentials.
fn from_unanswered(action: &'static str, error: &(dyn Error + 'static)) -> CallError {
    let credentials = std::iter::successors(Some(error), |&error| error.source())
        .find_map(|error| error.downcast_ref::<CredentialsError>());
    // Below this very error: it may be the assuming itself that got no answer.
    let assumed = std::iter::successors(error.source(), |&error| error.source())
        .find_map(|error| error.downcast_ref::<SdkError<AssumeRoleError, HttpResponse>>());
    if let Some(refused) = assumed {
        let CallError { kind, code, message, .. } = from_sdk(Service::Sts, "AssumeRole", refused);
        return CallError { action, kind, code, message: format!("the role cannot be assumed: {message}") };
    }
    let (kind, message) = match credentials {
        Some(error) => (credentials_kind(error), credentials_message(error)),
        None => (ErrorKind::Transient, chain(error)),
    };
    CallError { action, kind, code: String::new(), message }
}

fn credentials_kind(error: &CredentialsError) -> ErrorKind {
    match error {
        // The agent or metadata service that hands them out is slow, not unwilling.
        CredentialsError::ProviderTimedOut(_) => ErrorKind::Transient,
        _ => ErrorKind::Denied,
    }
}

/// One line on why there are no credentials: where they were looked for, and what to do. The SDK's own words
/// follow; of an empty search they list each place and why it had none.
pub(super) fn credentials_message(error: &CredentialsError) -> String {
    let said = error.source().map_or_else(|| error.to_string(), chain);
    match error {
        CredentialsError::CredentialsNotLoaded(_) => format!(
            "no AWS credentials found; give the Pod an IAM role (web identity or EKS Pod Identity), \
             or set AWS_ACCESS_KEY_ID or AWS_PROFILE: {said}"
        ),
        _ => format!(
            "AWS credentials could not be loaded (the first that is configured counts of environment, profile, \
             web identity, container and EC2 metadata): {said}"
        ),
    }
}

fn unreadable(status: u16) -> String {
    format!("HTTP {status} without a readable AWS error")
}

/// An error and its causes on one line. A cause that repeats the end of what was said adds nothing.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for cause in std::iter::successors(Some(error), |&error| error.source()) {
        let text = cause.to_string();
        if line.is_empty() {
            line = text;
        } else if !line.ends_with(&text) {
            line = format!("{line}: {text}");
        }
    }
    one_line(&line)
}

/// AWS's words on one line and the same at every try: SQS passes on KMS's errors with
/// `(Service: AWSKMS; …; Request ID: …)`, which would make each try look like news.
fn one_line(message: &str) -> String {
    let message = match message.split_once(" (Service: ") {
        Some((said, detail)) if detail.contains("Request ID: ") => said,
        _ => message,
    };
    message.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    use ErrorKind::{
        DeleteConflict, Denied, EntityAlreadyExists, EntityDoesNotExist, Invalid, KmsDenied, LimitExceeded,
        QueueDeletedRecently, QueueDoesNotExist, QueueNameExists, Throttled, Transient,
    };

    /// Service, code, HTTP status, meaning.
    const TABLE: &[(Service, &str, u16, ErrorKind)] = &[
        (Service::Sqs, "QueueDoesNotExist", 400, QueueDoesNotExist),
        (Service::Sqs, "AWS.SimpleQueueService.NonExistentQueue", 400, QueueDoesNotExist),
        (Service::Sqs, "QueueNameExists", 400, QueueNameExists),
        (Service::Sqs, "QueueAlreadyExists", 400, QueueNameExists),
        (Service::Sqs, "QueueDeletedRecently", 400, QueueDeletedRecently),
        (Service::Sqs, "AWS.SimpleQueueService.QueueDeletedRecently", 400, QueueDeletedRecently),
        (Service::Sqs, "RequestThrottled", 403, Throttled),
        (Service::Sqs, "ThrottlingException", 400, Throttled),
        (Service::Sqs, "Throttling", 400, Throttled),
        (Service::Sqs, "TooManyRequestsException", 429, Throttled),
        (Service::Sqs, "SlowDown", 503, Throttled),
        (Service::Sqs, "SomethingNew", 429, Throttled),
        (Service::Sqs, "KmsThrottled", 400, Throttled),
        (Service::Sqs, "KMS.ThrottlingException", 400, Throttled),
        (Service::Sqs, "AccessDenied", 403, Denied),
        (Service::Sqs, "AccessDeniedException", 400, Denied),
        (Service::Sqs, "InvalidClientTokenId", 403, Denied),
        (Service::Sqs, "UnrecognizedClientException", 400, Denied),
        (Service::Sqs, "ExpiredToken", 403, Denied),
        (Service::Sts, "ExpiredTokenException", 400, Denied),
        (Service::Sqs, "SignatureDoesNotMatch", 403, Denied),
        (Service::Sqs, "InvalidSecurity", 400, Denied),
        (Service::Sqs, "OptInRequired", 403, Denied),
        (Service::Sqs, "SomethingNew", 403, Denied),
        (Service::Sts, "AccessDenied", 403, Denied),
        (Service::Sqs, "KmsAccessDenied", 400, KmsDenied),
        (Service::Sqs, "KMS.AccessDeniedException", 400, KmsDenied),
        (Service::Sqs, "KmsDisabled", 400, KmsDenied),
        (Service::Sqs, "KMS.DisabledException", 400, KmsDenied),
        (Service::Sqs, "KmsNotFound", 400, KmsDenied),
        (Service::Sqs, "KMS.NotFoundException", 400, KmsDenied),
        (Service::Sqs, "KmsInvalidState", 400, KmsDenied),
        (Service::Sqs, "KMS.InvalidStateException", 400, KmsDenied),
        (Service::Sqs, "KmsInvalidKeyUsage", 400, KmsDenied),
        (Service::Sqs, "KMS.InvalidKeyUsageException", 400, KmsDenied),
        (Service::Sqs, "KmsOptInRequired", 403, KmsDenied),
        (Service::Sqs, "KMS.OptInRequired", 403, KmsDenied),
        (Service::Kms, "AccessDeniedException", 400, KmsDenied),
        (Service::Kms, "NotFoundException", 400, KmsDenied),
        (Service::Kms, "DisabledException", 400, KmsDenied),
        (Service::Kms, "InvalidArnException", 400, Invalid),
        (Service::Kms, "ThrottlingException", 400, Throttled),
        (Service::Kms, "UnrecognizedClientException", 400, Denied),
        (Service::Kms, "DependencyTimeoutException", 400, Transient),
        (Service::Kms, "KMSInternalException", 500, Transient),
        (Service::Iam, "NoSuchEntity", 404, EntityDoesNotExist),
        (Service::Iam, "EntityAlreadyExists", 409, EntityAlreadyExists),
        (Service::Iam, "DeleteConflict", 409, DeleteConflict),
        (Service::Iam, "LimitExceeded", 409, LimitExceeded),
        (Service::Iam, "UnmodifiableEntity", 400, Denied),
        (Service::Iam, "MalformedPolicyDocument", 400, Invalid),
        (Service::Iam, "InvalidInput", 400, Invalid),
        (Service::Iam, "PolicyNotAttachable", 400, Invalid),
        (Service::Iam, "ConcurrentModification", 409, Transient),
        (Service::Iam, "ServiceFailure", 500, Transient),
        (Service::Iam, "Throttling", 400, Throttled),
        (Service::Iam, "AccessDenied", 403, Denied),
        (Service::Eks, "ResourceNotFoundException", 404, EntityDoesNotExist),
        (Service::Eks, "ResourceInUseException", 409, EntityAlreadyExists),
        (Service::Eks, "ResourceLimitExceededException", 400, LimitExceeded),
        (Service::Eks, "InvalidParameterException", 400, Invalid),
        (Service::Eks, "InvalidRequestException", 400, Invalid),
        (Service::Eks, "ClientException", 400, Invalid),
        (Service::Eks, "ServerException", 500, Transient),
        (Service::Eks, "ServiceUnavailableException", 503, Transient),
        (Service::Eks, "TooManyRequestsException", 429, Throttled),
        (Service::Eks, "ThrottlingException", 429, Throttled),
        (Service::Eks, "AccessDeniedException", 403, Denied),
        (Service::Eks, "UnrecognizedClientException", 403, Denied),
        (Service::Sqs, "NotFoundException", 404, Invalid),
        (Service::Sqs, "InvalidAttributeName", 400, Invalid),
        (Service::Sqs, "InvalidAttributeValue", 400, Invalid),
        (Service::Sqs, "InvalidParameterValue", 400, Invalid),
        (Service::Sqs, "InvalidAddress", 404, Invalid),
        (Service::Sqs, "AWS.SimpleQueueService.UnsupportedOperation", 400, Invalid),
        (Service::Sqs, "UnsupportedOperation", 400, Invalid),
        (Service::Sqs, "OverLimit", 403, Invalid),
        (Service::Sqs, "SomethingNew", 400, Invalid),
        (Service::Sqs, "ServiceUnavailable", 503, Transient),
        (Service::Sqs, "InternalError", 500, Transient),
        (Service::Sqs, "InternalFailure", 500, Transient),
        (Service::Sqs, "RequestTimeout", 408, Transient),
        (Service::Sqs, "SomethingNew", 500, Transient),
    ];

    #[test]
    fn codes_mean_what_the_table_says() {
        for &(service, code, status, want) in TABLE {
            assert_eq!(classify(service, Some(code), status), want, "{service:?} {code} {status}");
        }
    }

    #[test]
    fn without_a_code_the_status_decides_and_never_says_that_a_queue_is_gone() {
        for (status, want) in [
            (200, Transient),
            (400, Transient),
            (401, Denied),
            (403, Denied),
            (404, Transient),
            (408, Transient),
            (429, Throttled),
            (500, Transient),
            (502, Transient),
            (503, Transient),
            (504, Transient),
        ] {
            assert_eq!(classify(Service::Sqs, None, status), want, "{status}");
        }
    }

    #[test]
    fn missing_credentials_are_denied_and_slow_ones_are_not() {
        let missing = CredentialsError::not_loaded("AWS_ACCESS_KEY_ID is not set");
        let error = from_unanswered("GetCallerIdentity", &missing);
        assert_eq!(error.kind, Denied);
        assert!(error.message.contains("web identity") && error.message.contains("AWS_ACCESS_KEY_ID is not set"));

        let slow = CredentialsError::provider_timed_out(std::time::Duration::from_secs(5));
        assert_eq!(from_unanswered("GetCallerIdentity", &slow).kind, Transient);
    }

    #[test]
    fn messages_are_one_line_and_the_same_at_every_try() {
        assert_eq!(
            one_line("Key is\n disabled. (Service: AWSKMS; Status Code: 400; Request ID: 0d1c; Proxy: null)"),
            "Key is disabled."
        );
        assert_eq!(one_line("Bad value (Service: mine)"), "Bad value (Service: mine)");
    }
}
