//! A worker of PHP that is killed in the middle of its answer: the client can always tell.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::time::{Duration, sleep};

use crate::harness::php_fpm::Setup;
use crate::harness::{Gateway, GatewaySetup, PhpFpm, Request, Response, http2, php_fpm};

/// Goes as far as `at` says, notes its process, and waits to be killed.
const SCRIPT: &str = "<?php
function stop() { touch(__DIR__ . '/waits-' . getmypid()); while (true) { usleep(1000); } }
$at = $_GET['at'];
if ($at == 'before') { stop(); }
if (str_contains($at, 'length')) { header('Content-Length: 2000'); }
echo ' '; flush();
if ($at == 'head') { stop(); }
echo str_repeat('x', 999); flush();
if (str_contains($at, 'half')) { stop(); }
echo str_repeat('y', 1000); flush();
if ($at == 'finished') { fastcgi_finish_request(); }
if ($at == 'shutdown') { register_shutdown_function('stop'); exit; }
stop();";

/// Kills every worker that comes to where it waits for that.
async fn kill_all(php: &PhpFpm) {
    loop {
        for entry in std::fs::read_dir(php.root()).unwrap().flatten() {
            let name = entry.file_name().into_string().unwrap();
            if let Some(pid) = name.strip_prefix("waits-") {
                std::fs::remove_file(entry.path()).unwrap();
                let _ = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
            }
        }
        // It never ends: what it makes happen ends it.
        sleep(Duration::from_millis(2)).await;
    }
}

/// What a client gets over both versions of HTTP.
async fn answers(php: &PhpFpm, gateway: &Gateway, method: &str, at: &str) -> [Response; 2] {
    let request = Request::new(method, &format!("/die.php?at={at}"));
    tokio::select! {
        answers = async {
            [gateway.send(&request).await, http2::send(gateway.address(), &request).await]
        } => answers,
        () = kill_all(php) => panic!("it never ends"),
    }
}

fn killed() -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(2)
        .file("die.php", SCRIPT)
        .file("index.php", "<?php echo 'alive';")
}

#[tokio::test]
async fn a_killed_worker_is_never_a_clean_answer() {
    let (php, gateway) = killed().start().await;
    for method in ["GET", "POST"] {
        for at in ["before", "head", "half", "length-half", "end", "shutdown"] {
            for response in answers(&php, &gateway, method, at).await {
                let seen = match response.status {
                    502 => response.whole && !response.text().contains('x'),
                    // The break may overtake the head.
                    200 | 0 => !response.whole && at != "before",
                    _ => false,
                };
                assert!(seen, "{method}, killed at {at}: {response:?}");
            }
            let all = gateway.get("/").await;
            assert_eq!(all.text(), "alive", "{method}, after {at}");
        }
    }
    for code in ["UPSTREAM_RESET", "UPSTREAM_TRUNCATED"] {
        gateway.log.wait_for(|line| line.contains(code)).await;
    }
}

#[tokio::test]
async fn what_was_announced_and_is_there_is_whole() {
    // The last byte of Content-Length, or END_REQUEST, is the end of an answer; what PHP does then is no part of it.
    let (php, gateway) = killed().start().await;
    for at in ["length-end", "finished"] {
        for response in answers(&php, &gateway, "GET", at).await {
            assert_eq!(
                (response.status, response.whole, response.body.len()),
                (200, true, 2000),
                "killed at {at}"
            );
        }
    }
}

/// A script that kills its worker is not given to all the others: after a while of work it is not run again, and at once at
/// most one time, as a restart of PHP may have done it.
#[tokio::test]
async fn a_script_that_kills_its_worker_runs_twice_at_most() {
    let php = Setup::new(2)
        .line("request_terminate_timeout = 1s")
        .start()
        .await;
    php.write(
        "die.php",
        "<?php file_put_contents(__DIR__ . '/' . $_GET['name'], 'x', FILE_APPEND); \
         if ($_GET['us'] == 'never') { while (true) { usleep(1000); } } \
         usleep((int) $_GET['us']); posix_kill(getmypid(), 11);",
    );
    php.write("index.php", "<?php echo 'alive';");
    let gateway = Gateway::start(&php.site()).await;
    for (us, most) in [("0", 2), ("400000", 1), ("never", 1)] {
        for method in ["GET", "HEAD", "OPTIONS", "POST"] {
            let name = format!("{method}-{us}");
            let target = format!("/die.php?name={name}&us={us}");
            let response = gateway.send(&Request::new(method, &target)).await;
            assert_eq!(response.status, 502, "{name}");
            let runs = std::fs::read(php.root().join(&name)).unwrap().len();
            let most = if method == "POST" { 1 } else { most };
            assert!(runs <= most, "{name}: {runs} times");
            assert_eq!(gateway.get("/").await.text(), "alive");
        }
    }
}
