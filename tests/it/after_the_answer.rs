//! END_REQUEST ends the answer and not the work: what a script does behind it reaches nobody, holds nobody up, and is not
//! cut short.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;
use serde_json::Value;
use tokio::time::Instant;

use crate::admin::metric;
use crate::harness::php_fpm::{Setup, free_port};
use crate::harness::scripted_responder::Setup as Responder;
use crate::harness::{
    Address, Clients, Connection, Gateway, PATIENCE, PhpFpm, Request, Script, application,
    eventually, http2,
};

/// Ends its answer, and prints what looks like another.
const LEAK: &str = r#"<?php
echo "A\n"; fastcgi_finish_request(); usleep(3000);
echo "Content-Type: text/plain\r\nSet-Cookie: session=of-A\r\n\r\nprivate text of A\n"; flush();"#;

/// Works on for 0.3 s, prints much, and writes down whether it was cut short.
const TAIL: &str = r#"<?php
echo "A\n"; fastcgi_finish_request();
for ($i = 0; $i < 30; $i++) { echo str_repeat("late ", 4000); flush(); usleep(10000); }
file_put_contents(__DIR__ . "/" . $_GET["name"], connection_aborted());"#;

const ECHO: &str = "<?php echo $_SERVER['QUERY_STRING'], file_get_contents('php://input');";

fn config(php: &PhpFpm, lines: &str) -> String {
    format!(
        "[server]\nlog = \"debug\"\n[upstream.php]\nservers = \"{}\"\n{lines}\n[[site]]\nroot = \"{}\"\nphp = \"php\"\n",
        php.address(),
        php.root().display()
    )
}

/// Fails where somebody gets a byte that was not meant for them.
async fn check_own(gateway: &Gateway, name: &str) {
    let mut one = Connection::open(gateway.address()).await;
    let mut other = http2::Connection::open(gateway.address()).await;
    for turn in 0..40 {
        let leak = match turn % 4 {
            0 => other.send(&Request::get("/leak.php")).await,
            _ => one.send(&Request::get("/leak.php")).await,
        };
        assert_eq!((leak.status, leak.text().as_str()), (200, "A\n"), "{name}");
        let own = format!("own-{turn}");
        let request = match turn % 3 {
            0 => Request::post("/echo.php").body(own.clone()),
            1 => Request::get(&format!("/echo.php?{own}")),
            _ => Request::new("OPTIONS", &format!("/echo.php?{own}")),
        };
        let answer = match turn % 2 {
            0 => one.send(&request).await,
            _ => other.send(&request).await,
        };
        let cookie = answer.header("set-cookie");
        assert_eq!(
            (answer.status, answer.text().as_str(), cookie, answer.whole),
            (200, own.as_str(), None, true),
            "{name}, turn {turn}"
        );
    }
}

#[tokio::test]
async fn nobody_gets_what_a_script_prints_behind_its_answer() {
    for (name, setup) in [("unix", Setup::new(1)), ("TCP", Setup::new(2).tcp())] {
        let php = setup.start().await;
        php.write("leak.php", LEAK);
        php.write("echo.php", ECHO);
        for lines in [
            "",
            "keep = \"10s\"\nturn = \"10s\"",
            "turn = \"0s\"",
            "capacity = 1",
        ] {
            let gateway = Gateway::start(&config(&php, lines)).await;
            check_own(&gateway, &format!("{name}, {lines}")).await;
        }
    }
}

#[tokio::test]
async fn nobody_waits_for_a_script_that_works_on() {
    let php = PhpFpm::start(4).await;
    php.write(
        "work.php",
        "<?php echo \"A\\n\"; fastcgi_finish_request(); usleep(1500000);",
    );
    php.write("echo.php", ECHO);
    let gateway = Gateway::start(&config(&php, "keep = \"1s\"\nturn = \"1s\"")).await;
    let mut client = Connection::open(gateway.address()).await;
    let begun = Instant::now();
    for method in ["GET", "POST", "HEAD"] {
        assert_eq!(client.send(&Request::get("/work.php")).await.text(), "A\n");
        let next = client.send(&Request::new(method, "/echo.php")).await;
        assert_eq!(next.status, 200);
    }
    // One script works for 1.5 s.
    assert!(
        begun.elapsed() < Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
}

/// As wp-cron.php is asked for by WordPress.
#[tokio::test]
async fn visitors_do_not_wait_for_work_in_the_background() {
    let php = PhpFpm::start(4).await;
    php.write(
        "cron.php",
        "<?php echo \"A\\n\"; fastcgi_finish_request(); usleep(1500000);",
    );
    php.write("page.php", "<?php usleep(5000); echo 'page';");
    let gateway = Gateway::start(&config(&php, "")).await;
    let visitors = Clients::get("/page.php", 6).pausing(Duration::from_millis(20));
    let cron = async {
        for _ in 0..3 {
            assert_eq!(
                gateway.send(&Request::post("/cron.php")).await.text(),
                "A\n"
            );
            // Each begins while the one before, of 1.5 s, is at work.
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    };
    let tally = visitors.ask(gateway.address(), cron).await;
    tally.all_well();
    assert!(
        tally.wait(100) < Duration::from_millis(750),
        "{:?}",
        tally.wait(100)
    );
}

#[tokio::test]
async fn a_script_that_works_on_comes_to_its_end() {
    let php = PhpFpm::start(3).await;
    php.write("tail.php", TAIL);
    let is_there = |name: &str| {
        let file = php.root().join(name);
        std::fs::read(file).is_ok_and(|content| !content.is_empty())
    };
    for (number, lines) in [
        "",
        "turn = \"0s\"",
        "keep = \"0s\"",
        "keep = \"10s\"\nturn = \"10s\"",
    ]
    .iter()
    .enumerate()
    {
        let mut gateway = Gateway::start(&config(&php, lines)).await;
        let ask = |name: String| {
            let target = format!("/tail.php?name={name}");
            let gateway = &gateway;
            async move { assert_eq!(gateway.get(&target).await.text(), "A\n") }
        };
        // Its client has gone, a reload comes, and the gateway itself ends.
        ask(format!("gone-{number}")).await;
        ask(format!("reload-{number}")).await;
        gateway
            .reload(&config(&php, &format!("{lines}\nscouts = 3")))
            .await;
        ask(format!("end-{number}")).await;
        gateway.signal(Signal::SIGTERM);
        assert_eq!(gateway.ended().await.code(), Some(0));
        for what in ["gone", "reload", "end"] {
            let name = format!("{what}-{number}");
            eventually(&name, PATIENCE, async || is_there(&name)).await;
            let aborted = std::fs::read(php.root().join(&name)).unwrap();
            assert_eq!(aborted, b"0", "{name} was cut short");
        }
    }
}

#[tokio::test]
async fn a_worker_that_works_on_behind_its_answer_is_busy() {
    let php = PhpFpm::start(2).await;
    php.write(
        "work.php",
        "<?php echo 'A'; fastcgi_finish_request(); \
         while (!file_exists(__DIR__ . '/go')) { usleep(2000); clearstatcache(); } echo str_repeat('x', 100000);",
    );
    let config = format!("[server]\nlog = \"debug\"\n{}", php.site());
    let gateway = Gateway::with(&config).admin().start().await;
    let member = || {
        let status = gateway.command(&["status"]).stdout;
        let status: Value = serde_json::from_slice(&status).unwrap();
        let member = &status["upstreams"][0]["members"][0];
        (member["busy"].clone(), member["cooling"].clone())
    };
    assert_eq!(gateway.get("/work.php").await.text(), "A");
    assert_eq!(member(), (1.into(), 1.into()));
    php.write("go", "");
    let late = |line: &str| line.contains("output of a script after its answer");
    gateway.log.wait_for(late).await;
    eventually("it is done", PATIENCE, async || member().1 == 0).await;
    let scrape = gateway.ask("/metrics").await.text();
    assert!(metric(&scrape, &["fcgate_upstream_late_bytes_total"]) > 90_000.0);
}

#[tokio::test]
async fn a_worker_that_ends_behind_its_answer_is_no_failed_request() {
    let php = Setup::new(2).line("pm.max_requests = 3").start().await;
    php.write("echo.php", ECHO);
    php.write(
        "die.php",
        "<?php echo \"A\\n\"; fastcgi_finish_request(); posix_kill(getmypid(), 9);",
    );
    let gateway = Gateway::start(&config(&php, "")).await;
    let mut client = Connection::open(gateway.address()).await;
    for turn in 0..20 {
        if turn % 3 == 0 {
            assert_eq!(client.send(&Request::get("/die.php")).await.text(), "A\n");
        }
        let own = format!("own-{turn}");
        let post = Request::post("/echo.php").body(own.clone());
        let answer = client.send(&post).await;
        assert_eq!((answer.status, answer.text()), (200, own));
    }
}

/// The padding behind the answer to a probe comes by itself: a worker that is not done would be nobody's for ever.
#[tokio::test]
async fn an_answer_to_a_probe_may_come_in_parts() {
    let plays: [fn(Responder) -> Responder; 3] = [|it| it, Responder::tcp, Responder::like_php_fpm];
    for play in plays {
        let responder = play(Responder::new([Script::answer("\nhello")]))
            .start()
            .await;
        let lines = "capacity = 1\nkeep = \"10s\"\nturn = \"10s\"";
        let gateway = Gateway::start(&responder.site(lines)).await;
        let mut client = Connection::open(gateway.address()).await;
        for turn in 0..300 {
            let method = ["GET", "POST"][turn % 2];
            assert_eq!(
                client.send(&Request::new(method, "/")).await.text(),
                "hello"
            );
        }
    }
}

/// Nagle's algorithm and a delayed acknowledgement would make it 25 requests a second, or 190.
#[tokio::test]
async fn tcp_waits_for_no_delayed_acknowledgement() {
    let mut rates = Vec::new();
    for setup in [Setup::new(2), Setup::new(2).tcp()] {
        let php = setup.start().await;
        php.write("echo.php", ECHO);
        let gateway = Gateway::start(&config(&php, "")).await;
        for clients in [
            Clients::get("/echo.php?x", 1),
            Clients::post("/echo.php?x", 1),
        ] {
            let tally = clients
                .ask_for(gateway.address(), Duration::from_secs(1))
                .await;
            tally.all_well();
            rates.push(tally.rate());
        }
    }
    let [get, post, tcp_get, tcp_post] = rates[..] else {
        panic!("{rates:?}")
    };
    assert!(tcp_get > get / 5.0 && tcp_post > post / 5.0, "{rates:?}");
}

/// Bytes that lie behind STDIN in libfcgi's buffer of 8 192 are thrown away by it, and those that lie across its end break
/// it: the end of each request is put everywhere around that.
#[tokio::test]
async fn a_program_with_libfcgi_reads_each_request_wherever_its_buffer_ends() {
    let folder = tempfile::tempdir().unwrap();
    let program = application::compile(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/other_applications/echo.c"),
        folder.path(),
    );
    for address in [
        Address::Unix(folder.path().join("echo.sock")),
        Address::Tcp(free_port()),
    ] {
        let _application = application::native(&program, 1, &address).await;
        let site = format!(
            "[server]\nlimits = {{ keep_alive_requests = 10000 }}\n[upstream.app]\nservers = \"{address}\"\nkeep = \"10s\"\nturn = \"10s\"\n[[site]]\nroot = \"/srv\"\n[[site.rule]]\n\
             fastcgi = {{ upstream = \"app\", script = \"/srv/app\", missing = \"pass\" }}\n"
        );
        let gateway = Gateway::start(&site).await;
        let mut client = Connection::open(gateway.address()).await;
        for length in 6_500..8_200 {
            let post = Request::post("/").body(vec![b'x'; length]);
            let answer = client.send(&post).await;
            assert_eq!((answer.status, answer.text()), (200, format!("{length}")));
        }
    }
}
