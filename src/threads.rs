//! The serving threads. Each has a runtime of its own. A connection stays on its thread with all state of its requests, so
//! that one processor caches it: 11 to 16 % less CPU for a FastCGI request than on threads that steal work from each other.
//! The first thread is that of the process; it also accepts and does maintenance.

mod turns;

use std::cell::{Cell, RefCell};
use std::io;
use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

pub use turns::{TIME_SLICE, Turn, Turns, yield_to_runtime};

/// Index of a serving thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Home(usize);

thread_local! {
    /// `None` on other threads, such as those of tests.
    static HERE: Cell<Option<Home>> = const { Cell::new(None) };
    /// Background tasks, on a serving thread.
    static BACKGROUND: RefCell<Option<TaskTracker>> = const { RefCell::new(None) };
    static IS_ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Spawns a task that outlives its request on this thread; the drain waits for it. A thread that is ending drops the
/// task, as destructors must not start work.
pub fn spawn_background(task: impl Future<Output = ()> + Send + 'static) {
    if is_ending() {
        return;
    }
    match BACKGROUND.with_borrow(Option::clone) {
        Some(tracker) => drop(tracker.spawn(task)),
        None => drop(tokio::spawn(task)),
    }
}

/// Reports whether this thread's runtime is ending, or there is none.
pub fn is_ending() -> bool {
    IS_ENDING.get() || Handle::try_current().is_err()
}

impl Home {
    /// Returns the current thread.
    pub fn here() -> Self {
        HERE.get().unwrap_or_default()
    }

    /// Reports whether the current thread has one runtime for its life.
    pub fn is_lasting() -> bool {
        HERE.get().is_some()
    }

    /// Returns any thread, for tests.
    #[cfg(test)]
    pub const fn of(thread: usize) -> Self {
        Self(thread)
    }
}

/// All serving threads, for distributing connections.
#[derive(Clone, Debug)]
pub struct Threads {
    each: Arc<[Thread]>,
    background: TaskTracker,
}

#[derive(Debug)]
struct Thread {
    runtime: Handle,
    connections: AtomicUsize,
}

/// A connection's place on a thread, released on drop.
#[derive(Debug)]
pub struct Place {
    threads: Threads,
    home: Home,
}

impl Threads {
    /// Returns a place on the thread with the fewest connections.
    pub fn place(&self) -> Place {
        let threads = self.each.iter().enumerate();
        // The first of several: thread 0, which accepts, if it is one of them.
        let fewest = threads.min_by_key(|(_, thread)| thread.connections.load(Ordering::Relaxed));
        let home = Home(fewest.map_or(0, |(home, _)| home));
        let place = Place {
            threads: self.clone(),
            home,
        };
        if let Some(thread) = place.thread() {
            thread.connections.fetch_add(1, Ordering::Relaxed);
        }
        place
    }

    /// Returns the runtimes of all threads.
    pub fn runtimes(&self) -> impl Iterator<Item = &Handle> {
        self.each.iter().map(|thread| &thread.runtime)
    }

    /// Returns the tasks that outlive their requests, to wait for them.
    pub fn background_tasks(&self) -> &TaskTracker {
        &self.background
    }
}

impl Place {
    /// Returns the thread's runtime; `None` for the current thread.
    pub fn other_runtime(&self) -> Option<&Handle> {
        let thread = self.thread().filter(|_| self.home != Home::here());
        thread.map(|thread| &thread.runtime)
    }

    fn thread(&self) -> Option<&Thread> {
        self.threads.each.get(self.home.0)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(thread) = self.thread() {
            thread.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// Returns the number of processors that this process may use, at least one. The first call reads the limit of the control
/// group, which a confined process cannot.
pub fn processors() -> usize {
    static PROCESSORS: OnceLock<usize> = OnceLock::new();
    let count = || thread::available_parallelism().map_or(1, NonZero::get);
    *PROCESSORS.get_or_init(count)
}

/// Runs `serve` with `count` threads, 0 for one a processor; the current thread is the first. Tasks left when `serve` ends
/// are dropped with the runtimes, except those that block a thread longer than 200 ms.
pub fn run<F: Future>(count: usize, serve: impl FnOnce(Threads) -> F) -> io::Result<F::Output> {
    let count = NonZero::new(count).map_or_else(processors, NonZero::get);
    let background = TaskTracker::new();
    let first = runtime(count)?;
    let workers = (1..count)
        .map(|home| Worker::start(Home(home), count, &background))
        .collect::<io::Result<Vec<_>>>()?;
    let handles = workers.iter().map(|worker| &worker.runtime);
    let each = [first.handle()].into_iter().chain(handles);
    let threads = Threads {
        each: each
            .map(|runtime| Thread {
                runtime: runtime.clone(),
                connections: AtomicUsize::new(0),
            })
            .collect(),
        background,
    };
    enter_thread(Home::default(), &threads.background);
    let served = first.block_on(serve(threads));
    let ended: Vec<_> = workers.into_iter().map(Worker::stop).collect();
    shut_down_runtime(first);
    for thread in ended {
        // The panic hook has logged a panic.
        let _ = thread.join();
    }
    Ok(served)
}

/// Marks the current thread as a serving one.
fn enter_thread(home: Home, background: &TaskTracker) {
    HERE.set(Some(home));
    BACKGROUND.set(Some(background.clone()));
}

/// Ends the current thread's `runtime` and all its tasks.
fn shut_down_runtime(runtime: Runtime) {
    IS_ENDING.set(true);
    runtime.shutdown_timeout(END);
}

/// Time limit for blocking tasks at the end.
const END: Duration = Duration::from_millis(200);

/// Threads for blocking work of all runtimes together, such as reading a file that is not in memory.
const BLOCKING: usize = 512;

/// Least number of them for one runtime.
const BLOCKING_EACH: usize = 16;

fn runtime(of: usize) -> io::Result<Runtime> {
    Builder::new_current_thread()
        .max_blocking_threads((BLOCKING / of).max(BLOCKING_EACH))
        .enable_all()
        .build()
}

/// A serving thread other than the first.
struct Worker {
    runtime: Handle,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Worker {
    fn start(home: Home, of: usize, background: &TaskTracker) -> io::Result<Self> {
        let runtime = runtime(of)?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let background = background.clone();
        let serve = move || {
            enter_thread(home, &background);
            // The sender is only dropped.
            let _ = runtime.block_on(stopped);
            shut_down_runtime(runtime);
        };
        let thread = thread::Builder::new()
            .name(format!("fcgate-{}", home.0))
            .spawn(serve)?;
        Ok(Self {
            runtime: handle,
            stop,
            thread,
        })
    }

    fn stop(self) -> JoinHandle<()> {
        drop(self.stop);
        self.thread
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_spread_evenly_and_given_places_that_are_free_again() {
        let counts = run(3, async |threads| {
            let counts = || -> Vec<_> {
                let threads = threads.each.iter();
                threads
                    .map(|thread| thread.connections.load(Ordering::Relaxed))
                    .collect()
            };
            let mut places: Vec<_> = (0..6).map(|_| threads.place()).collect();
            let full = counts();
            let left = places.remove(1);
            assert_eq!(left.home, Home(1));
            drop(left);
            let again = threads.place();
            assert_eq!(again.home, Home(1));
            drop((places, again));
            (full, counts())
        });
        assert_eq!(counts.unwrap(), (vec![2; 3], vec![0; 3]));
    }

    #[test]
    fn destructors_start_no_task_while_a_thread_ends() {
        /// Spawns a task on drop, and reports whether it was dropped at once.
        struct Last(std::sync::mpsc::Sender<bool>);
        impl Drop for Last {
            fn drop(&mut self) {
                let begun = Arc::new(());
                let held = Arc::clone(&begun);
                spawn_background(async move {
                    std::future::pending::<()>().await;
                    drop(held);
                });
                self.0.send(Arc::strong_count(&begun) == 1).unwrap();
            }
        }
        let (sender, dropped) = std::sync::mpsc::channel();
        let tracked = run(2, async |threads| {
            drop(Last(sender.clone()));
            let last = Last(sender);
            spawn_background(async move {
                std::future::pending::<()>().await;
                drop(last);
            });
            threads.background_tasks().len()
        });
        assert_eq!(tracked.unwrap(), 2, "the drain waits for both");
        assert_eq!(dropped.iter().collect::<Vec<_>>(), [false, true]);
    }

    #[test]
    fn a_task_runs_on_the_thread_of_its_place() {
        let homes = run(2, async |threads| {
            let (first, second) = (threads.place(), threads.place());
            assert!(first.other_runtime().is_none());
            let there = second
                .other_runtime()
                .unwrap()
                .spawn(async { Home::here() });
            (Home::here(), there.await.unwrap())
        });
        assert_eq!(homes.unwrap(), (Home(0), Home(1)));
    }
}
