//! Several gateways share one PHP-FPM without knowing of each other: none starves, and nothing of PHP's time is lost.

use std::path::PathBuf;
use std::time::Duration;

use crate::harness::direct;
use crate::harness::load::{alone, check_close, load_time, soak_time};
use crate::harness::process::{Process, find_program};
use crate::harness::{Address, Clients, Gateway, PATIENCE, PhpFpm, Tally, eventually, php_fpm};

/// How long a script works, and how long a worker is handed on.
const SCRIPT: Duration = Duration::from_millis(20);
const TURN: Duration = Duration::from_millis(20);

const WORKERS: usize = 2;

const WORK: &str = "<?php usleep(20000); echo 'worked';";

/// Three gateways in front of one PHP.
async fn three_gateways() -> (PhpFpm, [Gateway; 3]) {
    let php = php_fpm::Setup::new(WORKERS).file("work.php", WORK);
    let php = php.start().await;
    let gateways = tokio::join!(
        Gateway::before(&php).start(),
        Gateway::before(&php).start(),
        Gateway::before(&php).start()
    );
    (php, gateways.into())
}

#[tokio::test]
async fn three_busy_gateways_get_a_third_each() {
    let _alone = alone().await;
    let (_php, gateways) = three_gateways().await;
    let clients = Clients::get("/work.php", 20);
    let time = load_time(5);
    let loads = gateways
        .iter()
        .map(|gateway| clients.ask_for(gateway.address(), time));
    let (ideal, tallies) = tokio::join!(
        direct::ideal_rate(WORK, WORKERS, time),
        futures_util::future::join_all(loads)
    );
    tallies.iter().for_each(Tally::all_well);
    let rates: Vec<f64> = tallies.iter().map(Tally::rate).collect();
    let total: f64 = rates.iter().sum();
    let longest = tallies.iter().map(|tally| tally.wait(100)).max();
    println!(
        "three gateways: {rates:.1?} a second, {total:.1} of {ideal:.1}, longest wait {longest:?}"
    );
    assert!(rates.iter().all(|rate| *rate >= total / 6.0), "{rates:?}");
    check_close(total, ideal);
}

/// Who came first holds every worker; what it gives back is in proportion to that, until both hold the same.
#[tokio::test]
async fn who_comes_later_gets_its_share_of_many_workers() {
    let _alone = alone().await;
    let php = PhpFpm::start(8).await;
    php.write("short.php", "<?php usleep(3000); echo 'worked';");
    let site = php.site();
    let (first, second) = tokio::join!(Gateway::start(&site), Gateway::start(&site));
    let clients = Clients::get("/short.php", 16);
    let time = load_time(4);
    let head_start = Duration::from_millis(500);
    let (first, second) =
        tokio::join!(clients.ask_for(first.address(), time + head_start), async {
            // The load that the other finds: this long, however busy the machine is.
            tokio::time::sleep(head_start).await;
            clients.ask_for(second.address(), time).await
        });
    for tally in [&first, &second] {
        tally.all_well();
        println!("{:.1} a second, waits {:?}", tally.rate(), tally.wait(100));
    }
    assert!(
        second.rate() >= first.rate() / 2.0,
        "{} of {}",
        second.rate(),
        first.rate()
    );
}

#[tokio::test]
async fn quiet_gateways_are_not_starved_by_a_busy_one() {
    let _alone = alone().await;
    let (_php, [busy, first, second]) = three_gateways().await;
    let time = load_time(4);
    let (many, few) = (
        Clients::get("/work.php", 40),
        Clients::get("/work.php", 1).pausing(Duration::from_millis(100)),
    );
    let (ideal, busy, first, second) = tokio::join!(
        direct::ideal_rate(WORK, WORKERS, time),
        many.ask_for(busy.address(), time),
        few.ask_for(first.address(), time),
        few.ask_for(second.address(), time)
    );
    for tally in [&busy, &first, &second] {
        tally.all_well();
        println!(
            "{:.1} a second of {ideal:.1}, waits {:?} {:?} {:?}",
            tally.rate(),
            tally.wait(50),
            tally.wait(95),
            tally.wait(100)
        );
    }
    let total = busy.rate() + first.rate() + second.rate();
    check_close(total, ideal);
    for quiet in [first, second] {
        assert!(
            quiet.wait(50) * 2 < busy.wait(50),
            "it waits as if it were busy"
        );
        assert!(
            quiet.wait(95) < 10 * (TURN + SCRIPT),
            "{:?}",
            quiet.wait(95)
        );
    }
}

/// What happens without admission, for the reader of `make soak`: nginx keeps connections, and the one that has them
/// keeps the workers. Only `make soak` installs nginx, and nothing is asserted of what is not ours but that it runs.
#[tokio::test]
async fn three_nginx_for_comparison() {
    let Some(time) = soak_time() else { return };
    let _alone = alone().await;
    let (php, _gateways) = three_gateways().await;
    let directory = tempfile::tempdir().unwrap();
    let servers = [0, 1, 2].map(|number| directory.path().join(number.to_string()));
    let running = servers.each_ref().map(|server| start_nginx(&php, server));
    let addresses = servers.map(|server| Address::Unix(server.join("http.sock")));
    for address in &addresses {
        eventually("nginx listens", PATIENCE, async || {
            address.try_connect().await.map(drop)
        })
        .await;
    }
    let clients = Clients::get("/work.php", 20);
    let time = time.min(Duration::from_secs(30));
    let loads = addresses
        .iter()
        .map(|address| clients.ask_for(address, time));
    let tallies = futures_util::future::join_all(loads).await;
    for tally in &tallies {
        println!(
            "nginx with fastcgi_keep_conn: {:.1} a second, {:?}, longest wait {:?}",
            tally.rate(),
            tally.statuses,
            tally.wait(100)
        );
    }
    assert!(tallies.iter().any(|tally| tally.answered() > 0));
    drop(running);
}

fn start_nginx(php: &PhpFpm, directory: &PathBuf) -> Process {
    std::fs::create_dir(directory).unwrap();
    let (here, root) = (directory.display(), php.root());
    // Its workers must be allowed into the test's directories.
    let user = if nix::unistd::geteuid().is_root() {
        "user root;"
    } else {
        ""
    };
    let (root, php) = (root.display(), php.address());
    let config = format!(
        "{user} daemon off; pid {here}/pid; error_log {here}/error.log; worker_processes 1; events {{}}\n\
         http {{ access_log off; client_body_temp_path {here}/a; proxy_temp_path {here}/b; fastcgi_temp_path {here}/c;\n\
         uwsgi_temp_path {here}/d; scgi_temp_path {here}/e;\n\
         upstream php {{ server {php}; keepalive 8; }}\n\
         server {{ listen unix:{here}/http.sock; location / {{ fastcgi_pass php; fastcgi_keep_conn on; fastcgi_read_timeout 20s;\n\
         fastcgi_param SCRIPT_FILENAME {root}$fastcgi_script_name; fastcgi_param REQUEST_METHOD $request_method; }} }} }}\n"
    );
    std::fs::write(directory.join("nginx.conf"), config).unwrap();
    let mut command = std::process::Command::new(find_program(&["nginx"]));
    command
        .arg("-p")
        .arg(directory)
        .arg("-c")
        .arg(directory.join("nginx.conf"));
    Process::spawn(&mut command)
}
