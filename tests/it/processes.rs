//! `[process.NAME]`: programs that the gateway starts, restarts and stops.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::harness::process::find_program;
use crate::harness::{Gateway, PATIENCE, eventually};

/// A gateway with a PHP-FPM of its own, whose script tells the process of the master. The pool's user is root if we are.
async fn with_php() -> Gateway {
    let is_root = is_root();
    let pool = if is_root {
        "user = root\ngroup = root\n"
    } else {
        ""
    };
    let argument = if is_root {
        "\"--allow-to-run-as-root\", "
    } else {
        ""
    };
    let folder = tempfile::tempdir().unwrap();
    start_php(folder, (pool, argument), "").await
}

async fn start_php(folder: TempDir, (pool, argument): (&str, &str), lines: &str) -> Gateway {
    let path = folder.path().display();
    let public = folder.path().join("public");
    std::fs::create_dir(&public).unwrap();
    std::fs::write(public.join("index.php"), "<?php echo posix_getppid();").unwrap();
    let fpm = format!(
        "[global]\nerror_log = /proc/self/fd/2\n[www]\n{pool}listen = {path}/php.sock\npm = static\npm.max_children = 2\n"
    );
    std::fs::write(folder.path().join("fpm.conf"), fpm).unwrap();
    let program = find_program(&[
        "php-fpm8.2",
        "php-fpm",
        "php-fpm8.4",
        "php-fpm8.3",
        "php-fpm8.1",
    ]);
    let config = format!(
        "[[site]]\nroot = \"{path}/public\"\nphp = \"unix:{path}/php.sock\"\n\
         [process.php]\ncommand = [\"{}\", \"--nodaemonize\", {argument}\"--fpm-config\", \"{path}/fpm.conf\"]\n\
         stop_signal = \"QUIT\"\n{lines}",
        program.display()
    );
    Gateway::start_in(folder, &config).await
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
async fn php_runs_as_its_user_and_logs_to_the_path_of_its_stream() {
    let user = if is_root() {
        "www-data".to_owned()
    } else {
        nix::unistd::geteuid().to_string()
    };
    let folder = tempfile::tempdir().unwrap();
    // Its socket is in it.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(folder.path(), mode).unwrap();
    let gateway = start_php(folder, ("", ""), &format!("user = \"{user}\"\n")).await;
    let master = master(&gateway).await;
    gateway
        .log
        .wait_for(|line| line.contains("ready to handle connections"))
        .await;
    let status = std::fs::read_to_string(format!("/proc/{master}/status")).unwrap();
    let expected = nix::unistd::User::from_name(&user).unwrap();
    let uid = expected.map_or(user, |user| user.uid.to_string());
    let line = format!("Uid:\t{uid}\t{uid}\t{uid}\t{uid}\n");
    assert!(status.contains(&line), "{line} in {status}");
    assert!(gateway.terminate().await.success());
}

#[tokio::test]
async fn programs_end_with_a_gateway_that_is_killed() {
    let gateway = with_php().await;
    let master = master(&gateway).await;
    let workers = children_of(master);
    assert_eq!(workers.len(), 2);
    let told = gateway.directory().join("told");
    let script = format!(
        "trap \"echo told > {}; exit\" INT; echo armed $$; while :; do sleep 0.01; done",
        told.display()
    );
    let trapped = shell("trapped", &script) + "stop_signal = \"INT\"\n";
    let config = std::fs::read_to_string(gateway.directory().join("fcgate.toml")).unwrap();
    assert!(
        gateway
            .reload(&(config + &trapped))
            .await
            .contains("reloaded")
    );
    let armed = gateway.log.wait_for(|line| line.contains("armed ")).await;
    let (_, rest) = armed.split_once("armed ").unwrap();
    let pid = rest.split_whitespace().next().unwrap().parse().unwrap();
    gateway.signal(Signal::SIGKILL);
    for process in workers.into_iter().chain([master, Pid::from_raw(pid)]) {
        eventually("the end of a program", PATIENCE, async || {
            !is_there(process)
        })
        .await;
    }
    assert_eq!(std::fs::read_to_string(told).unwrap(), "told\n");
}

/// The children of a process that has one thread.
fn children_of(process: Pid) -> Vec<Pid> {
    let path = format!("/proc/{process}/task/{process}/children");
    let children = std::fs::read_to_string(path).unwrap();
    let pids = children.split_whitespace();
    pids.map(|pid| Pid::from_raw(pid.parse().unwrap()))
        .collect()
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
