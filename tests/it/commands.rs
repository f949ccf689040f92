//! The README's commands as a person runs them, and the load of a site that is reloaded meanwhile.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::harness::gateway::{address_in, check};
use crate::harness::http1::send;
use crate::harness::lines::Lines;
use crate::harness::process::{Process, find_program};
use crate::harness::{Address, Gateway, PhpFpm, Request, patiently};

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a `make run` needs to serve on a free port without building anew, and to leave its traces
/// in `temporary` alone.
fn make_run(temporary: &Path) -> Command {
    let mut command = Command::new(find_program(&["make"]));
    command
        .arg("run")
        .current_dir(repository())
        .env("FCGATE_BINARY", env!("CARGO_BIN_EXE_fcgate"))
        .env("FCGATE_LISTEN", "127.0.0.1:0")
        .env("TMPDIR", temporary)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

#[tokio::test]
async fn make_run_serves_the_slim_application_and_leaves_nothing_behind() {
    let temporary = tempfile::tempdir().unwrap();
    // The user that PHP runs as must be able to go through it.
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(temporary.path(), open).unwrap();
    let mut process = Process::spawn(&mut make_run(temporary.path()));
    let log = Lines::of("make run", process.child().stderr.take().unwrap());
    let line = patiently(
        "make run",
        log.wait_for(|line| line.contains("serves the Slim example on http://")),
    );
    let line = line.await.replace("on http://", "address=");
    let address = address_in(&line);

    let page = send(&address, &Request::get("/")).await;
    assert_eq!(page.status, 200);
    assert!(page.text().contains("style.css"), "{}", page.text());
    let style = send(&address, &Request::get("/style.css")).await;
    assert_eq!(
        style.header("content-type"),
        Some("text/css; charset=utf-8")
    );
    let lines = send(&address, &Request::get("/stream")).await.text();
    assert_eq!(lines.lines().count(), 10);

    // As Ctrl-C does: to everyone in the terminal's foreground.
    killpg(
        Pid::from_raw(i32::try_from(process.id()).unwrap()),
        Signal::SIGINT,
    )
    .unwrap();
    patiently("the end", log.ended()).await;
    process.wait();
    let left: Vec<PathBuf> = std::fs::read_dir(temporary.path())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(left, Vec::<PathBuf>::new());
    let Address::Tcp(tcp) = address else {
        panic!("not a TCP address")
    };
    assert!(std::net::TcpStream::connect(tcp).is_err(), "still serving");
}

#[test]
fn the_samples_that_the_readme_names_are_valid() {
    for name in [
        "minimal",
        "slim",
        "wordpress",
        "proxypassmatch",
        "reference",
    ] {
        let output = check(&repository().join(format!("config/{name}.toml")));
        assert!(output.status.success(), "{name}: {output:?}");
    }
}

/// 40 000 requests to a PHP hello show no error through ten SIGHUPs.
#[tokio::test]
async fn a_site_under_load_is_reloaded_without_an_error() {
    const RELOADS: usize = 10;
    const REQUESTS: usize = 40_000;
    let php = PhpFpm::start(4).await;
    php.write("hello.php", "<?php echo 'hello';");
    let config = format!("[server]\naccess_log = {{ to = \"off\" }}\n{}", php.site());
    let gateway = Gateway::start(&config).await;
    let Address::Tcp(address) = gateway.address() else {
        panic!("not a TCP address")
    };
    let mut h2load = Command::new(find_program(&["h2load"]));
    h2load
        .args(["--h1", "-c", "16", "-t", "1", "-n"])
        .arg(REQUESTS.to_string())
        .arg(format!("http://{address}/hello.php"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut load = Process::spawn(&mut h2load);
    let report = Lines::of("h2load", load.child().stdout.take().unwrap());
    for tenth in 1..=RELOADS {
        // In step with the load, whatever the machine's speed.
        let percent = format!(
            "progress: {}% done",
            tenth * 10 - if tenth == RELOADS { 10 } else { 0 }
        );
        patiently("the load", report.wait_for(|line| line.contains(&percent))).await;
        assert!(gateway.reload(&config).await.contains("reloaded"));
    }
    let summary = patiently(
        "the end",
        report.wait_for(|line| line.starts_with("requests:")),
    )
    .await;
    let expected = format!("{REQUESTS} done, {REQUESTS} succeeded, 0 failed, 0 errored, 0 timeout");
    assert!(summary.contains(&expected), "{summary}");
    assert!(load.wait().success());
}
