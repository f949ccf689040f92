//! Load: clients that ask again and again, what they got, and how long they waited.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use super::{Address, Connection, Request};

/// What clients got.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// How often each status came; 0 is a connection that broke before an answer.
    pub(crate) statuses: BTreeMap<u16, usize>,
    /// Answers of which the end did not come.
    pub(crate) broken: usize,
    /// Answers that announced no time to come back though they are a 503.
    pub(crate) without_retry_after: usize,
    /// How long each whole 200 took, in order of length.
    pub(crate) waits: Vec<Duration>,
    /// The same for all else.
    pub(crate) refusals: Vec<Duration>,
    /// From the first request to the last answer.
    pub(crate) time: Duration,
}

impl Tally {
    /// Fails unless there is nothing but whole 200s, and at least one.
    #[track_caller]
    pub(crate) fn all_well(&self) {
        assert!(
            self.statuses.keys().eq([&200]) && self.broken == 0,
            "{:?}, broken: {}",
            self.statuses,
            self.broken
        );
    }

    pub(crate) fn answered(&self) -> usize {
        self.waits.len()
    }

    /// Whole 200s a second.
    pub(crate) fn rate(&self) -> f64 {
        f64::from(u32::try_from(self.answered()).unwrap()) / self.time.as_secs_f64()
    }

    /// The wait that this share of the answers did not exceed.
    pub(crate) fn wait(&self, percent: usize) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        self.waits
            .get(last * percent / 100)
            .copied()
            .unwrap_or_default()
    }

    fn add(&mut self, other: Self) {
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.broken += other.broken;
        self.without_retry_after += other.without_retry_after;
        self.waits.extend(other.waits);
        self.refusals.extend(other.refusals);
    }
}

/// Clients, and how they ask.
#[derive(Clone, Debug)]
pub(crate) struct Clients {
    method: &'static str,
    target: String,
    count: usize,
    pause: Duration,
}

impl Clients {
    /// `count` clients that ask for `target` with `?n=CLIENT-NUMBER`, each again as soon as it is answered.
    pub(crate) fn get(target: &str, count: usize) -> Self {
        Self {
            method: "GET",
            target: target.to_owned(),
            count,
            pause: Duration::ZERO,
        }
    }

    pub(crate) fn post(target: &str, count: usize) -> Self {
        Self {
            method: "POST",
            ..Self::get(target, count)
        }
    }

    /// Each waits so long between an answer and its next request.
    pub(crate) fn pausing(self, pause: Duration) -> Self {
        Self { pause, ..self }
    }

    /// Lets them ask until `done`.
    pub(crate) async fn ask(&self, address: &Address, done: impl Future<Output = ()>) -> Tally {
        let begun = Instant::now();
        let ended = Arc::new(AtomicBool::new(false));
        let mut tasks = JoinSet::new();
        for client in 0..self.count {
            let (clients, address, ended) = (self.clone(), address.clone(), Arc::clone(&ended));
            tasks.spawn(async move { clients.one(client, &address, &ended).await });
        }
        done.await;
        ended.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        while let Some(one) = tasks.join_next().await {
            tally.add(one.unwrap());
        }
        tally.time = begun.elapsed();
        tally.waits.sort_unstable();
        tally.refusals.sort_unstable();
        tally
    }

    /// The same for so long.
    pub(crate) async fn ask_for(&self, address: &Address, time: Duration) -> Tally {
        self.ask(address, sleep(time)).await
    }

    async fn one(&self, client: usize, address: &Address, ended: &AtomicBool) -> Tally {
        let mut tally = Tally::default();
        let mut connection = Connection::open(address).await;
        let mut number = 0;
        while !ended.load(Ordering::Relaxed) {
            let target = format!("{}?n={client}-{number}", self.target);
            let begun = Instant::now();
            let response = connection.send(&Request::new(self.method, &target)).await;
            let took = begun.elapsed();
            *tally.statuses.entry(response.status).or_default() += 1;
            match (response.status, response.whole) {
                (200, true) => tally.waits.push(took),
                (_, true) => tally.refusals.push(took),
                (_, false) => tally.broken += 1,
            }
            let told = response.header("retry-after").is_some();
            tally.without_retry_after += usize::from(response.status == 503 && !told);
            if !response.whole || response.header("connection") == Some("close") {
                connection = Connection::open(address).await;
            }
            number += 1;
            if !ended.load(Ordering::Relaxed) {
                sleep(self.pause).await;
            }
        }
        tally
    }
}

/// Fails unless `rate` comes close to the `ideal`: to a tenth in `make soak`, which has the machine to itself. In `make
/// test` other tests and other machines take the processor from the gateway, and the figure is printed.
#[track_caller]
pub(crate) fn check_close(rate: f64, ideal: f64) {
    let share = if soak_time().is_some() { 0.9 } else { 0.7 };
    println!("{rate:.1} a second of {ideal:.1}");
    assert!(rate >= ideal * share, "{rate:.1} a second of {ideal:.1}");
}

/// How long a test loads: `seconds` in `make test`, FCGATE_SOAK_SECONDS in `make soak`.
pub(crate) fn load_time(seconds: u64) -> Duration {
    soak_time().unwrap_or_else(|| Duration::from_secs(seconds))
}

/// How long a test of `make soak` loads; `None` in `make test`.
pub(crate) fn soak_time() -> Option<Duration> {
    let seconds = std::env::var("FCGATE_SOAK_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().unwrap()))
}

/// So many in `make test`, and so many in `make soak`.
pub(crate) fn scale(test: usize, soak: usize) -> usize {
    soak_time().map_or(test, |_| soak)
}

/// Tests that load the machine run one after another, within one process too; .config/nextest.toml does the same for
/// processes.
pub(crate) async fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::const_new(());
    ALONE.lock().await
}
