//! Parallel work on long configurations: the client of a reload waits, and worker threads keep
//! answering requests meanwhile.

use std::thread::{self, ScopedJoinHandle};

use crate::threads::processors;

/// Limit of the threads.
const THREADS: usize = 4;

/// Returns the number of threads for work that is enough for `enough` of them.
pub(super) fn thread_count(enough: usize) -> usize {
    processors().min(THREADS).min(enough).max(1)
}

/// Maps each part in parallel, keeping the order; this thread does the last one.
pub(super) fn map<P: Send, T: Send>(mut parts: Vec<P>, work: impl Fn(P) -> T + Sync) -> Vec<T> {
    let Some(last) = parts.pop() else {
        return Vec::new();
    };
    let work = &work;
    thread::scope(|scope| {
        let spawn = |part| scope.spawn(move || work(part));
        let others: Vec<_> = parts.into_iter().map(spawn).collect();
        let last = work(last);
        others.into_iter().map(joined).chain([last]).collect()
    })
}

/// Returns the result of a thread; propagates its panic.
fn joined<T>(thread: ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_keep_their_order() {
        assert_eq!(map(vec![1, 2, 3, 4, 5], |part| part * 2), [2, 4, 6, 8, 10]);
        assert_eq!(map(vec![1], |part| part * 2), [2]);
        assert!(map(Vec::<u8>::new(), |part| part).is_empty());
    }

    #[test]
    #[should_panic(expected = "the second")]
    fn a_panic_is_passed_on() {
        map(vec!["the first", "the second", "the third"], |part| {
            assert_ne!(part, "the second", "the second");
        });
    }
}
