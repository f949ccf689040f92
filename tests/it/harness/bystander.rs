//! A client that wants what anybody wants, and how long it waits for that while others do what they like.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::watch;
use tokio::task::{JoinSet, spawn_blocking};
use tokio::time::{Instant, sleep, timeout};

use super::{Address, Connection, Request, Response};

/// Asks for each of its targets on a new connection, again and again.
#[derive(Clone)]
pub(crate) struct Bystander {
    address: Address,
    targets: Vec<(&'static str, Request)>,
}

/// What it got.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// How long each answer took, by the name of its target, in order of length.
    waits: BTreeMap<&'static str, Vec<Duration>>,
    /// What was no whole 200.
    pub(crate) failures: Vec<String>,
}

/// The address that it comes from: another client than what comes from 127.0.0.1.
pub(crate) const BYSTANDER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));

/// How many ask at once, so that each thread that serves is asked.
const COUNT: usize = 4;

/// Between two rounds of one of them.
const PAUSE: Duration = Duration::from_millis(20);

/// What takes longer is no answer.
const TOO_LONG: Duration = Duration::from_secs(10);

impl Bystander {
    /// One that asks at `address` for these targets, each with a name.
    pub(crate) fn new(address: &Address, targets: Vec<(&'static str, Request)>) -> Self {
        Self {
            address: address.clone(),
            targets,
        }
    }

    /// Asks until `done`, on a thread of its own: what the test does meanwhile makes nobody wait.
    pub(crate) async fn ask_while<T>(&self, done: impl Future<Output = T>) -> (Seen, T) {
        let (ended, ending) = watch::channel(false);
        let bystander = self.clone();
        let asking = spawn_blocking(move || {
            let runtime = Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(bystander.ask(ending))
        });
        let outcome = done.await;
        ended.send_replace(true);
        (asking.await.unwrap(), outcome)
    }

    async fn ask(self, ending: watch::Receiver<bool>) -> Seen {
        let mut tasks = JoinSet::new();
        for _ in 0..COUNT {
            let (bystander, ending) = (self.clone(), ending.clone());
            tasks.spawn(async move {
                let mut seen = Seen::default();
                while !*ending.borrow() {
                    bystander.round(&mut seen).await;
                    sleep(PAUSE).await;
                }
                seen
            });
        }
        let mut seen = Seen::default();
        while let Some(one) = tasks.join_next().await {
            seen.add(one.unwrap());
        }
        seen.waits.values_mut().for_each(|waits| waits.sort());
        seen
    }

    /// The same for so long.
    pub(crate) async fn ask_for(&self, time: Duration) -> Seen {
        self.ask_while(sleep(time)).await.0
    }

    async fn round(&self, seen: &mut Seen) {
        let mut begun = Instant::now();
        let mut connection = match self.connect().await {
            Ok(connection) => connection,
            Err(why) => return seen.failures.push(why),
        };
        for (name, request) in &self.targets {
            let answer = timeout(TOO_LONG, connection.send(request)).await;
            let answer = answer.unwrap_or_else(|_| Response::none());
            if (answer.status, answer.whole) != (200, true) {
                let waited = begun.elapsed();
                let status = answer.status;
                return seen
                    .failures
                    .push(format!("{name}: status {status} after {waited:?}"));
            }
            seen.waits.entry(name).or_default().push(begun.elapsed());
            begun = Instant::now();
            if answer.header("connection") == Some("close") {
                connection = match self.connect().await {
                    Ok(connection) => connection,
                    Err(why) => return seen.failures.push(why),
                };
            }
        }
    }

    async fn connect(&self) -> Result<Connection, String> {
        let connecting = self.address.connect_from(BYSTANDER, None);
        let stream = timeout(TOO_LONG, connecting).await;
        let stream = stream.map_err(|_| "no connection in time".to_owned())?;
        let stream = stream.map_err(|error| format!("no connection: {error}"))?;
        Ok(Connection::over(stream))
    }
}

impl Seen {
    fn add(&mut self, other: Self) {
        for (name, waits) in other.waits {
            self.waits.entry(name).or_default().extend(waits);
        }
        self.failures.extend(other.failures);
    }

    /// The names of what it asked for and got.
    pub(crate) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.waits.keys().copied()
    }

    /// How often it got `name`.
    pub(crate) fn count(&self, name: &str) -> usize {
        self.waits.get(name).map_or(0, Vec::len)
    }

    /// What this share of the waits for `name` did not exceed.
    pub(crate) fn wait(&self, name: &str, percent: usize) -> Duration {
        let waits = self.waits.get(name).map_or(&[][..], Vec::as_slice);
        let last = waits.len().saturating_sub(1);
        waits.get(last * percent / 100).copied().unwrap_or(TOO_LONG)
    }
}
