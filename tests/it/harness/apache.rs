//! A real Apache with a configuration, a directory and ports of its own, to compare with: Debian's apache2, event MPM.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::lines::Lines;
use super::php_fpm::free_port;
use super::process::{Process, find_program};
use super::tls::{Authority, Identity};
use super::{Address, Request, Response, http1};

/// A running Apache; stopped when dropped.
pub(crate) struct Apache {
    process: Process,
    /// Its error log and what it says on stderr.
    pub(crate) log: Lines,
    address: Address,
    tls_address: Address,
    _directory: TempDir,
}

/// What is loaded, all of it, whatever a test uses.
const MODULES: &[&str] = &[
    "mpm_event",
    "authn_core",
    "authn_file",
    "auth_basic",
    "authz_core",
    "authz_user",
    "authz_groupfile",
    "authz_host",
    "access_compat",
    "mime",
    "dir",
    "autoindex",
    "negotiation",
    "alias",
    "rewrite",
    "env",
    "setenvif",
    "headers",
    "expires",
    "filter",
    "deflate",
    "unique_id",
    "proxy",
    "proxy_fcgi",
    "ssl",
    "http2",
];

/// Where Debian has them.
const MODULE_FOLDER: &str = "/usr/lib/apache2/modules";

/// How often it is started on other ports when somebody else took them first.
const ATTEMPTS: usize = 5;

impl Apache {
    /// Starts it with these lines of httpd.conf and waits until it accepts connections.
    ///
    /// The lines stand in the main server: without a `DocumentRoot` or a `SetHandler` there is nothing to see. They may
    /// name `${PORT}` and `${TLS_PORT}`, the ports that it listens on. What the main server has holds for both ports;
    /// a `<VirtualHost *:${TLS_PORT}>` of the lines must say `SSLEngine on`. What it reads must be readable for its
    /// user: see [`let_it_read`].
    pub(crate) async fn start(lines: &str) -> Self {
        Self::start_as(lines, &Authority::new().issue(&["localhost"])).await
    }

    /// The same, with a certificate that the test knows.
    pub(crate) async fn start_as(lines: &str, identity: &Identity) -> Self {
        for _ in 0..ATTEMPTS {
            if let Some(apache) = Self::try_start(lines, identity).await {
                return apache;
            }
        }
        panic!("no port is free long enough for Apache")
    }

    /// Nothing when one of the ports was taken in the meantime.
    async fn try_start(lines: &str, identity: &Identity) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let_it_read(directory.path());
        identity.write(directory.path(), "tls");
        let (plain, tls) = (free_port(), free_port());
        let ports = (plain.port(), tls.port());
        let file = directory.path().join("apache.conf");
        std::fs::write(&file, configuration(directory.path(), ports, lines)).unwrap();
        let mut process = Process::spawn(&mut command(&file));
        let log = Lines::of("Apache's log", process.child().stderr.take().unwrap());
        let line = log
            .wait_for(|line| line.contains("resuming normal operations") || is_taken(line))
            .await;
        (!is_taken(&line)).then_some(Self {
            process,
            log,
            address: Address::Tcp(plain),
            tls_address: Address::Tcp(tls),
            _directory: directory,
        })
    }

    /// Where it speaks HTTP/1 and, with prior knowledge, HTTP/2 in clear text.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// Where it speaks HTTP/1.1 and HTTP/2 over TLS.
    pub(crate) fn tls_address(&self) -> &Address {
        &self.tls_address
    }

    pub(crate) fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Over HTTP/1.1 in clear text.
    pub(crate) async fn send(&self, request: &Request) -> Response {
        http1::send(self.address(), request).await
    }
}

impl Drop for Apache {
    /// TERM first, so that the parent ends its children and removes what it made; then the group is killed.
    fn drop(&mut self) {
        self.process.signal(Signal::SIGTERM);
        self.process.wait();
    }
}

/// Opens a folder that a test made for everybody to read: Apache's children are another user when root starts it.
pub(crate) fn let_it_read(folder: &Path) {
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o755)).unwrap();
}

fn command(file: &PathBuf) -> Command {
    let mut command = Command::new(find_program(&["apache2"]));
    command.arg("-DFOREGROUND").arg("-f").arg(file);
    // Scripts are told PATH and LD_LIBRARY_PATH of whoever starts it.
    command
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    command
}

/// Apache's words for a port that somebody else has.
fn is_taken(line: &str) -> bool {
    line.contains("AH00072")
}

fn configuration(directory: &Path, (port, tls_port): (u16, u16), lines: &str) -> String {
    let modules: String = MODULES
        .iter()
        .map(|name| format!("LoadModule {name}_module {MODULE_FOLDER}/mod_{name}.so\n"))
        .collect();
    let user = if nix::unistd::geteuid().is_root() {
        "User www-data\nGroup www-data\n"
    } else {
        ""
    };
    let directory = directory.display();
    format!(
        "Define PORT {port}\nDefine TLS_PORT {tls_port}\n{modules}{user}\
         ServerRoot {directory}\nDefaultRuntimeDir {directory}\nPidFile {directory}/apache.pid\n\
         ErrorLog /proc/self/fd/2\nLogLevel notice\nServerName localhost\nTypesConfig /etc/mime.types\n\
         Listen 127.0.0.1:${{PORT}}\nListen 127.0.0.1:${{TLS_PORT}}\nProtocols h2 h2c http/1.1\n\
         StartServers 1\nServerLimit 1\nThreadsPerChild 25\nMaxRequestWorkers 25\nMaxKeepAliveRequests 0\n\
         SSLCertificateFile {directory}/tls.pem\nSSLCertificateKeyFile {directory}/tls.key\n\
         {lines}\n\
         <VirtualHost *:${{TLS_PORT}}>\nSSLEngine on\n</VirtualHost>\n"
    )
}
