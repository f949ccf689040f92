//! Workers of PHP that come and go: no request is lost, and none runs twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::task::JoinSet;

use crate::harness::php_fpm::Setup;
use crate::harness::{Connection, Gateway, PATIENCE, Request, eventually};

/// Appends the number of the request to a file, and prints it.
const COUNTED: &str = "<?php file_put_contents(__DIR__ . '/count', $_GET['n'] . \"\\n\", FILE_APPEND | LOCK_EX); echo $_GET['n'];";

/// Each of `clients` clients sends requests one after another until `done`; fails unless all are answered well.
async fn answered_until_done(
    gateway: &Gateway,
    method: &'static str,
    clients: usize,
    done: impl Future<Output = ()>,
) -> usize {
    let ended = Arc::new(AtomicBool::new(false));
    let mut tasks = JoinSet::new();
    for client in 0..clients {
        let (address, ended) = (gateway.address().clone(), Arc::clone(&ended));
        tasks.spawn(async move {
            let mut connection = Connection::open(&address).await;
            let mut number = 0;
            while !ended.load(Ordering::Relaxed) {
                let name = format!("{client}-{number}");
                let response = connection
                    .send(&Request::new(method, &format!("/count.php?n={name}")))
                    .await;
                assert_eq!((response.status, response.text()), (200, name));
                number += 1;
            }
            number
        });
    }
    done.await;
    ended.store(true, Ordering::Relaxed);
    tasks.join_all().await.into_iter().sum()
}

#[tokio::test]
async fn workers_that_leave_after_a_few_requests_cost_nobody_an_answer() {
    let php = Setup::new(2).line("pm.max_requests = 3").start().await;
    php.write("count.php", COUNTED);
    let gateway = Gateway::start(&php.site()).await;
    let count = || std::fs::read_to_string(php.root().join("count")).unwrap_or_default();
    let enough = eventually("enough requests", PATIENCE, async || {
        count().lines().count() >= 80
    });
    answered_until_done(&gateway, "GET", 4, enough).await;
}

#[tokio::test]
async fn a_post_runs_once_whatever_the_workers_do() {
    let php = Setup::new(2).line("pm.max_requests = 3").start().await;
    php.write("count.php", COUNTED);
    let gateway = Gateway::start(&php.site()).await;
    let count = || std::fs::read_to_string(php.root().join("count")).unwrap_or_default();
    let enough = eventually("enough requests", PATIENCE, async || {
        count().lines().count() >= 80
    });
    let answered = answered_until_done(&gateway, "POST", 4, enough).await;
    let text = count();
    let mut executed: Vec<_> = text.lines().collect();
    executed.sort_unstable();
    executed.dedup();
    assert_eq!((text.lines().count(), executed.len()), (answered, answered));
}

#[tokio::test]
async fn a_reload_of_php_is_latency_and_not_errors() {
    let php = Setup::new(2).start().await;
    php.write("count.php", COUNTED);
    let gateway = Gateway::start(&php.site()).await;
    let count = || {
        std::fs::read_to_string(php.root().join("count"))
            .unwrap_or_default()
            .lines()
            .count()
    };
    let reloads = async {
        for _ in 0..5 {
            php.reload().await;
            // A request that two reloads in a row kill is given up: each gets through before the next.
            let before = count();
            eventually("more requests", PATIENCE, async || count() >= before + 50).await;
        }
    };
    answered_until_done(&gateway, "GET", 6, reloads).await;
}
