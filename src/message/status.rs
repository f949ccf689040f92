//! Statuses of answers without content.

use http::StatusCode;

/// Reports whether an answer with this status has content, be it empty. Answers to HEAD have none with any status.
pub fn has_content(status: StatusCode) -> bool {
    // RFC 9110 §15.3.6: a server must not generate content in a 205.
    !ends_with_head(status) && status != StatusCode::RESET_CONTENT
}

/// Reports whether an answer with this status ends with its head, and so has no Content-Length (RFC 9112 §6.3, RFC 9110
/// §8.6). A 205 has a Content-Length of 0.
pub fn ends_with_head(status: StatusCode) -> bool {
    // RFC 9110 §15.2, §15.3.5, §15.4.5.
    status.is_informational() || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_answers_and_three_more_have_no_content() {
        let all = || (100..=999).map(|code| StatusCode::from_u16(code).unwrap());
        let interim = || 100..=199;
        let without = all().filter(|status| !has_content(*status));
        assert!(without.eq(interim().chain([204, 205, 304])));
        let ended = all().filter(|status| ends_with_head(*status));
        assert!(ended.eq(interim().chain([204, 304])));
    }
}
