//! The parent and its server: crashes, upgrades, and the rights of the process that serves.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, User, geteuid};
use tokio::sync::oneshot;

use crate::harness::load::{Clients, scale};
use crate::harness::php_fpm::write_below;
use crate::harness::{
    Connection, Gate, Gateway, PATIENCE, Request, Script, ScriptedResponder, eventually, require,
};

const HERE: &str = "[[site]]\nrule = [{ respond = { body = \"here\" } }]\n";

fn pid(number: u32) -> Pid {
    Pid::from_raw(i32::try_from(number).unwrap())
}

fn is_there(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Waits until another server than `before` serves; returns its process.
async fn another_server(gateway: &Gateway, before: u32) -> u32 {
    eventually("another server", PATIENCE, async || {
        require(gateway.youngest_server(), |now| {
            now.is_some_and(|now| now != before)
        })
    })
    .await
    .unwrap()
}

#[tokio::test]
async fn a_killed_server_is_replaced_and_connections_wait_meanwhile() {
    let gateway = Gateway::with(HERE).admin().start().await;
    for _ in 0..scale(3, 50) {
        let before = gateway.server_id();
        let mut open = Connection::open(gateway.address()).await;
        assert_eq!(open.send(&Request::get("/")).await.text(), "here");
        kill(pid(before), Signal::SIGKILL).unwrap();
        eventually("the connection is closed", PATIENCE, async || {
            open.is_closed().await
        })
        .await;
        // The queue of the socket has it until the next server accepts.
        assert_eq!(gateway.get("/").await.text(), "here");
        assert!(another_server(&gateway, before).await > 0);
    }
    gateway
        .log
        .wait_for(|line| line.contains("the server ended: SIGKILL. Another starts in"))
        .await;
    assert!(gateway.terminate().await.success());
}

#[tokio::test]
async fn a_server_that_is_killed_during_its_start_is_started_again() {
    let gateway = Gateway::with(HERE).start().await;
    // Its successors too, before or after they serve.
    for _ in 0..3 {
        let before = gateway.server_id();
        kill(pid(before), Signal::SIGKILL).unwrap();
        let next = another_server(&gateway, before).await;
        kill(pid(next), Signal::SIGKILL).unwrap();
        assert_eq!(gateway.get("/").await.text(), "here");
    }
}

#[tokio::test]
async fn the_last_valid_configuration_is_served_after_a_crash() {
    let gateway = Gateway::with(HERE).start().await;
    let before = gateway.server_id();
    gateway.write("[[site]]\nnonsense = 1\n");
    kill(pid(before), Signal::SIGKILL).unwrap();
    assert_eq!(gateway.get("/").await.text(), "here");
    gateway
        .log
        .wait_for(|line| line.contains("the configuration has errors now"))
        .await;
    // It is repaired, and a reload puts it in force.
    let line = gateway.reload(&HERE.replace("here", "there")).await;
    assert!(line.contains("reloaded"), "{line}");
    assert_eq!(gateway.get("/").await.text(), "there");
}

#[tokio::test]
async fn nothing_is_left_of_a_killed_parent_and_requests_in_flight_are_finished() {
    for _ in 0..scale(3, 50) {
        let gate = Gate::new();
        let responder = ScriptedResponder::start([Script::held(&gate, "\nfinished")]).await;
        let gateway = Gateway::start(&responder.site("")).await;
        let (parent, server) = (gateway.process_id(), gateway.server_id());
        let mut client = Connection::open(gateway.address()).await;
        client.start(&Request::get("/")).await;
        responder
            .wait_until("the request", |seen| seen.busy == 1)
            .await;
        kill(pid(parent), Signal::SIGKILL).unwrap();
        eventually("the listener is closed", PATIENCE, async || {
            gateway.address().try_connect().await.is_err()
        })
        .await;
        gate.pass(1);
        let response = client.response().await;
        assert_eq!(
            (response.text().as_str(), response.whole),
            ("finished", true),
            "{:#?}",
            gateway.log.all()
        );
        eventually("the server has ended", PATIENCE, async || !is_there(server)).await;
    }
}

#[tokio::test]
async fn upgrades_and_other_servers_lose_no_request() {
    let gate = Gate::new();
    let held = Script::new()
        .read_request()
        .stdout("Content-Type: text/event-stream\n\ndata: 1\n\n")
        .wait(&gate)
        .stdout("data: end\n\n")
        .end_request();
    let scripts = [held, Script::answer("\nok")];
    let (_responder, gateway) = Gateway::with_app(scripts).admin().start().await;
    let parent = gateway.process_id();
    let mut stream = Connection::open(gateway.address()).await;
    stream.start(&Request::get("/events")).await;
    assert_eq!(stream.head().await.status, 200);
    let (done, is_done) = oneshot::channel::<()>();
    let load = Clients::get("/", 8);
    let changes = async {
        for round in 0..scale(4, 20) {
            let before = gateway.server_id();
            if round % 2 == 0 {
                gateway.signal(Signal::SIGUSR2);
            } else {
                gateway.change_workers(1 + round % 3);
            }
            another_server(&gateway, before).await;
            // The one before drains from now on.
            gateway
                .log
                .wait_many(0, round + 1, |line| {
                    line.contains("a new server has taken over")
                        || line.contains("a server of the new program has taken over")
                })
                .await;
        }
        done.send(()).unwrap();
    };
    let ended = async { is_done.await.unwrap() };
    let (tally, ()) = tokio::join!(load.ask(gateway.address(), ended), changes);
    tally.all_well();
    assert_eq!(gateway.process_id(), parent);
    gate.pass(1);
    let mut rest = Vec::new();
    while let Some(piece) = stream.piece().await.unwrap() {
        rest.extend(piece);
    }
    assert!(String::from_utf8(rest).unwrap().ends_with("data: end\n\n"));
    assert!(gateway.terminate().await.success());
}

/// A launcher that starts fcgate by the link in its folder.
fn by_link(folder: &Path) -> Vec<String> {
    let link = folder.join("fcgate").display().to_string();
    let script = format!("shift; exec {link} \"$@\"");
    ["sh", "-c", &script, "sh"].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn an_upgrade_that_fails_leaves_the_running_program_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let link = |target: &Path| {
        let new = folder.path().join("new");
        symlink(target, &new).unwrap();
        fs::rename(&new, folder.path().join("fcgate")).unwrap();
    };
    let program = Path::new(env!("CARGO_BIN_EXE_fcgate"));
    link(program);
    let broken = folder.path().join("broken");
    fs::write(&broken, "#!/bin/sh\nexit 3\n").unwrap();
    fs::set_permissions(&broken, fs::Permissions::from_mode(0o755)).unwrap();
    let gateway = Gateway::with(HERE)
        .under(&by_link(folder.path()))
        .start()
        .await;
    let before = gateway.server_id();
    for (target, reason) in [
        (Path::new("/dev/null"), "fcgate: Permission denied"),
        (&broken, "the new server ended: exit code 3"),
    ] {
        link(target);
        let seen = gateway.log.count();
        gateway.signal(Signal::SIGUSR2);
        let refused = |line: &str| line.contains("upgrade refused, the running program goes on");
        let line = gateway.log.wait_after(seen, refused).await;
        assert!(line.contains(reason), "{line}");
        assert_eq!(gateway.server_id(), before);
        assert_eq!(gateway.get("/").await.text(), "here");
    }
    link(program);
    gateway.signal(Signal::SIGUSR2);
    another_server(&gateway, before).await;
    gateway
        .log
        .wait_for(|line| line.contains("this program has taken over"))
        .await;
    assert_eq!(gateway.get("/").await.text(), "here");
}

/// Lines of proc_pid_status(5) of each thread of a process.
fn statuses(process: u32) -> Vec<String> {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    threads
        .map(|thread| fs::read_to_string(thread.unwrap().path().join("status")).unwrap())
        .collect()
}

fn field<'a>(status: &'a str, name: &str) -> &'a str {
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    line.unwrap().trim()
}

#[tokio::test]
async fn no_thread_of_the_server_has_a_right_of_root() {
    if !geteuid().is_root() {
        return;
    }
    let attempts = "read /etc/shadow\nlist /root\nwrite /var/tmp/fcgate-attempt\nexecute /bin/true";
    let gateway = Gateway::with(&format!("[server]\nuser = \"www-data\"\n{HERE}"))
        .under(&["env", &format!("FCGATE_ATTEMPTS={attempts}")])
        .start()
        .await;
    let user = User::from_name("www-data").unwrap().unwrap();
    let statuses = statuses(gateway.server_id());
    assert!(statuses.len() > 2, "{statuses:?}");
    for status in &statuses {
        let mut ids = field(status, "Uid:").split_whitespace();
        assert!(ids.all(|it| it == user.uid.to_string()), "{status}");
        for set in ["CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"] {
            assert_eq!(
                field(status, set).trim_start_matches('0'),
                "",
                "{set} {status}"
            );
        }
        assert_eq!(field(status, "NoNewPrivs:"), "1");
        assert_eq!(field(status, "Seccomp:"), "2");
    }
    for attempt in attempts.lines() {
        let line = gateway
            .log
            .wait_for(|line| line.contains("attempted") && line.contains(attempt))
            .await;
        assert!(!line.contains("result=\"done\""), "{line}");
    }
}

#[tokio::test]
async fn a_root_that_is_another_folder_is_served_by_another_server() {
    let folder = tempfile::TempDir::new().unwrap();
    let base = folder.path().to_owned();
    for release in ["1", "2"] {
        write_below(&base.join(release), "a.txt", release);
    }
    fs::rename(base.join("1"), base.join("root")).unwrap();
    let config = format!("[[site]]\nroot = \"{}/root\"\n", base.display());
    let gateway = Gateway::start_in(folder, &config).await;
    let before = gateway.server_id();
    assert_eq!(gateway.get("/a.txt").await.text(), "1");
    fs::rename(base.join("root"), base.join("old")).unwrap();
    fs::rename(base.join("2"), base.join("root")).unwrap();
    eventually("the other folder", PATIENCE, async || {
        require(gateway.get("/a.txt").await.text(), |text| text == "2")
    })
    .await;
    assert!(another_server(&gateway, before).await > 0);
}
