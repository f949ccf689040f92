//! Authentication while somebody guesses passwords, and while the file of users is rewritten.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::future::join_all;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep};

use crate::harness::process::find_program;
use crate::harness::{Address, Connection, Gateway, Request};

/// Returns the entry of a user, as htpasswd writes it with this option.
fn entry(option: &str, user: &str, password: &str) -> String {
    let mut command = Command::new(find_program(&["htpasswd"]));
    // The cost is that of bcrypt alone.
    let output = command
        .args(["-nb", option, "-C", "8", user, password])
        .output();
    let text = String::from_utf8(output.unwrap().stdout).unwrap();
    format!("{}\n", text.trim())
}

fn by(user: &str, password: &str) -> Request {
    let credentials = STANDARD.encode(format!("{user}:{password}"));
    Request::get("/in").field("Authorization", &format!("Basic {credentials}"))
}

async fn connect(from: [u8; 4], address: &Address) -> Connection {
    let stream = address
        .connect_from(Ipv4Addr::from(from).into(), None)
        .await;
    Connection::over(stream.unwrap())
}

/// A gateway with these users and keys of `basic`, and a path that needs no password.
async fn guarded(users: &str, keys: &str) -> Gateway {
    Gateway::with(&format!(
        "[[site]]
[[site.rule]]
prefix = \"/in\"
auth = {{ basic = {{ realm = \"a\", users = \"{{folder}}/users\"{keys} }} }}
[[site.rule]]
respond = {{ body = \"in\" }}
",
    ))
    .beside("users", users)
    .admin()
    .start()
    .await
}

const OTHERS: u8 = 50;

/// Returns the times of 50 clients that log in within a second, sorted, and of requests without a password meanwhile.
async fn log_in(gateway: &Gateway, network: u8) -> (Vec<Duration>, Vec<Duration>) {
    let mut logins = JoinSet::new();
    for number in 0..OTHERS {
        let address = gateway.address().clone();
        logins.spawn(async move {
            sleep(Duration::from_millis(20) * u32::from(number)).await;
            let begun = Instant::now();
            let mut connection = connect([127, 0, network, 1 + number], &address).await;
            let response = connection
                .send(&by(&format!("user{number}"), "right"))
                .await;
            assert_eq!(response.status, 200, "user{number}: {}", response.text());
            begun.elapsed()
        });
    }
    let mut free = Vec::new();
    let mut connection = connect([127, 0, 3, 1], gateway.address()).await;
    let mut times = Vec::new();
    while !logins.is_empty() {
        let begun = Instant::now();
        assert_eq!(connection.send(&Request::get("/")).await.status, 200);
        free.push(begun.elapsed());
        if let Ok(Some(ended)) =
            tokio::time::timeout(Duration::from_millis(5), logins.join_next()).await
        {
            times.push(ended.unwrap());
        }
    }
    times.sort();
    free.sort();
    (times, free)
}

fn at(times: &[Duration], percent: usize) -> Duration {
    times[(times.len() - 1) * percent / 100]
}

#[tokio::test]
async fn who_guesses_passwords_holds_up_nobody() {
    let first = entry("-B", "user0", "right");
    let (_, hash) = first.trim().split_once(':').unwrap();
    let users: Vec<_> = (0..OTHERS)
        .map(|number| format!("user{number}:{hash}\n"))
        .collect();
    // Two gateways, as passwords are remembered.
    let quiet = guarded(&users.concat(), "").await;
    let (alone, _) = log_in(&quiet, 1).await;
    let attacked = guarded(&users.concat(), "").await;
    let address = attacked.address();
    // Its ten wrong passwords are used up before, so that each guess has its answer at once.
    let first = GUESSERS.map(|number| guess(address.clone(), number));
    assert_eq!(join_all(first).await, [401; 10]);
    let is_over = Arc::new(AtomicBool::new(false));
    let attack = tokio::spawn(attack(address.clone(), Arc::clone(&is_over)));
    let (beside, free) = log_in(&attacked, 2).await;
    is_over.store(true, Ordering::Relaxed);
    let (refused, time) = attack.await.unwrap();
    // A machine too busy for 300 a second has no less to do.
    assert!(refused > 30, "{refused} guesses in {time:?}");
    let bound = at(&alone, 100) * 10 + Duration::from_secs(1);
    assert!(
        at(&beside, 100) <= bound,
        "{alone:?} alone, {beside:?} beside {refused} guesses"
    );
    // No thread that serves hashes.
    assert!(
        at(&free, 50) <= at(&alone, 50),
        "{free:?} without a password, {alone:?}"
    );
    let lag = mean_lag(&attacked).await;
    assert!(lag <= at(&alone, 50), "{lag:?} of lag, {alone:?}");
}

/// Returns the mean delay of the threads that serve.
async fn mean_lag(gateway: &Gateway) -> Duration {
    let metrics = gateway.ask("/metrics").await.text();
    let total = |name: &str| -> f64 {
        let lines = metrics.lines().filter(|line| line.starts_with(name));
        let values = lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap());
        values.sum()
    };
    let count = total("fcgate_loop_lag_seconds_count");
    assert!(count > 0.0, "{metrics}");
    Duration::from_secs_f64(total("fcgate_loop_lag_seconds_sum") / count)
}

const GUESSERS: [u32; 10] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];

/// Sends a wrong password from the attacker's address, and returns the status.
async fn guess(address: Address, number: u32) -> u16 {
    let mut connection = connect([127, 0, 0, 2], &address).await;
    let request = by("user0", &format!("wrong{number}"));
    connection.send(&request).await.status
}

/// Guesses 300 passwords a second by one client, by a schedule that waits for no answer; returns the number and the time.
async fn attack(address: Address, is_over: Arc<AtomicBool>) -> (u32, Duration) {
    let begun = Instant::now();
    let mut pace = interval(Duration::from_micros(3333));
    let mut guesses = JoinSet::new();
    for number in 10.. {
        pace.tick().await;
        if is_over.load(Ordering::Relaxed) {
            break;
        }
        guesses.spawn(guess(address.clone(), number));
    }
    let statuses = guesses.join_all().await;
    assert!(statuses.iter().all(|status| *status == 429), "{statuses:?}");
    (u32::try_from(statuses.len()).unwrap(), begun.elapsed())
}

/// Writes the file in place, as htpasswd does, or by a rename.
fn rewrite(path: &Path, text: &str, in_place: bool) {
    if in_place {
        fs::write(path, text).unwrap();
    } else {
        let new = path.with_extension("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, path).unwrap();
    }
}

#[tokio::test]
async fn a_file_that_is_rewritten_never_lets_the_wrong_ones_in() {
    // Each rewrite has new hashes of the same password, in turn by both kinds, and all are hashed at each request.
    let keys = ", attempts = { per_minute = 0 }, remember = \"0s\"";
    let text = |kind| entry(kind, "alice", "right") + &entry("-m", "bob", "another");
    let gateway = guarded(&text("-s"), keys).await;
    let path = gateway.directory().join("users");
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for (from, user, password, status) in [
        (1, "alice", "right", 200),
        (2, "alice", "right", 200),
        (3, "mallory", "right", 401),
        (4, "bob", "right", 401),
    ] {
        let (address, is_over) = (gateway.address().clone(), Arc::clone(&is_over));
        clients.spawn(async move {
            let mut requests = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut connection = connect([127, 0, 4, from], &address).await;
                let found = connection.send(&by(user, password)).await.status;
                assert_eq!(found, status, "{user}");
                requests += 1;
            }
            requests
        });
    }
    for number in 0..100 {
        let kind = if number % 2 == 0 { "-m" } else { "-s" };
        rewrite(&path, &text(kind), number % 4 < 2);
        // The pace of the changes: some settle, others do not.
        sleep(Duration::from_millis(if number % 5 == 0 {
            150
        } else {
            10
        }))
        .await;
    }
    is_over.store(true, Ordering::Relaxed);
    let requests: Vec<i32> = clients.join_all().await;
    assert!(requests.iter().all(|count| *count > 20), "{requests:?}");
}
