//! How a test sets a gateway up: pieces of its configuration, files, a certificate, and the application behind it.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::gateway::{Gateway, admin_at};
use super::php_fpm::write_below;
use super::tls::{Authority, Identity};
use super::{Address, PhpFpm, Script, ScriptedResponder, php_fpm, scripted_responder};

/// A gateway before its start, in front of the backend `B`.
///
/// In all lines `{folder}` is the folder of the configuration, `{root}` the document root, `{app}` the address of the
/// backend, and `{tls}` the certificate of [`Self::certificate`] as a line of a site.
pub(crate) struct GatewaySetup<B> {
    backend: B,
    folder: TempDir,
    files: Vec<(String, Vec<u8>)>,
    lines: Lines,
    admin: Option<Address>,
    launcher: Vec<String>,
}

/// Lines of the configuration, by where they stand.
#[derive(Default)]
pub(crate) struct Lines {
    server: String,
    upstream: String,
    site: String,
    fastcgi: String,
    sections: String,
    certificate: String,
}

/// Where the document root is, and the address of the application if there is one.
pub(crate) struct Place {
    root: PathBuf,
    address: Option<Address>,
}

/// What stands behind a gateway: nothing, files, or an application that runs.
pub(crate) trait Served {
    fn place(&self, folder: &Path) -> Place;

    /// Returns the first site, and the upstream that it needs.
    fn site(&self, lines: &Lines) -> String;
}

/// The same before it runs. What already runs is borrowed; another is started first and handed out.
pub(crate) trait Backend {
    type Running: Served;
    type Started;

    async fn run(self) -> Self::Running;

    fn hand_out(running: Self::Running, gateway: Gateway) -> Self::Started;
}

/// No application: a site of files, or no site but those that the test writes.
pub(crate) enum Files {
    Served,
    Unserved,
}

impl Gateway {
    /// Builds one with this configuration.
    pub(crate) fn with(config: &str) -> GatewaySetup<Files> {
        Self::before(Files::Unserved).section(config)
    }

    /// Builds one whose site has files only.
    pub(crate) fn with_files() -> GatewaySetup<Files> {
        Self::before(Files::Served).prepare(|_| ())
    }

    /// Builds one whose site runs PHP with so many workers.
    pub(crate) fn with_php(workers: usize) -> GatewaySetup<php_fpm::Setup> {
        Self::before(php_fpm::Setup::new(workers))
    }

    /// Builds one that gives all requests to an application with these scripts.
    pub(crate) fn with_app(
        scripts: impl IntoIterator<Item = Script>,
    ) -> GatewaySetup<scripted_responder::Setup> {
        Self::before(scripted_responder::Setup::new(scripts))
    }

    /// Builds one whose site is served by `backend`.
    pub(crate) fn before<B: Backend>(backend: B) -> GatewaySetup<B> {
        GatewaySetup {
            backend,
            folder: tempfile::tempdir().unwrap(),
            files: Vec::new(),
            lines: Lines::default(),
            admin: None,
            launcher: Vec::new(),
        }
    }
}

impl<B: Backend> GatewaySetup<B> {
    /// Adds keys of `[server]`.
    pub(crate) fn server(mut self, lines: &str) -> Self {
        self.lines.server += lines;
        self.lines.server += "\n";
        self
    }

    /// Adds keys of the upstream.
    pub(crate) fn upstream(mut self, lines: &str) -> Self {
        self.lines.upstream += lines;
        self.lines.upstream += "\n";
        self
    }

    /// Adds keys of the site, or whole rules.
    pub(crate) fn site(mut self, lines: &str) -> Self {
        self.lines.site += lines;
        self.lines.site += "\n";
        self
    }

    /// Adds keys of the action that asks the scripted application.
    pub(crate) fn fastcgi(mut self, keys: &str) -> Self {
        self.lines.fastcgi += ", ";
        self.lines.fastcgi += keys;
        self
    }

    /// Adds whole sections.
    pub(crate) fn section(mut self, lines: &str) -> Self {
        self.lines.sections += lines;
        self.lines.sections += "\n";
        self
    }

    /// Adds a listener on a free port of 127.0.0.1 with these keys. Without any it has one in clear text.
    pub(crate) fn listen(self, lines: &str) -> Self {
        self.section(&format!("[[listen]]\naddress = \"127.0.0.1:0\"\n{lines}"))
    }

    /// Gives the site a certificate for localhost by `authority`.
    pub(crate) fn certificate(mut self, authority: &Authority) -> Self {
        let folder = self.folder.path();
        authority.issue(&["localhost"]).write(folder, "site");
        self.lines.certificate = Identity::line(folder, "site");
        self
    }

    /// Has it answer about itself on a socket in its folder: [`Gateway::ask`].
    pub(crate) fn admin(mut self) -> Self {
        let address = Address::Unix(self.folder.path().join("admin.sock"));
        self = self.section(&admin_at(&address));
        self.admin = Some(address);
        self
    }

    /// Writes a file below the document root.
    pub(crate) fn file(mut self, name: &str, content: impl AsRef<[u8]>) -> Self {
        self.files.push((name.to_owned(), content.as_ref().into()));
        self
    }

    /// Writes the same file under several names.
    pub(crate) fn files(self, names: &[&str], content: impl AsRef<[u8]>) -> Self {
        let content = content.as_ref();
        names
            .iter()
            .fold(self, |setup, name| setup.file(name, content))
    }

    /// Writes a file beside the configuration.
    pub(crate) fn beside(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        write_below(self.folder.path(), name, content);
        self
    }

    /// Adds a site of the host `ping`, which the gateway answers itself with `pong`.
    pub(crate) fn ping(self) -> Self {
        self.section("[[site]]\nhosts = [\"ping\"]\nrule = [{ respond = { body = \"pong\" } }]")
    }

    /// Has it started by a program that sets something up and then executes the command in its arguments.
    pub(crate) fn under(mut self, launcher: &[impl AsRef<str>]) -> Self {
        self.launcher = launcher.iter().map(|word| word.as_ref().into()).collect();
        self
    }

    /// Starts it and waits until it listens on everything.
    pub(crate) async fn start(self) -> B::Started {
        let (running, gateway) = self.launch().await;
        B::hand_out(running, gateway.listening().await)
    }

    /// Starts it and does not wait: for what must fail, or has no listener of its own.
    pub(crate) async fn spawn(self) -> B::Started {
        let (running, gateway) = self.launch().await;
        B::hand_out(running, gateway)
    }

    async fn launch(self) -> (B::Running, Gateway) {
        let running = self.backend.run().await;
        let place = running.place(self.folder.path());
        assert!(
            self.files.is_empty() || place.root.starts_with(std::env::temp_dir()),
            "files below a document root that is not the test's own"
        );
        for (name, content) in &self.files {
            write_below(&place.root, name, content);
        }
        let config = self
            .lines
            .config(&running.site(&self.lines), &place, self.folder.path());
        let gateway = Gateway::launch(
            &self.launcher,
            (self.folder, place.root),
            &config,
            self.admin,
        );
        (running, gateway)
    }
}

impl GatewaySetup<Files> {
    /// Puts the configuration into `folder`, beside what the test has there.
    pub(crate) fn in_folder(self, folder: TempDir) -> Self {
        Self { folder, ..self }
    }

    /// Has `prepare` fill the document root with more than plain files.
    pub(crate) fn prepare(self, prepare: impl FnOnce(&Path)) -> Self {
        let root = self.backend.place(self.folder.path()).root;
        std::fs::create_dir_all(&root).unwrap();
        prepare(&root);
        self
    }
}

impl Lines {
    fn config(&self, site: &str, place: &Place, folder: &Path) -> String {
        let server = match self.server.as_str() {
            "" => String::new(),
            lines => format!("[server]\n{lines}"),
        };
        let address = place.address.as_ref().map(ToString::to_string);
        format!("{server}{site}{}", self.sections)
            .replace("{root}", &place.root.display().to_string())
            .replace("{folder}", &folder.display().to_string())
            .replace("{app}", &address.unwrap_or_default())
            .replace("{tls}", &self.certificate)
    }

    /// Returns a site of files, with `php` where scripts are run.
    fn files(&self, php: &str) -> String {
        let Self {
            site, certificate, ..
        } = self;
        format!("[[site]]\nroot = \"{{root}}\"\n{php}{certificate}\n{site}")
    }

    fn php(&self) -> String {
        match self.upstream.as_str() {
            "" => self.files("php = \"{app}\"\n"),
            lines => format!(
                "[upstream.php]\nservers = \"{{app}}\"\n{lines}{}",
                self.files("php = \"php\"\n")
            ),
        }
    }

    fn app(&self) -> String {
        let Self {
            upstream, fastcgi, ..
        } = self;
        format!(
            "[upstream.app]\nservers = \"{{app}}\"\n{upstream}{}[[site.rule]]\n\
             fastcgi = {{ upstream = \"app\", script = \"{{root}}/index.php\", missing = \"pass\"{fastcgi} }}\n",
            self.files("")
        )
    }
}

impl Served for Files {
    fn place(&self, folder: &Path) -> Place {
        Place {
            root: folder.join("public"),
            address: None,
        }
    }

    fn site(&self, lines: &Lines) -> String {
        match self {
            Self::Served => lines.files(""),
            Self::Unserved => String::new(),
        }
    }
}

impl Served for PhpFpm {
    fn place(&self, _: &Path) -> Place {
        Place {
            root: self.root(),
            address: Some(self.address().clone()),
        }
    }

    fn site(&self, lines: &Lines) -> String {
        lines.php()
    }
}

impl Served for ScriptedResponder {
    fn place(&self, _: &Path) -> Place {
        Place {
            root: "/srv/app".into(),
            address: Some(self.address().clone()),
        }
    }

    fn site(&self, lines: &Lines) -> String {
        lines.app()
    }
}

impl<S: Served> Served for &S {
    fn place(&self, folder: &Path) -> Place {
        (*self).place(folder)
    }

    fn site(&self, lines: &Lines) -> String {
        (*self).site(lines)
    }
}

impl Backend for Files {
    type Running = Self;
    type Started = Gateway;

    async fn run(self) -> Self {
        self
    }

    fn hand_out(_: Self, gateway: Gateway) -> Gateway {
        gateway
    }
}

impl<S: Served> Backend for &S {
    type Running = Self;
    type Started = Gateway;

    async fn run(self) -> Self {
        self
    }

    fn hand_out(_: Self, gateway: Gateway) -> Gateway {
        gateway
    }
}

impl Backend for php_fpm::Setup {
    type Running = PhpFpm;
    type Started = (PhpFpm, Gateway);

    async fn run(self) -> PhpFpm {
        self.start().await
    }

    fn hand_out(php: PhpFpm, gateway: Gateway) -> Self::Started {
        (php, gateway)
    }
}

impl Backend for scripted_responder::Setup {
    type Running = ScriptedResponder;
    type Started = (ScriptedResponder, Gateway);

    async fn run(self) -> ScriptedResponder {
        self.start().await
    }

    fn hand_out(responder: ScriptedResponder, gateway: Gateway) -> Self::Started {
        (responder, gateway)
    }
}
