//! What a request costs before anything of it has happened.

use super::service::respond;

/// The largest that the future of a request may be, in bytes: what it was when this was measured. Each request and
/// each HTTP/2 stream has one, and it is moved once, into its box.
const LARGEST: usize = 4608;

/// The size of what a function of two arguments returns.
fn size_of_returned<A, B, F: Future>(_: impl FnOnce(A, B) -> F) -> usize {
    size_of::<F>()
}

#[test]
fn the_future_of_a_request_has_not_grown() {
    let size = size_of_returned(respond);
    assert!(
        size <= LARGEST,
        "{size} bytes, more than {LARGEST}: box what is large and seldom, or say why it has to be"
    );
}
