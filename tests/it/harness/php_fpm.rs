//! A real PHP-FPM with a pool of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use nix::unistd::Pid;
use tempfile::TempDir;

use super::Address;
use super::lines::Lines;
use super::process::{Process, find_program};

/// A running PHP-FPM and the document root that it serves; both are gone when dropped.
pub(crate) struct PhpFpm {
    process: Option<Process>,
    pub(crate) log: Option<Lines>,
    setup: Setup,
    address: Address,
    directory: TempDir,
}

/// What the pool is like.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    children: usize,
    tcp: bool,
    lines: String,
    global: String,
    files: Vec<(String, Vec<u8>)>,
}

impl Setup {
    /// `children` workers, always there, on a unix socket.
    pub(crate) fn new(children: usize) -> Self {
        Self {
            children,
            tcp: false,
            lines: String::new(),
            global: String::new(),
            files: Vec::new(),
        }
    }

    /// On a free port of 127.0.0.1.
    pub(crate) fn tcp(self) -> Self {
        Self { tcp: true, ..self }
    }

    /// A further line for the pool.
    pub(crate) fn line(self, line: &str) -> Self {
        Self {
            lines: self.lines + line + "\n",
            ..self
        }
    }

    /// A line for the section of the master.
    pub(crate) fn global(self, line: &str) -> Self {
        Self {
            global: self.global + line + "\n",
            ..self
        }
    }

    /// A file below the document root.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), content.as_ref().into()));
        self
    }

    /// Prepares the pool and does not start it yet.
    pub(crate) fn prepare(self) -> PhpFpm {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().join("public");
        std::fs::create_dir(&root).unwrap();
        for (name, content) in &self.files {
            write_below(&root, name, content);
        }
        let address = if self.tcp {
            Address::Tcp(free_port())
        } else {
            Address::Unix(directory.path().join("php.sock"))
        };
        PhpFpm {
            process: None,
            log: None,
            setup: self,
            address,
            directory,
        }
    }

    pub(crate) async fn start(self) -> PhpFpm {
        let mut php = self.prepare();
        php.start_again().await;
        php
    }
}

/// A port that nothing listens on now.
pub(crate) fn free_port() -> std::net::SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
}

impl PhpFpm {
    /// `children` workers on a unix socket.
    pub(crate) async fn start(children: usize) -> Self {
        Setup::new(children).start().await
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// The document root.
    pub(crate) fn root(&self) -> PathBuf {
        self.directory.path().join("public")
    }

    /// Writes a file below the document root.
    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        write_below(&self.root(), name, content);
    }

    /// A site of three lines for this PHP.
    pub(crate) fn site(&self) -> String {
        format!(
            "[[site]]\nroot = \"{}\"\nphp = \"{}\"\n",
            self.root().display(),
            self.address
        )
    }

    /// Kills it with all that it is doing.
    pub(crate) fn stop(&mut self) {
        self.process = None;
        self.log = None;
    }

    /// Starts it, after [`Setup::prepare`] or [`Self::stop`], and waits until it accepts connections.
    pub(crate) async fn start_again(&mut self) {
        let program = find_program(&[
            "php-fpm8.2",
            "php-fpm",
            "php-fpm8.4",
            "php-fpm8.3",
            "php-fpm8.1",
        ]);
        let config = self.directory.path().join("php-fpm.conf");
        std::fs::write(&config, self.config()).unwrap();
        let mut command = Command::new(program);
        command.arg("--nodaemonize").arg("--fpm-config").arg(config);
        if nix::unistd::geteuid().is_root() {
            command.arg("--allow-to-run-as-root");
        }
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command);
        let log = Lines::of("the log of PHP-FPM", process.child().stderr.take().unwrap());
        self.process = Some(process);
        log.wait_for(|line| line.contains("ready to handle connections"))
            .await;
        self.log = Some(log);
    }

    /// Kills it and starts it again on the same address.
    pub(crate) async fn restart(&mut self) {
        self.stop();
        self.start_again().await;
    }

    /// Has the master start again in place, as a reload does (SIGUSR2), and waits until it is ready.
    pub(crate) async fn reload(&self) {
        let (Some(process), Some(log)) = (&self.process, &self.log) else {
            panic!("PHP-FPM does not run")
        };
        let seen = log.count();
        process.signal(Signal::SIGUSR2);
        log.wait_after(seen, |line| line.contains("ready to handle connections"))
            .await;
    }

    /// The processes of its workers at the moment.
    pub(crate) fn workers(&self) -> Vec<Pid> {
        let Some(process) = &self.process else {
            return Vec::new();
        };
        process.children()
    }

    fn config(&self) -> String {
        let Setup {
            children,
            lines,
            global,
            ..
        } = &self.setup;
        let listen = match &self.address {
            Address::Tcp(address) => address.to_string(),
            Address::Unix(path) => path.display().to_string(),
        };
        let user = if nix::unistd::geteuid().is_root() {
            "user = root\ngroup = root"
        } else {
            ""
        };
        let temporary = self.directory.path().display();
        format!(
            "[global]\ndaemonize = no\nerror_log = /proc/self/fd/2\nlog_level = notice\n{global}\n\
             [test]\n{user}\nlisten = {listen}\npm = static\npm.max_children = {children}\n\
             php_admin_value[upload_tmp_dir] = {temporary}\nphp_admin_value[output_buffering] = 0\n\
             php_admin_flag[display_errors] = off\nphp_admin_flag[log_errors] = on\n{lines}"
        )
    }
}

impl Drop for PhpFpm {
    /// TERM first, so that the master reaps its workers; then everything of its group is killed.
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            process.signal(Signal::SIGTERM);
            process.wait();
        }
    }
}

/// Writes a file below `root`, with the directories that it needs.
pub(crate) fn write_below(root: &Path, name: &str, content: impl AsRef<[u8]>) {
    let file = root.join(name);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, content).unwrap();
}
