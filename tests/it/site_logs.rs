//! Access logs of sites and listeners: which of them a request has a line in, and reloads, rotations and full disks.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::admin::metric;
use crate::harness::gateway::check;
use crate::harness::php_fpm::write_below;
use crate::harness::{Files, Gateway, GatewaySetup, PATIENCE, Request, eventually, http1, require};

/// A site of this host with these keys, which answers each path with 200.
fn site(host: &str, keys: &str) -> String {
    format!(
        "[[site]]\nhosts = [\"{host}\"]\n{keys}\nrule = [{{ respond = {{ body = \"hello\" }} }}]\n"
    )
}

async fn get(gateway: &Gateway, host: &str, target: &str) {
    let request = Request::get(target).field("Host", host);
    assert_eq!(gateway.send(&request).await.status, 200, "{target}");
}

/// The lines of a file that there may not be yet.
fn lines(file: &Path) -> Vec<String> {
    let text = fs::read_to_string(file).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Waits until a file has exactly these lines.
async fn wait_for_lines(file: &Path, expected: &[&str]) {
    let what = format!("the lines of {}", file.display());
    eventually(&what, PATIENCE, async || {
        require(lines(file), |lines| *lines == expected)
    })
    .await;
}

const SHORT: &str = "format = '%{Host}i %U %>s'";

#[tokio::test]
async fn a_site_or_a_listener_has_a_log_of_its_own() {
    let own = format!("access_log = {{ to = \"{{folder}}/own.log\", {SHORT} }}");
    let both = format!(
        "access_log = [{{ to = \"{{folder}}/both.log\", {SHORT} }}, {{ to = \"stdout\", {SHORT} }}]"
    );
    let by_listener = format!("access_log = {{ to = \"{{folder}}/listener.log\", {SHORT} }}");
    let gateway = Gateway::with(&site("none.example", ""))
        .server(&format!("access_log = {{ {SHORT} }}"))
        .section(&site("own.example", &own))
        .section(&site("shared.example", &own))
        .section(&site("both.example", &both))
        .section(&site("off.example", "access_log = \"off\""))
        .listen("")
        .listen(&by_listener)
        .start()
        .await;
    let [plain, logged] = gateway.addresses() else {
        panic!("two listeners")
    };
    for host in ["none", "own", "shared", "both", "off"] {
        for (address, target) in [(plain, "/1"), (logged, "/2")] {
            let request = Request::get(target).field("Host", &format!("{host}.example"));
            assert_eq!(http1::send(address, &request).await.status, 200);
        }
    }
    let file = |name: &str| gateway.directory().join(name);
    let expected = [
        "own.example /1 200",
        "own.example /2 200",
        "shared.example /1 200",
        "shared.example /2 200",
    ];
    wait_for_lines(&file("own.log"), &expected).await;
    let expected = ["both.example /1 200", "both.example /2 200"];
    wait_for_lines(&file("both.log"), &expected).await;
    wait_for_lines(&file("listener.log"), &["none.example /2 200"]).await;
    let stdout = gateway.access.wait_many(0, 3, |_| true).await;
    let expected = [
        "none.example /1 200",
        "both.example /1 200",
        "both.example /2 200",
    ];
    assert_eq!(stdout, expected);
}

#[tokio::test]
async fn conditions_leave_lines_out() {
    let rules = "[[site.rule]]\nheader = { name = \"User-Agent\", value = \"probe\" }\nset_env = { dontlog = \"1\" }\n\
        [[site.rule]]\nprefix = \"/missing\"\ndeny = { status = 404 }\n[[site.rule]]\nrespond = { body = \"hello\" }\n";
    let gateway = Gateway::with(&format!(
        "[[site]]\naccess_log = [{{ to = \"{{folder}}/all.log\", {SHORT}, unless = {{ any = [{{ path = \"/health\" }}] }} }}, \
         {{ to = \"{{folder}}/errors.log\", {SHORT}, when = {{ status = \"4xx\" }} }}, \
         {{ to = \"{{folder}}/people.log\", {SHORT}, unless = {{ env = \"dontlog\" }} }}]\n{rules}"
    ))
    .start()
    .await;
    for (target, agent) in [
        ("/health", "browser"),
        ("/health", "probe"),
        ("/a", "browser"),
        ("/missing", "browser"),
        ("/missing/2", "probe"),
        ("/%zz", "browser"),
    ] {
        let request = Request::get(target)
            .field("Host", "h")
            .field("User-Agent", agent);
        gateway.send(&request).await;
    }
    let file = |name: &str| gateway.directory().join(name);
    wait_for_lines(
        &file("all.log"),
        &[
            "h /a 200",
            "h /missing 404",
            "h /missing/2 404",
            "h /%zz 400",
        ],
    )
    .await;
    wait_for_lines(
        &file("errors.log"),
        &["h /missing 404", "h /missing/2 404", "h /%zz 400"],
    )
    .await;
    wait_for_lines(
        &file("people.log"),
        &["h /health 200", "h /a 200", "h /missing 404", "h /%zz 400"],
    )
    .await;
}

#[tokio::test]
async fn a_reload_adds_changes_and_removes_logs() {
    let config = |keys: &str| {
        format!(
            "[server]\naccess_log = {{ {SHORT} }}\n{}",
            site("a.example", keys)
        )
    };
    let folder = tempfile::tempdir().unwrap();
    let to = |name: &str, format: &str| {
        let path = folder.path().join(name).display().to_string();
        format!("access_log = {{ to = \"{path}\", format = '{format}' }}")
    };
    let gateway = Gateway::with(&config(&to("one.log", "%U"))).start().await;
    let reload = async |keys: &str| {
        let told = gateway.reload(&config(keys)).await;
        assert!(told.contains("reloaded"), "{told}");
    };
    get(&gateway, "a.example", "/1").await;
    reload(&to("one.log", "%m %U")).await;
    get(&gateway, "a.example", "/2").await;
    wait_for_lines(&folder.path().join("one.log"), &["/1", "GET /2"]).await;
    reload(&to("two.log", "%U")).await;
    get(&gateway, "a.example", "/3").await;
    wait_for_lines(&folder.path().join("two.log"), &["/3"]).await;
    reload("").await;
    get(&gateway, "a.example", "/4").await;
    let line = gateway.access.wait_for(|_| true).await;
    assert_eq!(line, "a.example /4 200");
    // The files that no configuration names are closed.
    let fds = format!("/proc/{}/fd", gateway.process_id());
    eventually("closed files", PATIENCE, async || {
        let open: Vec<PathBuf> = fs::read_dir(&fds)
            .unwrap()
            .filter_map(|entry| fs::read_link(entry.unwrap().path()).ok())
            .filter(|path| path.starts_with(folder.path()))
            .collect();
        require(open, Vec::is_empty)
    })
    .await;
    let told = gateway
        .reload(&config("access_log = \"/no/such/folder/log\""))
        .await;
    assert!(told.contains("reload refused"), "{told}");
    assert!(
        told.contains("cannot open the log /no/such/folder/log"),
        "{told}"
    );
    get(&gateway, "a.example", "/5").await;
    gateway.access.wait_for(|line| line.contains("/5")).await;
}

/// The gateway of one site with a log, `access.log` in its folder.
fn logging() -> GatewaySetup<Files> {
    Gateway::with(&site("a.example", ""))
        .server("access_log = { to = \"{folder}/access.log\", format = '%U' }")
}

#[tokio::test]
async fn a_file_that_was_renamed_or_removed_is_made_again() {
    let gateway = logging().start().await;
    let file = |name: &str| gateway.directory().join(name);
    get(&gateway, "a.example", "/1").await;
    wait_for_lines(&file("access.log"), &["/1"]).await;
    fs::rename(file("access.log"), file("access.log.1")).unwrap();
    // While nothing is logged, too.
    eventually("the new file", PATIENCE, async || {
        file("access.log").exists()
    })
    .await;
    get(&gateway, "a.example", "/2").await;
    wait_for_lines(&file("access.log"), &["/2"]).await;
    fs::remove_file(file("access.log")).unwrap();
    eventually("the new file", PATIENCE, async || {
        file("access.log").exists()
    })
    .await;
    get(&gateway, "a.example", "/3").await;
    wait_for_lines(&file("access.log"), &["/3"]).await;
    assert_eq!(lines(&file("access.log.1")), ["/1"]);
    gateway.signal(Signal::SIGUSR1);
    get(&gateway, "a.example", "/4").await;
    wait_for_lines(&file("access.log"), &["/3", "/4"]).await;
}

/// A folder of logs that can be searched and nothing else, by a gateway of another user if root runs the tests.
struct ShutFolder(PathBuf);

impl ShutFolder {
    fn below(folder: &Path) -> Self {
        // The user of the gateway must get there.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o711)).unwrap();
        let shut = Self(folder.join("logs"));
        fs::create_dir(&shut.0).unwrap();
        shut
    }

    /// The user of the launched gateway, as a key.
    fn user() -> &'static str {
        if geteuid().is_root() {
            "user = \"65534\""
        } else {
            ""
        }
    }

    fn launcher() -> &'static [&'static str] {
        if geteuid().is_root() {
            &["setpriv", "--reuid=65534", "--clear-groups", "--"]
        } else {
            &["env"]
        }
    }

    /// Changes the folder, which is shut before and after.
    fn change(&self, change: impl FnOnce()) {
        let set = |mode| fs::set_permissions(&self.0, fs::Permissions::from_mode(mode)).unwrap();
        set(0o700);
        change();
        set(0o111);
    }

    /// Creates a log of the gateway's user.
    fn create(&self, log: &Path) {
        self.change(|| {
            fs::write(log, "").unwrap();
            if geteuid().is_root() {
                std::os::unix::fs::chown(log, Some(65_534), None).unwrap();
            }
        });
    }
}

impl Drop for ShutFolder {
    fn drop(&mut self) {
        // So that it can be removed.
        let _ = fs::set_permissions(&self.0, fs::Permissions::from_mode(0o700));
    }
}

#[tokio::test]
async fn a_rotation_is_noticed_without_rights_on_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let shut = ShutFolder::below(folder.path());
    let log = shut.0.join("access.log");
    shut.create(&log);
    let gateway = Gateway::with(&site("a.example", ""))
        .in_folder(folder)
        .server("access_log = { to = \"{folder}/logs/access.log\", format = '%U' }")
        .server(ShutFolder::user())
        .under(ShutFolder::launcher())
        .start()
        .await;
    get(&gateway, "a.example", "/1").await;
    wait_for_lines(&log, &["/1"]).await;
    shut.change(|| fs::rename(&log, shut.0.join("access.log.1")).unwrap());
    shut.create(&log);
    eventually("the line in the new file", PATIENCE, async || {
        get(&gateway, "a.example", "/2").await;
        lines(&log).contains(&"/2".to_owned())
    })
    .await;
    drop(shut);
}

#[tokio::test]
async fn logrotate_needs_no_script() {
    let gateway = logging().start().await;
    let folder = gateway.directory();
    get(&gateway, "a.example", "/1").await;
    wait_for_lines(&folder.join("access.log"), &["/1"]).await;
    let config = format!(
        "{}/*.log {{\n  rotate 3\n  missingok\n}}\n",
        folder.display()
    );
    write_below(folder, "rotate.conf", config);
    fs::set_permissions(
        folder.join("rotate.conf"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let output = Command::new(crate::harness::process::find_program(&[
        "/usr/sbin/logrotate",
        "logrotate",
    ]))
    .args(["--force", "--state"])
    .arg(folder.join("state"))
    .arg(folder.join("rotate.conf"))
    .output()
    .unwrap();
    assert!(output.status.success(), "{output:?}");
    eventually("the new file", PATIENCE, async || {
        folder.join("access.log").exists()
    })
    .await;
    get(&gateway, "a.example", "/2").await;
    wait_for_lines(&folder.join("access.log"), &["/2"]).await;
    assert_eq!(lines(&folder.join("access.log.1")), ["/1"]);
}

/// The launcher that mounts a file system of 64 KiB on a folder, with a file `filler` that leaves eight of them.
fn with_small_disk(folder: &Path) -> Vec<String> {
    fs::create_dir(folder).unwrap();
    let script = "mount -t tmpfs -o size=64k tmpfs \"$0\" && head -c 57344 /dev/zero >\"$0/filler\" && exec \"$@\"";
    let unshare: &[&str] = if geteuid().is_root() {
        &["unshare", "--mount"]
    } else {
        &["unshare", "--mount", "--user", "--map-root-user"]
    };
    let words = unshare.iter().copied().chain(["sh", "-c", script]);
    let mut launcher: Vec<String> = words.map(str::to_owned).collect();
    launcher.push(folder.display().to_string());
    launcher
}

/// The lines that the access logs have lost.
async fn dropped(gateway: &Gateway) -> f64 {
    let scrape = gateway.ask("/metrics").await.text();
    let labels = ["fcgate_log_lines_dropped_total", "log=\"access\""];
    metric(&scrape, &labels)
}

#[tokio::test]
async fn a_full_disk_costs_lines_and_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let small = folder.path().join("small");
    let launcher = with_small_disk(&small);
    let gateway = Gateway::with(&site("a.example", ""))
        .in_folder(folder)
        .server("access_log = { to = \"{folder}/small/access.log\", format = '%U.' }")
        .under(&launcher)
        .admin()
        .start()
        .await;
    let inside = |name: &str| {
        let root = PathBuf::from(format!("/proc/{}/root", gateway.process_id()));
        root.join(small.strip_prefix("/").unwrap()).join(name)
    };
    let long = "x".repeat(1000);
    let mut sent = 0;
    let mut get_many = async |count: u64| {
        for _ in 0..count {
            get(&gateway, "a.example", &format!("/{sent:05}{long}")).await;
            sent += 1;
        }
        sent
    };
    eventually("dropped lines", PATIENCE, async || {
        get_many(10).await;
        require(dropped(&gateway).await, |dropped| *dropped > 0.0)
    })
    .await;
    let is_failure = |line: &str| line.contains("cannot write the access log");
    gateway.log.wait_for(is_failure).await;
    fs::remove_file(inside("filler")).unwrap();
    let seen = gateway.log.count();
    let sent = get_many(3).await;
    let is_recovery = |line: &str| line.contains("access log written again; lines were lost");
    gateway.log.wait_after(seen, is_recovery).await;
    let is_whole = |line: &String| line.len() == 1007 && line.ends_with('.');
    let (all, whole) = eventually("all lines, written or lost", PATIENCE, async || {
        let all = lines(&inside("access.log"));
        let whole = all.iter().filter(|line| is_whole(line)).count();
        let known = whole as f64 + dropped(&gateway).await;
        require((all, whole), |_| known == sent as f64)
    })
    .await;
    // A line that was cut has a line of its own.
    assert!(all.len() <= whole + 1, "{} of {whole}", all.len());
    assert!(is_whole(all.last().unwrap()));
}

#[test]
fn faults_are_shown_where_they_stand() {
    let directory = tempfile::tempdir().unwrap();
    for (line, at, expected) in [
        (
            "access_log = { format = '%h %Z' }",
            "2:29",
            "unknown directive `%Z`",
        ),
        (
            "access_log = [{ to = \"log/a\" }]",
            "2:22",
            "`log/a` is not an absolute path",
        ),
        (
            "access_log = { unless = { status = [\"4x\"] } }",
            "2:37",
            "`4x` is not a status",
        ),
        (
            "access_log = \"/no/such/folder/log\"",
            "2:14",
            "cannot write the log /no/such/folder/log: No such file or directory",
        ),
    ] {
        let text = format!("[[site]]\n{line}\nrule = [{{ respond = {{ body = \"x\" }} }}]\n");
        write_below(directory.path(), "fcgate.toml", text);
        let output = check(&directory.path().join("fcgate.toml"));
        let told = String::from_utf8(output.stderr).unwrap();
        for part in [&format!("fcgate.toml:{at}"), expected] {
            assert!(told.contains(part), "{part:?} is not in:\n{told}");
        }
    }
}
