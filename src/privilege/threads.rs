//! The number of threads of this process.

use std::fs;
use std::io;
use std::thread::sleep;
use std::time::Duration;

/// Time for threads that have returned to end: joining a scope does not wait for the kernel to remove them.
const PATIENCE: Duration = Duration::from_secs(1);

/// Pause between two looks.
const PAUSE: Duration = Duration::from_millis(1);

/// Returns as soon as this thread is the only one; fails with the number of threads otherwise.
pub(super) fn wait_until_alone() -> io::Result<()> {
    let mut left = PATIENCE;
    loop {
        let threads = fs::read_dir("/proc/self/task")?.count();
        if threads == 1 {
            return Ok(());
        }
        if left.is_zero() {
            let text = format!("{threads} threads run, and rights are given up thread by thread");
            return Err(io::Error::other(text));
        }
        sleep(PAUSE);
        left = left.saturating_sub(PAUSE);
    }
}
