//! The facts that admission stands on, shown on PHP itself with no gateway in between. Where one of them does not
//! hold any more, ARCHITECTURE.md's "Admission by acknowledgement" is built on sand.

use crate::harness::application::php_cgi;
use crate::harness::php_fpm::{Setup, free_port};
use crate::harness::{Address, Direct, PATIENCE, PhpFpm, eventually};

/// Works until the test writes `go`, and tells when it began.
const WAITING: &str = "<?php touch(__DIR__ . '/begun'); while (!file_exists(__DIR__ . '/go')) { usleep(1000); clearstatcache(); } echo 'waited';";

const COUNTED: &str =
    "<?php file_put_contents(__DIR__ . '/count', 'x', FILE_APPEND); echo 'counted';";

/// The pool with scripts that wait and that are counted.
fn with_scripts(setup: Setup) -> Setup {
    setup
        .file("waiting.php", WAITING)
        .file("count.php", COUNTED)
}

/// Occupies a worker until `go` is there.
async fn occupy(php: &PhpFpm) -> Direct {
    let mut busy = Direct::open(php.address()).await;
    busy.request(&php.root().join("waiting.php"), "").await;
    eventually("the script begins", PATIENCE, async || {
        php.root().join("begun").exists()
    })
    .await;
    busy
}

fn executed(php: &PhpFpm) -> usize {
    std::fs::read(php.root().join("count")).map_or(0, |count| count.len())
}

fn setups() -> [(&'static str, Setup); 4] {
    let dynamic =
        "pm = dynamic\npm.start_servers = 1\npm.min_spare_servers = 1\npm.max_spare_servers = 1";
    [
        ("static, unix", Setup::new(1)),
        ("static, tcp", Setup::new(1).tcp()),
        ("ondemand", Setup::new(1).line("pm = ondemand")),
        ("dynamic", Setup::new(1).line(dynamic)),
    ]
}

#[tokio::test]
async fn a_free_worker_acknowledges_and_serves_on() {
    for (name, setup) in setups() {
        let php = with_scripts(setup).start().await;
        let script = php.root().join("count.php");
        let mut connection = Direct::open(php.address()).await;
        for _ in 0..3 {
            connection.probe().await;
            connection.acknowledged().await;
        }
        for served in 1..=3 {
            connection.request(&script, "").await;
            assert_eq!(connection.answer().await, "counted", "{name}");
            assert_eq!(executed(&php), served, "{name}");
            connection.probe().await;
            connection.acknowledged().await;
        }
    }
}

#[tokio::test]
async fn a_busy_worker_acknowledges_when_it_is_free() {
    for (name, setup) in setups() {
        let php = with_scripts(setup).start().await;
        let mut busy = occupy(&php).await;
        let mut waiting = Direct::open(php.address()).await;
        waiting
            .probed_request(&php.root().join("count.php"), "")
            .await;
        assert!(waiting.is_silent().await, "{name}: the worker is at work");
        php.write("go", "");
        assert_eq!(busy.answer().await, "waited", "{name}");
        assert!(
            waiting.is_silent().await,
            "{name}: a kept connection keeps its worker"
        );
        assert_eq!(executed(&php), 0, "{name}");
        drop(busy);
        waiting.acknowledged().await;
        assert_eq!(waiting.answer().await, "counted", "{name}");
    }
}

#[tokio::test]
async fn what_leaves_the_backlog_behind_a_probe_is_not_executed() {
    for (name, setup) in setups() {
        let is_tcp = name.ends_with("tcp");
        let php = with_scripts(setup).start().await;
        let script = php.root().join("count.php");
        let busy = occupy(&php).await;
        let mut bare = Direct::open(php.address()).await;
        bare.probe().await;
        drop(bare);
        if !is_tcp {
            let mut whole = Direct::open(php.address()).await;
            whole.probed_request(&script, "").await;
            drop(whole);
        }
        php.write("go", "");
        drop(busy);
        let mut last = Direct::open(php.address()).await;
        last.request(&script, "").await;
        last.answer().await;
        assert_eq!(
            executed(&php),
            1,
            "{name}: FPM's queue is FIFO, and only the last was there to be served"
        );
    }
}

#[tokio::test]
async fn a_kept_connection_takes_its_worker_from_everybody() {
    let php = with_scripts(Setup::new(1)).start().await;
    let script = php.root().join("count.php");
    let mut kept = Direct::open(php.address()).await;
    kept.request(&script, "").await;
    kept.answer().await;
    let mut other = Direct::open(php.address()).await;
    other.request(&script, "").await;
    assert!(
        other.is_silent().await,
        "idle, and yet nobody else is served"
    );
    drop(kept);
    assert_eq!(other.answer().await, "counted");
}

#[tokio::test]
async fn the_end_of_a_request_is_not_a_free_worker() {
    // Only an acknowledgement is: docs/internals/php-fpm.md, "After the answer".
    let php = with_scripts(Setup::new(1)).start().await;
    let finished = "<?php echo 'early'; fastcgi_finish_request(); require 'waiting.php';";
    php.write("finished.php", finished);
    let mut connection = Direct::open(php.address()).await;
    connection
        .request(&php.root().join("finished.php"), "")
        .await;
    assert_eq!(connection.answer().await, "early");
    connection.probe().await;
    assert!(connection.is_silent().await);
    php.write("go", "");
    connection.acknowledged().await;
}

#[tokio::test]
async fn php_cgi_acknowledges_too() {
    let directory = tempfile::tempdir().unwrap();
    let script = directory.path().join("hello.php");
    std::fs::write(&script, "<?php echo 'hello';").unwrap();
    let unix = Address::Unix(directory.path().join("php.sock"));
    for (children, address) in [(0, unix), (2, Address::Tcp(free_port()))] {
        let _php = php_cgi(children, &address).await;
        for _ in 0..3 {
            let mut connection = Direct::open(&address).await;
            connection.probe().await;
            connection.acknowledged().await;
            for _ in 0..2 {
                connection.request(&script, "").await;
                assert_eq!(connection.answer().await, "hello", "{children} children");
            }
            connection.probed_request(&script, "").await;
            connection.acknowledged().await;
            assert_eq!(connection.answer().await, "hello", "{children} children");
        }
    }
}
