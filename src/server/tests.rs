//! Size of a request's future.

use super::service::respond;

/// Greatest size of a request's future, in bytes: its size when measured. Each request and each HTTP/2 stream has one,
/// and it is moved once, into its box.
const LARGEST: usize = 4608;

/// Returns the size of the future that a function of two arguments returns.
fn size_of_returned<A, B, F: Future>(_: impl FnOnce(A, B) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn the_future_of_a_request_has_not_grown() {
    let size = size_of_returned(respond);
    assert!(
        size <= LARGEST,
        "{size} bytes, more than {LARGEST}: box large, rarely used parts, or raise the limit with a reason"
    );
}
