//! The verifier with its threads. Jobs wait at a gate of the test, so that nothing depends on the time of a hash.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Condvar, Mutex};
use std::thread;

use futures_util::future::join_all;
use tokio::time::timeout;

use super::*;
use crate::limits::budget::Over;
use crate::limits::rate::Client;

const MINUTE: Duration = Duration::from_mins(1);

fn verifier(at_once: usize, queue_length: usize) -> Verifier {
    Verifier::new(Hashing {
        at_once,
        queue_length,
    })
}

/// A request of a client, with a limit of 2 wrong passwords, whose pair is remembered for a minute.
fn request(client: u8, password: &str) -> VerifyRequest<'_> {
    let address = std::net::Ipv4Addr::new(192, 0, 2, client);
    VerifyRequest {
        pair: Pair {
            file: b"/etc/users",
            user: b"alice",
            password: password.as_bytes(),
            entry: b"$2y$05$abc",
        },
        client: Party::Client(Client::new(address.into())),
        is_shared: false,
        per_minute: 2,
        remember: MINUTE,
    }
}

/// A gate that jobs wait at, and how many are there.
#[derive(Default)]
struct Gate {
    open: Mutex<usize>,
    changed: Condvar,
    begun: AtomicUsize,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Gate {
    /// Returns a job that ends with `verdict` when the gate lets it pass.
    fn job(self: &Arc<Self>, verdict: Verdict) -> impl FnOnce() -> Verdict + Send + use<> {
        let gate = Arc::clone(self);
        move || {
            gate.begun.fetch_add(1, Ordering::SeqCst);
            let inside = gate.inside.fetch_add(1, Ordering::SeqCst) + 1;
            gate.most.fetch_max(inside, Ordering::SeqCst);
            let open = gate.open.lock().unwrap();
            *gate.changed.wait_while(open, |open| *open == 0).unwrap() -= 1;
            gate.inside.fetch_sub(1, Ordering::SeqCst);
            verdict
        }
    }

    fn pass(&self, count: usize) {
        *self.open.lock().unwrap() += count;
        self.changed.notify_all();
    }
}

/// Waits until `holds`.
async fn until(verifier: &Verifier, holds: impl Fn(&Numbers) -> bool) {
    let wait = async {
        while !holds(&verifier.numbers()) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let waited = timeout(MINUTE, wait).await;
    assert!(waited.is_ok(), "{verifier:?}");
}

#[tokio::test]
async fn jobs_run_on_threads_of_their_own_and_no_more_at_once_than_allowed() {
    let (verifier, gate) = (verifier(2, 100), Arc::new(Gate::default()));
    let checks = (0..10).map(|client| {
        let (verifier, job) = (verifier.clone(), gate.job(Verdict::Right));
        let job = move || {
            assert_eq!(thread::current().name(), Some("fcgate-hash"));
            job()
        };
        tokio::spawn(async move { verifier.run(&request(client, "secret"), job).await })
    });
    let each: Vec<_> = checks.collect();
    // One pair of ten clients: the first check decides for all, and those that have not begun are spared theirs.
    until(&verifier, |it| it.hashing == 2 && it.waiting == 8).await;
    gate.pass(2);
    for verdict in join_all(each).await {
        assert_eq!(verdict.unwrap(), Ok(Verdict::Right));
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 2);
    let numbers = verifier.numbers();
    assert_eq!((numbers.right, numbers.remembered), (2, 8));
}

#[tokio::test]
async fn a_request_whose_client_leaves_is_not_hashed() {
    let (verifier, gate) = (verifier(1, 100), Arc::new(Gate::default()));
    let spawn = |client| {
        let (verifier, job) = (verifier.clone(), gate.job(Verdict::Wrong));
        tokio::spawn(async move { verifier.run(&request(client, "wrong"), job).await })
    };
    let (first, second) = (spawn(1), spawn(2));
    until(&verifier, |it| (it.hashing, it.waiting) == (1, 1)).await;
    // Neither the one that waits nor the one that runs delays others, and the latter counts.
    second.abort();
    first.abort();
    until(&verifier, |it| (it.hashing, it.waiting) == (1, 0)).await;
    gate.pass(1);
    until(&verifier, |it| (it.hashing, it.wrong) == (0, 1)).await;
    assert_eq!(gate.begun.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_full_queue_refuses_and_says_when_to_return() {
    let (verifier, gate) = (verifier(1, 2), Arc::new(Gate::default()));
    let spawn = |client| {
        let (verifier, job) = (verifier.clone(), gate.job(Verdict::Right));
        tokio::spawn(async move { verifier.run(&request(client, "secret"), job).await })
    };
    let first = spawn(1);
    until(&verifier, |it| it.hashing == 1).await;
    let second = spawn(1);
    until(&verifier, |it| it.waiting == 1).await;
    let busy = |over| {
        Err(Rejected::Busy {
            over,
            length: 2,
            retry_after: 1,
        })
    };
    assert_eq!(spawn(1).await.unwrap(), busy(Over::Client));
    let third = spawn(2);
    until(&verifier, |it| it.waiting == 2).await;
    assert_eq!(spawn(3).await.unwrap(), busy(Over::Total));
    assert_eq!(verifier.numbers().refused_queue, 2);
    gate.pass(3);
    for served in [first, second, third] {
        assert_eq!(served.await.unwrap(), Ok(Verdict::Right));
    }
}

#[tokio::test]
async fn wrong_passwords_sent_at_once_do_not_exceed_the_limit() {
    let (verifier, gate) = (verifier(8, 100), Arc::new(Gate::default()));
    let texts: Vec<_> = (0..20).map(|number| format!("wrong {number}")).collect();
    let checks = texts.into_iter().map(|password| {
        let (verifier, job) = (verifier.clone(), gate.job(Verdict::Wrong));
        tokio::spawn(async move { verifier.run(&request(1, &password), job).await })
    });
    let each: Vec<_> = checks.collect();
    until(&verifier, |it| it.hashing == 2 && it.waiting == 18).await;
    gate.pass(2);
    let verdicts: Vec<_> = join_all(each)
        .await
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let wrong = verdicts.iter().filter(|it| **it == Ok(Verdict::Wrong));
    assert_eq!(wrong.count(), 2);
    let is_refused = |it: &&Result<Verdict, Rejected>| matches!(it, Err(Rejected::Attempts { per_minute: 2, wait }) if *wait <= MINUTE);
    assert_eq!(verdicts.iter().filter(is_refused).count(), 18);
    assert_eq!(gate.begun.load(Ordering::SeqCst), 2);
    assert_eq!(verifier.numbers().refused_attempts, 18);
    // Another client, and another file of users.
    gate.pass(2);
    let mut elsewhere = request(1, "secret");
    elsewhere.pair.file = b"/etc/others";
    for other in [request(2, "secret"), elsewhere] {
        let verdict = verifier.run(&other, gate.job(Verdict::Right)).await;
        assert_eq!(verdict, Ok(Verdict::Right));
    }
}

#[tokio::test]
async fn a_remembered_pair_is_never_refused() {
    let verifier = verifier(1, 100);
    let known = request(1, "secret");
    let now = Instant::now();
    assert!(!verifier.is_remembered(&known.pair, MINUTE, now));
    assert_eq!(
        verifier.run(&known, || Verdict::Right).await,
        Ok(Verdict::Right)
    );
    for _ in 0..2 {
        let wrong = verifier.run(&request(1, "wrong"), || Verdict::Wrong).await;
        assert_eq!(wrong, Ok(Verdict::Wrong));
    }
    let refused = verifier.run(&request(1, "other"), || Verdict::Right).await;
    assert!(
        matches!(refused, Err(Rejected::Attempts { .. })),
        "{refused:?}"
    );
    assert!(verifier.is_remembered(&known.pair, MINUTE, Instant::now()));
    let again = verifier.run(&known, || panic!("hashed again")).await;
    assert_eq!(again, Ok(Verdict::Right));
    // Wrong ones are not remembered, and with zero nothing is.
    assert!(!verifier.is_remembered(&request(1, "wrong").pair, MINUTE, Instant::now()));
    assert!(!verifier.is_remembered(&known.pair, Duration::ZERO, Instant::now()));
    let mut unremembered = request(2, "secret");
    unremembered.remember = Duration::ZERO;
    unremembered.pair.file = b"/etc/others";
    assert_eq!(
        verifier.run(&unremembered, || Verdict::Right).await,
        Ok(Verdict::Right)
    );
    assert!(!verifier.is_remembered(&unremembered.pair, MINUTE, Instant::now()));
}

#[tokio::test]
async fn a_pair_that_is_remembered_while_it_waits_is_not_refused() {
    let (verifier, gate) = (verifier(8, 100), Arc::new(Gate::default()));
    let spawn = |password| {
        let (verifier, job) = (verifier.clone(), gate.job(Verdict::Wrong));
        tokio::spawn(async move { verifier.run(&request(1, password), job).await })
    };
    let wrong = [spawn("wrong"), spawn("other")];
    until(&verifier, |it| it.hashing == 2).await;
    let waiting = spawn("secret");
    until(&verifier, |it| it.waiting == 1).await;
    let elsewhere = verifier.run(&request(2, "secret"), || Verdict::Right).await;
    assert_eq!(elsewhere, Ok(Verdict::Right));
    gate.pass(2);
    for verdict in join_all(wrong).await {
        assert_eq!(verdict.unwrap(), Ok(Verdict::Wrong));
    }
    assert_eq!(waiting.await.unwrap(), Ok(Verdict::Right));
    assert_eq!(verifier.numbers().refused_attempts, 0);
}

#[tokio::test]
async fn connections_without_an_address_count_by_user() {
    let verifier = verifier(1, 100);
    let wrong = |connection, user: &'static str| {
        let mut request = request(1, "wrong");
        request.client = Party::Connection(connection);
        request.pair.user = user.as_bytes();
        let verifier = verifier.clone();
        async move { verifier.run(&request, || Verdict::Wrong).await }
    };
    for connection in 0..2 {
        assert_eq!(wrong(connection, "alice").await, Ok(Verdict::Wrong));
    }
    assert!(matches!(
        wrong(3, "alice").await,
        Err(Rejected::Attempts { .. })
    ));
    assert_eq!(wrong(4, "bob").await, Ok(Verdict::Wrong));
    // So do clients behind an untrusted proxy.
    let behind = |user: &'static str| {
        let mut request = request(1, "wrong");
        request.is_shared = true;
        request.pair.user = user.as_bytes();
        let verifier = verifier.clone();
        async move { verifier.run(&request, || Verdict::Wrong).await }
    };
    for _ in 0..2 {
        assert_eq!(behind("alice").await, Ok(Verdict::Wrong));
    }
    assert!(matches!(
        behind("alice").await,
        Err(Rejected::Attempts { .. })
    ));
    assert_eq!(behind("bob").await, Ok(Verdict::Wrong));
}

#[tokio::test]
async fn a_panic_is_an_error_of_its_request_and_an_attempt() {
    let verifier = verifier(1, 100);
    for _ in 0..2 {
        let panicked = verifier
            .run(&request(1, "odd"), || panic!("a bug of the test"))
            .await;
        assert_eq!(panicked, Err(Rejected::Panicked));
    }
    let refused = verifier.run(&request(1, "odd"), || Verdict::Right).await;
    assert!(
        matches!(refused, Err(Rejected::Attempts { .. })),
        "{refused:?}"
    );
    let other = verifier.run(&request(2, "secret"), || Verdict::Right).await;
    assert_eq!(other, Ok(Verdict::Right));
}

#[tokio::test]
async fn a_reload_changes_the_size() {
    let (verifier, gate) = (verifier(1, 100), Arc::new(Gate::default()));
    let checks = (0..6).map(|client| {
        let (verifier, job) = (verifier.clone(), gate.job(Verdict::Wrong));
        tokio::spawn(async move { verifier.run(&request(client, "wrong"), job).await })
    });
    let each: Vec<_> = checks.collect();
    until(&verifier, |it| it.hashing == 1 && it.waiting == 5).await;
    let set = |at_once| {
        verifier.set(Hashing {
            at_once,
            queue_length: 100,
        });
    };
    set(3);
    until(&verifier, |it| it.hashing == 3 && it.waiting == 3).await;
    set(2);
    gate.pass(2);
    // One is gone, and another has come in the place of the second.
    until(&verifier, |it| it.wrong == 2 && it.hashing == 2).await;
    assert_eq!(verifier.numbers().waiting, 2);
    gate.pass(4);
    for verdict in join_all(each).await {
        assert_eq!(verdict.unwrap(), Ok(Verdict::Wrong));
    }
    assert_eq!(gate.most.load(Ordering::SeqCst), 3);
}
