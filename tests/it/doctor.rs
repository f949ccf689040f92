//! `fcgate doctor`: broken set-ups of PHP, each named by doctor and by the log in its own words.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use crate::harness::gateway::{bound_by_permissions, run, run_under};
use crate::harness::php_fpm::{Setup, free_port};
use crate::harness::scripted_responder::Setup as Responder;
use crate::harness::{Address, Gateway, PhpFpm, Request, Script};

/// What doctor says, and its exit code.
pub(crate) struct Report {
    pub(crate) findings: Vec<Value>,
    pub(crate) code: i32,
}

impl Report {
    pub(crate) fn of(output: &std::process::Output) -> Self {
        let report: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {output:?}"));
        Self {
            findings: report["findings"].as_array().unwrap().clone(),
            code: output.status.code().unwrap(),
        }
    }

    /// The one finding whose `what` has these words; it is as bad as that.
    #[track_caller]
    pub(crate) fn has(&self, severity: &str, words: &str) -> &Value {
        let told = |finding: &&Value| finding["what"].as_str().unwrap().contains(words);
        let found: Vec<_> = self.findings.iter().filter(told).collect();
        let [finding] = found.as_slice() else {
            panic!("`{words}` {} times in {:#?}", found.len(), self.findings)
        };
        assert_eq!(finding["severity"], severity, "{finding:#}");
        finding
    }

    /// How many there are.
    fn errors(&self) -> usize {
        let errors = self.findings.iter();
        errors
            .filter(|finding| finding["severity"] == "error")
            .count()
    }
}

fn doctor(config: &str, more: &[&str]) -> Report {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fcgate.toml");
    std::fs::write(&file, config).unwrap();
    let arguments = [&["doctor", "--json", "-c", file.to_str().unwrap()], more].concat();
    Report::of(&run(&arguments))
}

/// Lets the server's user connect to a socket of the test.
fn share_socket(address: &Address) {
    if let Address::Unix(path) = address {
        share(path.parent().unwrap());
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o666)).unwrap();
    }
}

/// PHP-FPM whose root and socket are open to the server's user.
async fn shared_php(setup: Setup) -> PhpFpm {
    let php = setup.start().await;
    share(php.root().parent().unwrap());
    share_socket(php.address());
    php
}

/// With a small `timeouts.queue`, so that what is down fails soon.
pub(crate) fn hasty(php: &str, root: &Path) -> String {
    format!(
        "[server]\nlimits = {{ connections = 100 }}\n[upstream.php]\nservers = [\"{php}\"]\ntimeouts = {{ queue = \"300ms\" }}\n\
         [[site]]\nroot = \"{}\"\nphp = \"php\"\n",
        root.display()
    )
}

/// Lets the server's user search a folder of the test.
pub(crate) fn share(folder: &Path) {
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o755)).unwrap();
}

fn site_root() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    share(root.path());
    std::fs::write(root.path().join("index.php"), "<?php echo 'here';").unwrap();
    root
}

/// The status of the first request, once the log has the words.
async fn log_says(config: &str, words: &str) -> u16 {
    let gateway = Gateway::start(config).await;
    let status = gateway.get("/").await.status;
    gateway.log.wait_for(|line| line.contains(words)).await;
    status
}

#[tokio::test]
async fn a_socket_that_is_not_there() {
    let root = site_root();
    let socket = format!("unix:{}/none.sock", root.path().display());
    let config = hasty(&socket, root.path());
    let report = doctor(&config, &[]);
    let finding = report.has("error", "the socket does not exist");
    assert_eq!(finding["about"], socket);
    assert!(
        finding["fix"].as_str().unwrap().contains("start PHP-FPM"),
        "{finding:#}"
    );
    assert_eq!((report.code, report.errors()), (2, 1));
    assert_eq!(log_says(&config, "No such file or directory").await, 503);
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on() {
    let root = site_root();
    let path = root.path().join("left.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    share_socket(&Address::Unix(path.clone()));
    let config = hasty(&format!("unix:{}", path.display()), root.path());
    let report = doctor(&config, &[]);
    report.has(
        "error",
        "the socket has no listener: a killed PHP-FPM left it",
    );
    assert_eq!(report.code, 2);
    assert_eq!(log_says(&config, "Connection refused").await, 503);
}

#[tokio::test]
async fn a_socket_that_we_may_not_connect_to() {
    let root = site_root();
    let path = root.path().join("theirs.sock");
    let _listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&path, Some(4_000_001), Some(4_000_002)).unwrap();
    }
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o060)).unwrap();
    let config = hasty(&format!("unix:{}", path.display()), root.path());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fcgate.toml");
    std::fs::write(&file, &config).unwrap();
    let arguments = ["doctor", "--json", "-c", file.to_str().unwrap()];
    let report = Report::of(&run_under(bound_by_permissions(), &arguments));
    let finding = report.has("error", "no permission to connect to the socket");
    assert!(
        finding["what"]
            .as_str()
            .unwrap()
            .contains("0060, fcgate runs as"),
        "{finding:#}"
    );
    assert!(
        finding["fix"].as_str().unwrap().contains("listen.mode"),
        "{finding:#}"
    );
    assert_eq!(report.code, 2);

    let gateway = Gateway::with(&config)
        .in_folder(directory)
        .under(bound_by_permissions());
    let gateway = gateway.start().await;
    assert_eq!(gateway.get("/").await.status, 503);
    gateway
        .log
        .wait_for(|line| line.contains("UPSTREAM_DENIED") && line.contains("listen.mode"))
        .await;
}

#[tokio::test]
async fn something_else_than_php_fpm() {
    let root = site_root();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    // A web server that refuses whatever comes.
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut buffer = [0; 1024];
                let _ = tokio::io::AsyncReadExt::read(&mut stream, &mut buffer).await;
                let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
            });
        }
    });
    let config = hasty(&address.to_string(), root.path());
    let asked = config.clone();
    let report = tokio::task::spawn_blocking(move || doctor(&asked, &[]))
        .await
        .unwrap();
    let finding = report.has(
        "error",
        "does not speak FastCGI: a record has FastCGI version 72",
    );
    assert!(
        finding["fix"]
            .as_str()
            .unwrap()
            .contains("not that of a web server")
    );
    assert_eq!((report.code, report.errors()), (2, 1));
    let status = log_says(&config, "a record has FastCGI version 72").await;
    assert!(matches!(status, 502 | 503), "{status}");
}

/// An HTTP server that waits for the end of a line, which no probe has.
#[tokio::test]
async fn something_else_that_is_silent_at_first() {
    let root = site_root();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                // Longer than a probe.
                let mut buffer = [0; 128];
                let read = tokio::io::AsyncReadExt::read_exact(&mut stream, &mut buffer);
                if read.await.is_ok() {
                    let answer = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
                    let _ = tokio::io::AsyncWriteExt::write_all(&mut stream, answer).await;
                }
            });
        }
    });
    let config = hasty(&address.to_string(), root.path());
    let report = tokio::task::spawn_blocking(move || doctor(&config, &[]));
    let report = report.await.unwrap();
    report.has(
        "error",
        "does not speak FastCGI: a record has FastCGI version 72",
    );
    let of_it = |finding: &&Value| finding["about"] == address.to_string();
    assert_eq!(report.findings.iter().filter(of_it).count(), 1);
}

/// The other servers of an upstream get what one cannot.
#[tokio::test]
async fn one_of_several_servers_that_is_down() {
    let php = shared_php(Setup::new(1)).await;
    php.write("index.php", "<?php echo 'here';");
    let (up, down) = (php.address().to_string(), free_port().to_string());
    for (servers, more, others_serve) in [
        (format!("\"{up}\", \"{down}\""), "", true),
        (format!("\"{down}\", \"{}\"", free_port()), "", false),
        (
            format!("\"{up}\", \"{down}\""),
            "\n[[site.rule]]\npath = '/x'\nfastcgi = { upstream = 'DOWN' }\n",
            false,
        ),
    ] {
        let config = hasty("SERVERS", &php.root()).replace("\"SERVERS\"", &servers);
        let report = doctor(&(config + &more.replace("DOWN", &down)), &[]);
        let finding = report.findings.iter().find(|it| it["about"] == *down);
        let why = finding.unwrap()["why"].as_str().unwrap();
        assert_eq!(why.contains("the other servers"), others_serve, "{why}");
        assert_eq!(why.contains("503"), !others_serve, "{why}");
    }
}

#[test]
fn an_access_log_that_cannot_be_written_is_told_once() {
    let root = site_root();
    let log = root.path().join("none/access.log");
    let file = root.path().join("fcgate.toml");
    let config = hasty(&free_port().to_string(), root.path());
    let key = format!("[server]\naccess_log = {{ to = \"{}\" }}", log.display());
    // A warning besides.
    let rule = "[[site.rule]]\nmatch = '^/(.*)$'\nrewrite = { to = '/app.php' }\n";
    std::fs::write(&file, config.replacen("[server]", &key, 1) + rule).unwrap();
    let output = run(&["doctor", "-c", file.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    let told = text.matches("cannot write").count();
    assert_eq!((told, text.contains("warning: ")), (1, false), "{text}");
    assert!(
        text.contains("error   logs: cannot write the log /"),
        "{text}"
    );
    assert!(text.contains(": this rewrite loops"), "{text}");
}

/// As in a container that has the files elsewhere.
#[tokio::test]
async fn a_root_that_php_does_not_see() {
    let php = shared_php(Setup::new(1)).await;
    php.write("index.php", "<?php echo 'here';");
    let config = format!(
        "[upstream.php]\nservers = [\"{}\"]\nbackend_root = \"/nowhere/public\"\n\
         [[site]]\nroot = \"{}\"\nphp = \"php\"\n",
        php.address(),
        php.root().display()
    );
    let report = doctor(&config, &[]);
    report.has(
        "fine",
        "answers probes and keeps the connection open (Kept)",
    );
    let finding = report.has(
        "error",
        "PHP does not see the document root /nowhere/public",
    );
    let fix = finding["fix"].as_str().unwrap();
    assert!(
        fix.contains("`backend_root` makes another path of it"),
        "{fix}"
    );
    assert_eq!((report.code, report.errors()), (2, 1));
    assert_eq!(
        log_says(&config, "`backend_root` makes another path of it").await,
        404
    );
}

/// PHP has the same path, with other files: a root that was mounted twice.
#[tokio::test]
async fn a_script_that_php_does_not_see() {
    let unknown = || {
        let says = Script::new()
            .read_request()
            .stderr("Primary script unknown");
        says.stdout("Status: 404 Not Found\r\n\r\nFile not found.\n")
            .end_request()
    };
    let refused = "Status: 403 Forbidden\r\n\r\nAccess denied.\n";
    // The control question, the root, a file that is no script, and a client's request.
    let scripts = [unknown(), Script::answer(refused), unknown(), unknown()];
    let php = Responder::new(scripts).like_php_fpm().start().await;
    share_socket(php.address());
    let root = site_root();
    std::fs::write(root.path().join("style.css"), "").unwrap();
    let config = hasty(&php.address().to_string(), root.path());
    let asked = config.clone();
    let report = tokio::task::spawn_blocking(move || doctor(&asked, &[]))
        .await
        .unwrap();
    let finding = report.has(
        "error",
        "style.css, which is here: its document root is another folder",
    );
    assert!(
        finding["fix"]
            .as_str()
            .unwrap()
            .contains("the script exists here"),
        "{finding:#}"
    );
    assert_eq!(report.code, 2);
    assert!(
        php.requests()
            .iter()
            .all(|request| !request.param("SCRIPT_FILENAME").ends_with(".php"))
    );
    assert_eq!(log_says(&config, "does not run the script").await, 404);
}

/// Bodies that the gateway takes and PHP does not; and a time that PHP-FPM ends first.
#[tokio::test]
async fn limits_that_do_not_agree() {
    let setup = Setup::new(1)
        .line("php_admin_value[post_max_size] = 1K")
        .line("request_terminate_timeout = 20s")
        .line("pm.status_path = /fpm-status")
        .line("ping.path = /fpm-ping");
    let php = shared_php(setup).await;
    php.write("index.php", "<?php echo count($_POST);");
    let pool = php.root().with_file_name("php-fpm.conf");
    let report = doctor(&php.site(), &["--pool", pool.to_str().unwrap()]);
    report.has("fine", "PHP sees the document root");
    report.has("fine", "/fpm-ping answers pong");
    report.has("fine", "all workers were busy 0 times");
    report.has(
        "warning",
        "post_max_size = 1KiB is less than limits.body = 32MiB",
    );
    report.has(
        "warning",
        "upload_max_filesize = 2MiB is more than post_max_size = 1KiB",
    );
    report.has(
        "warning",
        "request_terminate_timeout = 20 s is shorter than timeouts.first_byte",
    );
    report.has("warning", "pm.max_children = 1");
    report.has("note", "process_control_timeout = 0");
    assert_eq!((report.code, report.errors()), (1, 0));

    let gateway = Gateway::start(&php.site()).await;
    let form = Request::post("/").field("Content-Type", "application/x-www-form-urlencoded");
    let answer = gateway
        .send(&form.body("a=".to_owned() + &"1".repeat(4096)))
        .await;
    assert_eq!((answer.status, answer.text().ends_with('0')), (200, true));
    gateway
        .log
        .wait_for(|line| line.contains("POST Content-Length"))
        .await;
}

/// Nothing of the application runs, unless that is wanted.
#[tokio::test]
async fn a_site_that_works() {
    let setup = Setup::new(2)
        .global("process_control_timeout = 10s")
        .line("php_admin_value[upload_max_filesize] = 8M");
    let php = shared_php(setup).await;
    php.write("index.php", "<?php touch(__DIR__ . '/ran'); echo 'here';");
    php.write("style.css", "body {}");
    let pool = php.root().with_file_name("php-fpm.conf");
    let config = format!("[server]\nlimits = {{ body = \"8MiB\" }}\n{}", php.site());
    let pool = ["--pool", pool.to_str().unwrap()];
    let report = doctor(&config, &pool);
    report.has("fine", "style.css in it");
    report.has("fine", "the root is here and can be read");
    let unwanted = |finding: &&Value| {
        finding["severity"] != "fine"
            && finding["about"] != "open files"
            && finding["about"] != "kernel"
    };
    let unwanted: Vec<_> = report.findings.iter().filter(unwanted).collect();
    assert_eq!(unwanted, Vec::<&Value>::new());
    assert!(!php.root().join("ran").exists());
    let report = doctor(&config, &[&pool[..], &["--run"]].concat());
    report.has("fine", "/index.php answers HEAD with 200");
    assert!(php.root().join("ran").exists());
}

#[tokio::test]
async fn applications_that_do_not_keep_probed_connections() {
    let root = site_root();
    for (class, closes) in [("note", true), ("warning", false)] {
        let setup = Responder::new([Script::answer("X-A: 1\r\n\r\n")]);
        let setup = if closes {
            setup.closes()
        } else {
            setup.silent()
        };
        let responder = setup.start().await;
        share_socket(responder.address());
        let config = hasty(&responder.address().to_string(), root.path());
        let config = config.replace("timeouts", "type = \"generic\"\ntimeouts");
        let report = tokio::task::spawn_blocking(move || doctor(&config, &[]));
        let report = report.await.unwrap();
        report.has(
            class,
            if closes {
                "closes the connection (Closes)"
            } else {
                "it answers requests but no probe (Silent)"
            },
        );
        report.has(
            "note",
            "not checked: a generic application is not asked for PHP's files",
        );
        assert_eq!(report.code, if closes { 0 } else { 1 });
        assert_eq!(responder.requests().len(), 0);
    }
}

#[test]
fn a_report_is_for_people_too() {
    let root = site_root();
    let file = root.path().join("fcgate.toml");
    let nobody = free_port().to_string();
    std::fs::write(&file, hasty(&nobody, Path::new("/no/such/root"))).unwrap();
    let output = run(&["doctor", "-c", file.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "error   /no/such/root: the root does not exist here\n        why: ".to_owned(),
        format!("error   {nobody}: no process listens there\n"),
        "        do:  start PHP-FPM".to_owned(),
    ] {
        assert!(text.contains(&part), "{part} is not in\n{text}");
    }
    assert_eq!(output.status.code(), Some(2));
    std::fs::write(&file, "[[sight]]").unwrap();
    let output = run(&["doctor", "-c", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stdout)
            .unwrap()
            .contains("unknown key `sight`")
    );
}

/// Two upstreams, a mount and many rules that all lead to one pool.
#[tokio::test]
async fn each_finding_is_told_once() {
    let php = shared_php(Setup::new(2)).await;
    php.write("index.php", "<?php echo 'here';");
    let (address, root) = (php.address().to_string(), php.root().display().to_string());
    let config = format!(
        "[upstream.one]\nservers = [\"{address}\", \"{address}\"]\n[upstream.two]\nservers = \"{address}\"\n\
         [[site]]\nhosts = \"a.test\"\nroot = \"{root}\"\nphp = \"one\"\n\
         [[site.mount]]\npath = \"/m\"\nroot = \"{root}\"\nphp = \"two\"\n\
         [[site]]\nhosts = \"b.test\"\nroot = \"{root}\"\nphp = \"{address}\"\n"
    );
    let pool = php.root().with_file_name("php-fpm.conf");
    let pool = pool.to_str().unwrap();
    let report = doctor(&config, &["--pool", pool, "--pool", pool, "--run"]);
    for finding in &report.findings {
        let same = report.findings.iter().filter(|other| *other == finding);
        assert_eq!(same.count(), 1, "{finding:#}");
    }
    report.has(
        "fine",
        "answers probes and keeps the connection open (Kept)",
    );
    report.has("fine", "others wait in the gateway");
    report.has("fine", "the root is here and can be read");
    report.has("fine", "/index.php answers HEAD with 200");
    report.has("note", "less than post_max_size");
}

#[tokio::test]
async fn that_requests_wait_is_said_where_they_do() {
    let root = site_root();
    // Nothing listens: it may come back. A socket of datagrams never takes a stream.
    let gone = format!("unix:{}/none.sock", root.path().display());
    let path = root.path().join("datagrams.sock");
    let _socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    share_socket(&Address::Unix(path.clone()));
    let never = format!("unix:{}", path.display());
    for (address, waits) in [(gone, true), (never, false)] {
        let config = hasty(&address, root.path());
        let report = doctor(&config, &[]);
        let finding = report
            .findings
            .iter()
            .find(|found| found["about"] == address);
        let why = finding.unwrap()["why"].as_str().unwrap();
        assert_eq!(why.contains("waits for it"), waits, "{why}");
        assert_eq!(why.contains("at once"), !waits, "{why}");
        let gateway = Gateway::start(&config).await;
        assert_eq!(gateway.get("/").await.status, 503);
        let line = gateway
            .log
            .wait_for(|line| line.contains("the server fails"))
            .await;
        assert_eq!(line.contains("requests wait for it"), waits, "{line}");
    }
}
