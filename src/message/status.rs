//! Statuses whose answers have no content.

use http::StatusCode;

/// Reports whether an answer with this status has content, be it empty. Answers to HEAD have none whatever their
/// status is.
pub fn has_content(status: StatusCode) -> bool {
    match status {
        // RFC 9110 §15.3.5, §15.4.5, §6.4.1: the head is all there is.
        StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => false,
        // RFC 9110 §15.3.6: a server must not generate content in a 205.
        StatusCode::RESET_CONTENT => false,
        // RFC 9110 §15.2: an interim answer ends with its head.
        status => !status.is_informational(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interim_answers_and_three_more_have_no_content() {
        let without = (100..=999).filter(|code| !has_content(StatusCode::from_u16(*code).unwrap()));
        let expected = (100..=199).chain([204, 205, 304]);
        assert!(without.eq(expected));
    }
}
