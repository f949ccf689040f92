//! fcgate under a service manager (sd_notify(3)): the test is the manager, with a socket for its messages.

use std::fs;
use std::os::unix::net::UnixDatagram;

use tempfile::TempDir;

use crate::harness::php_fpm::free_port;
use crate::harness::{Gateway, PATIENCE, eventually, require};

const HELLO: &str = "[[site]]\nrule = [{ respond = { body = \"hello\" } }]\n";

/// The manager's end.
struct Manager {
    folder: TempDir,
    socket: UnixDatagram,
    /// The messages so far, a line for each, without those of the watchdog and of the status.
    messages: Vec<String>,
    /// Number of messages to the watchdog.
    fed: usize,
}

impl Manager {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(folder.path().join("notify")).unwrap();
        socket.set_nonblocking(true).unwrap();
        Self {
            folder,
            socket,
            messages: Vec::new(),
            fed: 0,
        }
    }

    /// Returns what starts a program under this manager, with a watchdog of two seconds.
    fn launcher(&self) -> Vec<String> {
        let socket = format!("NOTIFY_SOCKET={}/notify", self.folder.path().display());
        ["env", &socket, "WATCHDOG_USEC=2000000"]
            .map(str::to_owned)
            .to_vec()
    }

    fn receive(&mut self) {
        let mut buffer = [0; 4096];
        while let Ok(length) = self.socket.recv(&mut buffer) {
            let text = String::from_utf8(buffer[..length].to_vec()).unwrap();
            self.fed += usize::from(text == "WATCHDOG=1");
            let lines = text.lines().filter(|line| !line.starts_with("STATUS="));
            let line = lines.collect::<Vec<_>>().join(" ");
            if !line.is_empty() && line != "WATCHDOG=1" {
                self.messages.push(line);
            }
        }
    }

    /// Waits for the next message after the first `seen`, which begins with these words.
    async fn expect(&mut self, seen: usize, words: &str) -> String {
        let message = eventually(words, PATIENCE, async || {
            self.receive();
            require(self.messages.get(seen).cloned(), Option::is_some)
        });
        let message = message.await.unwrap();
        assert!(message.starts_with(words), "{message}: {:?}", self.messages);
        message
    }
}

#[tokio::test]
async fn a_life_is_announced_to_the_manager() {
    let mut manager = Manager::new();
    let port = free_port();
    let config = format!("[[listen]]\naddress = \"{port}\"\n{HELLO}");
    let gateway = Gateway::with(&config).under(&manager.launcher());
    let gateway = gateway.start().await;
    let name = port.to_string().replace(':', "%3A");
    manager
        .expect(0, &format!("FDSTORE=1 FDNAME=fcgate-listener={name}"))
        .await;
    manager.expect(1, "READY=1").await;
    eventually("a watchdog that is fed again", PATIENCE, async || {
        manager.receive();
        require(manager.fed, |fed| *fed > 2)
    })
    .await;
    for config in [config.replace("hello", "again"), "rot = 1".to_owned()] {
        let seen = manager.messages.len();
        gateway.reload(&config).await;
        let reloading = manager.expect(seen, "RELOADING=1 MONOTONIC_USEC=").await;
        let time = reloading.rsplit('=').next().unwrap();
        assert!(time.parse::<u64>().unwrap() > 0, "{reloading}");
        // The listener is the same, and so the store.
        manager.expect(seen + 1, "READY=1").await;
    }
    let seen = manager.messages.len();
    gateway.terminate().await;
    manager
        .expect(seen, "STOPPING=1 EXTEND_TIMEOUT_USEC=")
        .await;
    assert_eq!(manager.messages.len(), seen + 1, "{:?}", manager.messages);
}

#[tokio::test]
async fn servers_and_programs_have_no_variable_of_the_manager() {
    let manager = Manager::new();
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("environment");
    let script = format!(
        "env > {0}.new; mv {0}.new {0}; exec sleep 1000",
        list.display()
    );
    let config = format!(
        "{HELLO}[process.list]\ncommand = [\"sh\", \"-c\", \"{script}\"]\npass_environment = [\"*\"]\n"
    );
    let gateway = Gateway::with(&config).under(&manager.launcher());
    let gateway = gateway.start().await;
    let listed = eventually("the environment of a program", PATIENCE, async || {
        require(fs::read_to_string(&list).unwrap_or_default(), |text| {
            !text.is_empty()
        })
    });
    let mut environments = vec![listed.await];
    let children = format!("/proc/{0}/task/{0}/children", gateway.process_id());
    for child in fs::read_to_string(children).unwrap().split_whitespace() {
        // A zero byte ends each.
        let variables = fs::read(format!("/proc/{child}/environ")).unwrap_or_default();
        environments.push(String::from_utf8_lossy(&variables).replace('\0', "\n"));
    }
    assert!(environments.len() > 1);
    for environment in environments {
        for name in ["NOTIFY_SOCKET=", "WATCHDOG_USEC="] {
            let has_it = environment.lines().any(|line| line.starts_with(name));
            assert!(!has_it, "{environment}");
        }
    }
}

/// Binds the ports of its first two arguments, with the names that the descriptor store gives them, and becomes the program
/// in the others: what systemd does at a restart.
const RESTART: &str = r#"
use Socket;
$^F = 9; # descriptors up to this one are passed on
my @names;
for (1, 2) {
    my $port = shift @ARGV;
    socket(my $tcp, PF_INET, SOCK_STREAM, 0) or die $!;
    setsockopt($tcp, SOL_SOCKET, SO_REUSEADDR, 1);
    bind($tcp, sockaddr_in($port, INADDR_LOOPBACK)) or die $!;
    listen($tcp, 16) or die $!;
    push @kept, $tcp;
    push @names, "fcgate-listener=127.0.0.1%3A$port";
}
die "not the first descriptors" if fileno($kept[0]) != 3 || fileno($kept[1]) != 4;
$ENV{LISTEN_PID} = $$;
$ENV{LISTEN_FDS} = 2;
$ENV{LISTEN_FDNAMES} = join(":", @names);
exec @ARGV or die $!;
"#;

#[tokio::test]
async fn listeners_come_back_from_the_store_and_leave_it_when_they_are_unused() {
    let mut manager = Manager::new();
    let (used, unused) = (free_port(), free_port());
    let [used_port, unused_port] = [used, unused].map(|address| address.port().to_string());
    let config = format!("[[listen]]\naddress = \"{used}\"\n{HELLO}");
    let mut launcher = manager.launcher();
    let restart = ["perl", "-e", RESTART, &used_port, &unused_port];
    launcher.extend(restart.map(str::to_owned));
    // Bound by another, the port could not be bound again.
    let gateway = Gateway::with(&config).under(&launcher).start().await;
    assert_eq!(gateway.get("/").await.text(), "hello");
    let removed = format!("FDSTOREREMOVE=1 FDNAME=fcgate-listener=127.0.0.1%3A{unused_port}");
    manager.expect(0, &removed).await;
    manager.expect(1, "READY=1").await;
    let refused = std::net::TcpStream::connect(unused);
    assert_eq!(
        refused.unwrap_err().kind(),
        std::io::ErrorKind::ConnectionRefused
    );
}
