//! Authentication while somebody guesses passwords, and while the file of users is rewritten.

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
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

/// A gateway with these users, and a path that needs no password.
async fn guarded(users: &str) -> Gateway {
    Gateway::with(
        "[[site]]
[[site.rule]]
prefix = \"/in\"
auth = { basic = { realm = \"a\", users = \"{folder}/users\" } }
[[site.rule]]
respond = { body = \"in\" }
",
    )
    .beside("users", users)
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
    let quiet = guarded(&users.concat()).await;
    let (alone, _) = log_in(&quiet, 1).await;
    let attacked = guarded(&users.concat()).await;
    let is_over = Arc::new(AtomicBool::new(false));
    let attack = tokio::spawn(guess(attacked.address().clone(), Arc::clone(&is_over)));
    let (beside, free) = log_in(&attacked, 2).await;
    is_over.store(true, Ordering::Relaxed);
    let [wrong, refused] = attack.await.unwrap();
    assert!(
        wrong <= 10 && refused >= 100,
        "{wrong} were checked, {refused} refused"
    );
    // Ten wrong passwords more are ten turns more; no thread that serves hashes.
    let bound = at(&alone, 98) * 10 + Duration::from_secs(1);
    assert!(
        at(&beside, 98) <= bound,
        "{alone:?} alone, {beside:?} beside the attack"
    );
    assert!(
        at(&free, 50) <= at(&alone, 50),
        "{:?} without a password, {alone:?}",
        at(&free, 50)
    );
}

/// Guesses some 300 passwords a second by one client; returns the numbers of 401 and of 429.
async fn guess(address: Address, is_over: Arc<AtomicBool>) -> [usize; 2] {
    let counts = Arc::new([const { AtomicUsize::new(0) }; 2]);
    let mut guesses = JoinSet::new();
    for number in 0..10 {
        let (address, counts) = (address.clone(), Arc::clone(&counts));
        let is_over = Arc::clone(&is_over);
        guesses.spawn(async move {
            let mut pace = interval(Duration::from_millis(33));
            let mut connection = connect([127, 0, 0, 2], &address).await;
            for guess in 0.. {
                pace.tick().await;
                // On a slow machine the first guesses have waited for their turns as long as everybody.
                if is_over.load(Ordering::Relaxed) && counts[1].load(Ordering::Relaxed) >= 100 {
                    return;
                }
                let request = by("user0", &format!("wrong{number}-{guess}"));
                match connection.send(&request).await.status {
                    401 => counts[0].fetch_add(1, Ordering::Relaxed),
                    429 => counts[1].fetch_add(1, Ordering::Relaxed),
                    status => panic!("{status}"),
                };
            }
        });
    }
    guesses.join_all().await;
    [0, 1].map(|index| counts[index].load(Ordering::Relaxed))
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
    let other = entry("-s", "bob", "another");
    let users = |kind| entry(kind, "alice", "right") + &other;
    let texts = ["-s", "-m"].map(users);
    let gateway = guarded(&texts[0]).await;
    let path = gateway.directory().join("users");
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for (from, user, password, status) in [
        (1, "alice", "right", 200),
        (2, "alice", "right", 200),
        (3, "mallory", "right", 401),
    ] {
        let (address, is_over) = (gateway.address().clone(), Arc::clone(&is_over));
        clients.spawn(async move {
            let mut requests = 0;
            while !is_over.load(Ordering::Relaxed) {
                let mut connection = connect([127, 0, 4, from], &address).await;
                let found = connection.send(&by(user, password)).await.status;
                // Who fails ten times is not checked any more.
                assert!(
                    found == status || (status == 401 && found == 429),
                    "{user}: {found}"
                );
                requests += 1;
            }
            requests
        });
    }
    for number in 0..100 {
        rewrite(&path, &texts[number % 2], number % 4 < 2);
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
