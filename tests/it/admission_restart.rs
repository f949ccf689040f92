//! PHP-FPM reloaded, replaced, killed and growing under load: GETs see latency and no errors, and no POST runs twice.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use tokio::time::{Instant, sleep};

use crate::harness::load::{alone, load_time};
use crate::harness::php_fpm::Setup;
use crate::harness::{Clients, Gateway, GatewaySetup, PATIENCE, PhpFpm, Tally};

/// Notes the request's name in one write, which no kill can tear, and works.
const COUNTED: &str = "<?php file_put_contents(__DIR__ . '/count', $_GET['n'] . \"\\n\", FILE_APPEND); usleep(5000); echo $_GET['n'];";

fn counting(setup: Setup) -> GatewaySetup<Setup> {
    Gateway::before(setup).file("count.php", COUNTED)
}

/// How often each request was executed.
fn executions(php: &PhpFpm) -> BTreeMap<String, usize> {
    let mut executions = BTreeMap::new();
    let text = std::fs::read_to_string(php.root().join("count")).unwrap_or_default();
    for name in text.lines() {
        *executions.entry(name.to_owned()).or_default() += 1;
    }
    executions
}

/// Each 200 ran once, what failed once at most, and nothing twice.
fn check_once(php: &PhpFpm, tally: &Tally, what: &str) {
    let executions = executions(php);
    let twice: Vec<_> = executions.iter().filter(|(_, count)| **count > 1).collect();
    let failed: usize = tally
        .statuses
        .iter()
        .filter(|(status, _)| **status != 200)
        .map(|(_, count)| count)
        .sum();
    println!(
        "{what}: {:?}, {} executed, longest wait {:?}",
        tally.statuses,
        executions.len(),
        tally.wait(100)
    );
    assert!(twice.is_empty(), "{what}: {twice:?}");
    assert!(
        executions.len() >= tally.answered(),
        "{what}: a 200 that never ran"
    );
    assert!(executions.len() <= tally.answered() + failed, "{what}");
    assert_eq!(tally.broken, 0, "{what}");
    assert!(
        tally
            .statuses
            .keys()
            .all(|status| [200, 502].contains(status)),
        "{what}: {:?}",
        tally.statuses
    );
    assert!(tally.answered() > 50, "{what}: only {}", tally.answered());
}

/// Reloads PHP-FPM each second.
async fn reload_each_second(php: &PhpFpm, time: Duration) {
    let begun = Instant::now();
    while begun.elapsed() < time {
        php.reload().await;
        // The pace of the attack, as is each sleep in this file.
        sleep(Duration::from_secs(1)).await;
    }
}

/// PHP-FPM with no time and with enough for what runs while it is reloaded, on either kind of socket.
fn reloaded() -> [(&'static str, Setup); 2] {
    let setup = |time: &str| Setup::new(4).global(&format!("process_control_timeout = {time}"));
    [
        ("process_control_timeout 0, unix", setup("0")),
        ("process_control_timeout 5s, tcp", setup("5s").tcp()),
    ]
}

#[tokio::test]
async fn gets_see_no_error_while_fpm_is_reloaded() {
    let _alone = alone().await;
    for (name, setup) in reloaded() {
        let (php, gateway) = counting(setup).start().await;
        let reloads = reload_each_second(&php, load_time(3));
        let tally = Clients::get("/count.php", 10)
            .ask(gateway.address(), reloads)
            .await;
        println!(
            "GET, {name}: {} answered, longest wait {:?}",
            tally.answered(),
            tally.wait(100)
        );
        tally.all_well();
    }
}

#[tokio::test]
async fn posts_run_once_while_fpm_is_reloaded() {
    let _alone = alone().await;
    for (name, setup) in reloaded() {
        let (php, gateway) = counting(setup).start().await;
        let reloads = reload_each_second(&php, load_time(3));
        let tally = Clients::post("/count.php", 10)
            .ask(gateway.address(), reloads)
            .await;
        check_once(&php, &tally, &format!("POST, {name}"));
    }
}

#[tokio::test]
async fn posts_run_once_whichever_worker_is_killed() {
    let _alone = alone().await;
    for (name, setup) in [("unix", Setup::new(4)), ("tcp", Setup::new(4).tcp())] {
        let (php, gateway) = counting(setup).start().await;
        let tally = Clients::post("/count.php", 10)
            .ask(gateway.address(), kill_workers(&php, load_time(2)))
            .await;
        check_once(&php, &tally, &format!("POST, kill -9, {name}"));
    }
}

/// Kills a worker every 47 to 75 ms, not in step with the scripts.
async fn kill_workers(php: &PhpFpm, time: Duration) {
    let begun = Instant::now();
    for number in 0.. {
        if begun.elapsed() > time {
            println!("{number} workers killed");
            return;
        }
        let workers = php.workers();
        let worker = workers.iter().cycle().nth(number % 4);
        if let Some(worker) = worker {
            let _ = kill(*worker, Signal::SIGKILL);
        }
        let pause = 47 + u64::try_from(number * 13 % 29).unwrap();
        sleep(Duration::from_millis(pause)).await;
    }
}

#[tokio::test]
async fn a_socket_that_is_gone_for_a_while_is_latency() {
    let _alone = alone().await;
    let (mut php, gateway) = counting(Setup::new(4)).start().await;
    let clients = Clients::get("/count.php", 10);
    let outages = async {
        let begun = Instant::now();
        while begun.elapsed() < load_time(2) {
            sleep(Duration::from_millis(400)).await;
            php.stop();
            std::fs::remove_file(php.root().join("../php.sock")).unwrap();
            sleep(Duration::from_millis(500)).await;
            php.start_again().await;
        }
    };
    let tally = clients.ask(gateway.address(), outages).await;
    println!(
        "outages of 500 ms: {} answered, longest wait {:?}",
        tally.answered(),
        tally.wait(100)
    );
    tally.all_well();
    assert!(
        tally.wait(100) >= Duration::from_millis(400),
        "nobody met the outage"
    );
    assert!(
        tally.wait(100) < Duration::from_secs(5),
        "{:?}",
        tally.wait(100)
    );
}

#[tokio::test]
async fn workers_that_come_and_go_cost_no_answer() {
    let _alone = alone().await;
    let dynamic =
        "pm = dynamic\npm.start_servers = 1\npm.min_spare_servers = 1\npm.max_spare_servers = 2";
    let ondemand = "pm = ondemand\npm.process_idle_timeout = 1s";
    for (name, lines) in [
        ("max_requests 1", "pm.max_requests = 1"),
        ("dynamic", dynamic),
        ("ondemand", ondemand),
    ] {
        let (php, gateway) = counting(Setup::new(8).line(lines)).start().await;
        let at_rest = php.workers().len();
        let mut most = 0;
        let grows = name != "max_requests 1";
        let time = load_time(2);
        let watch = async {
            let begun = Instant::now();
            // PHP-FPM looks once a second whether it has too few, and may see one between two requests.
            while begun.elapsed() < time || (grows && most <= at_rest && begun.elapsed() < PATIENCE)
            {
                most = most.max(php.workers().len());
                sleep(Duration::from_millis(50)).await;
            }
        };
        let tally = Clients::get("/count.php", 30)
            .ask(gateway.address(), watch)
            .await;
        println!(
            "{name}: {} answered, {at_rest} workers, then up to {most}, longest wait {:?}",
            tally.answered(),
            tally.wait(100)
        );
        tally.all_well();
        assert!(most > at_rest || !grows, "{name} did not grow");
        let executions = executions(&php);
        assert!(
            executions.values().all(|count| *count == 1),
            "{name}: nothing was killed, nothing runs twice"
        );
        assert_eq!(executions.len(), tally.answered(), "{name}");
    }
}
