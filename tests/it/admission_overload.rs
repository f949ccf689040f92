//! More than PHP can do: everybody is served in turn or told to come back, and what needs no PHP does not notice.

use std::time::Duration;

use crate::harness::direct;
use crate::harness::load::{alone, check_close, load_time, scale};
use crate::harness::{Clients, Gateway, GatewaySetup, Tally, php_fpm};

const WORKERS: usize = 2;

const WORK: &str = "<?php usleep(20000); echo 'worked';";

/// More clients than these workers can serve, with these `lines` in the upstream.
fn overloaded(lines: &str) -> GatewaySetup<php_fpm::Setup> {
    Gateway::with_php(WORKERS)
        .file("work.php", WORK)
        .file("style.css", "css")
        .upstream(lines)
        .site("rule = [{ path = \"/fixed\", respond = { body = \"fixed\" } }]")
}

#[tokio::test]
async fn ten_times_what_php_can_do_is_served_in_turn() {
    let _alone = alone().await;
    let (_php, gateway) = overloaded("timeouts = { queue = \"60s\" }").start().await;
    // 1 000 requests a second if PHP could answer them in no time.
    let clients = Clients::get("/work.php", 100).pausing(Duration::from_millis(100));
    let bystander = |target| Clients::get(target, 1).pausing(Duration::from_millis(20));
    let (file, rule) = (bystander("/style.css"), bystander("/fixed"));
    let time = load_time(4);
    let address = gateway.address();
    let (ideal, tally, files, fixed) = tokio::join!(
        direct::ideal_rate(WORK, WORKERS, time),
        clients.ask_for(address, time),
        file.ask_for(address, time),
        rule.ask_for(address, time)
    );
    [&tally, &files, &fixed]
        .into_iter()
        .for_each(Tally::all_well);
    println!(
        "overload: {:.1} a second of {ideal:.1}, waits {:?} {:?} {:?}; a file {:?}, a fixed answer {:?}; {} KiB",
        tally.rate(),
        tally.wait(1),
        tally.wait(50),
        tally.wait(100),
        files.wait(95),
        fixed.wait(95),
        gateway.peak_rss_kib()
    );
    check_close(tally.rate(), ideal);
    let one_round = Duration::from_secs_f64(100.0 / ideal);
    assert!(
        tally.wait(100) < 3 * one_round,
        "{:?}, a round is {one_round:?}",
        tally.wait(100)
    );
    for bystander in [files, fixed] {
        assert!(
            bystander.wait(95) * 10 < tally.wait(50),
            "{:?}",
            bystander.wait(95)
        );
    }
    assert!(
        gateway.peak_rss_kib() < 64 * 1024,
        "{} KiB",
        gateway.peak_rss_kib()
    );
}

#[tokio::test]
async fn a_short_queue_refuses_at_once_and_serves_the_others() {
    let _alone = alone().await;
    let (_php, gateway) = overloaded("queue_length = 20").start().await;
    let clients = Clients::get("/work.php", scale(100, 400)).pausing(Duration::from_millis(100));
    let tally = clients.ask_for(gateway.address(), load_time(2)).await;
    println!(
        "a queue of 20: {:?}, waits {:?} {:?}, refused within {:?} {:?}",
        tally.statuses,
        tally.wait(50),
        tally.wait(100),
        tally.refusals.get(tally.refusals.len() / 2),
        tally.refusals.last()
    );
    assert!(
        tally.statuses.keys().eq(&[200, 503]),
        "{:?}",
        tally.statuses
    );
    assert_eq!((tally.broken, tally.without_retry_after), (0, 0));
    let refused = tally.refusals[tally.refusals.len() / 2];
    assert!(refused * 4 < tally.wait(50), "{refused:?}");
    // 20 wait and 2 are served: 220 ms; ten times that is more than any of them may take.
    assert!(
        tally.wait(100) < Duration::from_millis(2200),
        "{:?}",
        tally.wait(100)
    );
    gateway
        .log
        .wait_for(|line| line.contains("QUEUE_FULL"))
        .await;
    let others = |line: &String| line.contains("ERROR") && !line.contains("QUEUE_FULL");
    assert_eq!(gateway.log.all().into_iter().find(others), None);
}
