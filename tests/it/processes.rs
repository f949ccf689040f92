//! `[process.NAME]`: programs that the gateway starts, restarts and stops.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::Gateway;
use crate::harness::process::find_program;

/// A gateway with a PHP-FPM of its own, whose script tells the process of the master.
async fn with_php() -> Gateway {
    let directory = tempfile::tempdir().unwrap();
    let public = directory.path().join("public");
    std::fs::create_dir(&public).unwrap();
    std::fs::write(public.join("index.php"), "<?php echo posix_getppid();").unwrap();
    let fpm = format!(
        "[global]\nerror_log = /proc/self/fd/2\n[www]\n{}listen = {}\npm = static\npm.max_children = 2\n",
        if is_root() {
            "user = root\ngroup = root\n"
        } else {
            ""
        },
        directory.path().join("php.sock").display()
    );
    std::fs::write(directory.path().join("fpm.conf"), fpm).unwrap();
    let config = php_config(&directory, "10s");
    Gateway::start_in(directory, &config).await
}

fn php_config(directory: &TempDir, stop: &str) -> String {
    let path = directory.path().display();
    let root = if is_root() {
        "\"--allow-to-run-as-root\", "
    } else {
        ""
    };
    format!(
        "[[site]]\nroot = \"{path}/public\"\nphp = \"unix:{path}/php.sock\"\n\
         [process.php]\ncommand = [\"{}\", \"--nodaemonize\", {root}\"--fpm-config\", \"{path}/fpm.conf\"]\n\
         stop_signal = \"QUIT\"\nstop = \"{stop}\"\n",
        find_program(&[
            "php-fpm8.2",
            "php-fpm",
            "php-fpm8.4",
            "php-fpm8.3",
            "php-fpm8.1"
        ])
        .display()
    )
}

fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

fn shell(name: &str, script: &str) -> String {
    format!("[process.{name}]\ncommand = [\"/bin/sh\", \"-c\", '{script}']\n")
}

const SITE: &str = "[[site]]\nrule = [{ respond = { body = \"here\" } }]\n";

async fn master(gateway: &Gateway) -> Pid {
    let response = gateway.get("/").await;
    assert_eq!(response.status, 200, "{}", response.text());
    Pid::from_raw(response.text().parse().unwrap())
}

fn is_there(process: Pid) -> bool {
    kill(process, None).is_ok()
}

#[tokio::test]
async fn php_is_started_and_again_when_it_was_killed_and_stopped_at_the_end() {
    let gateway = with_php().await;
    let first = master(&gateway).await;
    kill(first, Signal::SIGKILL).unwrap();
    gateway
        .log
        .wait_for(|line| line.contains("ended on its own") && line.contains("SIGKILL"))
        .await;
    let second = master(&gateway).await;
    assert_ne!(first, second, "no worker of the first one answers any more");
    // The log is the process's own; what FPM says comes with its name.
    gateway
        .log
        .wait_for(|line| {
            line.contains("ready to handle connections") && line.contains("process=\"php\"")
        })
        .await;
    assert!(gateway.terminate().await.success());
    assert!(!is_there(second));
}

#[tokio::test]
async fn a_reload_starts_what_is_new_stops_what_is_gone_and_keeps_the_rest() {
    let kept = shell("kept", "echo kept $$; exec sleep 1000");
    let gone = shell("gone", "echo gone $$; exec sleep 1000");
    let new = shell("new", "echo new $$; exec sleep 1000");
    let gateway = Gateway::start(&format!("{SITE}{kept}{gone}")).await;
    let kept_line = gateway.log.wait_for(|line| line.contains(" kept ")).await;
    gateway.log.wait_for(|line| line.contains(" gone ")).await;
    assert!(
        gateway
            .reload(&format!("{SITE}{kept}{new}"))
            .await
            .contains("reloaded")
    );
    gateway.log.wait_for(|line| line.contains(" new ")).await;
    gateway
        .log
        .wait_for(|line| line.contains("stopped") && line.contains("process=\"gone\""))
        .await;
    assert!(gateway.reload(SITE).await.contains("reloaded"));
    gateway
        .log
        .wait_for(|line| line.contains("stopped") && line.contains("process=\"kept\""))
        .await;
    let kept_lines = gateway
        .log
        .all()
        .iter()
        .filter(|line| line.contains(" kept "))
        .count();
    assert_eq!(kept_lines, 1, "{kept_line} was started once");
    assert!(gateway.terminate().await.success());
}

#[tokio::test]
async fn who_does_not_end_is_killed_with_its_children() {
    let stubborn = shell(
        "stubborn",
        "trap \"\" TERM; echo armed; while :; do sleep 1000; done",
    );
    let config = format!("{SITE}{stubborn}stop = \"200ms\"\n");
    let mut gateway = Gateway::start(&config).await;
    gateway.log.wait_for(|line| line.contains("armed")).await;
    gateway.signal(Signal::SIGTERM);
    gateway
        .log
        .wait_for(|line| line.contains("killed") && line.contains("process=\"stubborn\""))
        .await;
    assert!(gateway.ended().await.success());
}

#[tokio::test]
async fn what_cannot_start_is_told_and_the_gateway_serves() {
    let gateway = Gateway::start(&format!(
        "{SITE}[process.x]\ncommand = [\"/nowhere/php-fpm\"]\n"
    ))
    .await;
    gateway
        .log
        .wait_for(|line| line.contains("cannot be started") && line.contains("/nowhere/php-fpm"))
        .await;
    assert_eq!(gateway.get("/").await.text(), "here");
    assert!(gateway.terminate().await.success());
}

#[tokio::test]
async fn a_program_gets_the_variables_that_are_named() {
    let env = shell(
        "env",
        "echo app=$APP cargo=$CARGO_MANIFEST_DIR.; exec sleep 1000",
    );
    let config = format!("{SITE}{env}environment = {{ APP = \"a b\" }}\n");
    let gateway = Gateway::start(&config).await;
    gateway
        .log
        .wait_for(|line| line.contains("app=a b cargo=."))
        .await;
    assert!(gateway.terminate().await.success());
}
