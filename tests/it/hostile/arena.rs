//! The gateway with a real PHP behind it, in as little memory as a small container has, a bystander before it, and what has to
//! be true while others attack.

use std::fmt::Write;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::admin::metric;
use crate::harness::attackers::{Attackers, Siege};
use crate::harness::bystander::{Bystander, Seen};
use crate::harness::cage::{Cage, Watch};
use crate::harness::php_fpm::Setup as PhpSetup;
use crate::harness::tls::{Authority, TlsClient};
use crate::harness::{Gateway, PhpFpm, Request, eventually, require};

/// What the gateway may have: a small container.
pub(crate) const MEMORY: u64 = 256 << 20;

/// How long the bystander is measured before anything happens.
const ALONE: Duration = Duration::from_millis(500);

/// How long an attack lasts at least, once all of it has come: then to the end of what the bystander waits for.
const HOLD: Duration = Duration::from_secs(1);

/// Within this time all is as it was before an attack: ten times what is expected.
const RECOVERY: Duration = Duration::from_secs(20);

/// A test's gateway.
pub(crate) struct Setup {
    /// Lines of `[server]`.
    pub(crate) server: &'static str,
    /// Lines of the site.
    pub(crate) site: String,
    /// Lines of the upstream, and other upstreams.
    pub(crate) upstream: String,
    /// PHP workers.
    pub(crate) workers: usize,
    /// Descriptors that the process may have; 0: as many as the test.
    pub(crate) descriptors: u32,
    /// What the bystander asks for beside a file and a page.
    pub(crate) also: Vec<(&'static str, Request)>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            server: "",
            site: String::new(),
            upstream: String::new(),
            workers: 4,
            descriptors: 0,
            also: Vec::new(),
        }
    }
}

/// What must hold during an attack.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// The bystander's p99 that is no offence, however fast it was alone.
    pub(crate) wait: Duration,
    /// The same for its median.
    pub(crate) median: Duration,
    /// Memory of the process, in MiB.
    pub(crate) memory: u64,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            wait: Duration::from_secs(3),
            median: Duration::from_secs(1),
            memory: 200,
        }
    }
}

pub(crate) struct Arena {
    pub(crate) gateway: Gateway,
    pub(crate) php: PhpFpm,
    pub(crate) tls: TlsClient,
    bystander: Bystander,
    alone: Seen,
    /// Behind the gateway: it is removed when that has ended.
    _cage: Option<Cage>,
}

impl Arena {
    pub(crate) async fn new(setup: Setup) -> Self {
        let php = PhpSetup::new(setup.workers).start().await;
        write_files(&php);
        let authority = Authority::new();
        let cage = Cage::new(MEMORY);
        let memory = if cage.is_some() { "" } else { LITTLE_MEMORY };
        let gateway = Gateway::before(&php)
            .server("spool_directory = \"{folder}\"")
            .server(memory)
            .server(setup.server)
            .upstream(&setup.upstream)
            .site(&setup.site)
            .certificate(&authority)
            .listen("")
            .listen("tls = true")
            .admin()
            .under(&launcher(cage.as_ref(), setup.descriptors));
        let gateway = gateway.start().await;
        let mut targets = vec![
            ("file", Request::get("/small.txt")),
            ("php", Request::get("/hello.php")),
        ];
        targets.extend(setup.also);
        let bystander = Bystander::new(gateway.address(), targets);
        let alone = bystander.ask_for(ALONE).await;
        assert_eq!(alone.failures, [""; 0], "before any attack");
        Self {
            gateway,
            php,
            tls: TlsClient::new(&authority),
            bystander,
            alone,
            _cage: cage,
        }
    }

    /// Attackers from 127.0.0.1.
    pub(crate) fn attackers(&self) -> Attackers {
        Attackers::new(self.gateway.address())
    }

    /// The same, over TLS.
    pub(crate) fn tls_attackers(&self) -> Attackers {
        Attackers::new(&self.gateway.addresses()[1]).tls(&self.tls)
    }

    /// The bystander asks while `attack` builds up and for a while after, with what [`Bounds::default`] says.
    pub(crate) async fn withstands(&self, name: &str, attack: impl Future<Output = Siege>) {
        self.withstands_within(Bounds::default(), name, attack)
            .await;
    }

    /// The same with `bounds`.
    pub(crate) async fn withstands_within(
        &self,
        bounds: Bounds,
        name: &str,
        attack: impl Future<Output = Siege>,
    ) {
        self.withstands_for(HOLD, bounds, name, attack).await;
    }

    /// The same for `time` after the attack is built up; the most memory, in MiB.
    pub(crate) async fn withstands_for(
        &self,
        time: Duration,
        bounds: Bounds,
        name: &str,
        attack: impl Future<Output = Siege>,
    ) -> u64 {
        let memory = Watch::begin(self.gateway.server_id());
        let attacking = async {
            let siege = attack.await;
            sleep(time).await;
            siege
        };
        let (during, siege) = self.bystander.ask_while(attacking).await;
        let peak = memory.peak_kib() / 1024;
        drop(siege);
        let figures = self.figures(&during, peak);
        println!("{name}: {figures}");
        assert!(self.gateway.is_alive(), "{name}: it was killed: {figures}");
        let failures: Vec<_> = during.failures.iter().take(5).collect();
        assert!(failures.is_empty(), "{name}: {failures:#?} {figures}");
        for target in self.alone.names() {
            for (percent, floor) in [(50, bounds.median), (99, bounds.wait)] {
                let most = floor.max(self.alone.wait(target, percent) * 5);
                let wait = during.wait(target, percent);
                assert!(wait <= most, "{name}: {target} waits: {figures}");
            }
        }
        assert!(peak <= bounds.memory, "{name}: memory: {figures}");
        let begun = Instant::now();
        self.recovers(name).await;
        println!("{name}: as before after {:?}", begun.elapsed());
        peak
    }

    fn figures(&self, during: &Seen, peak: u64) -> String {
        let mut figures = format!("peak {peak} MiB");
        for target in self.alone.names() {
            let quantiles = |seen: &Seen| [50, 99].map(|percent| seen.wait(target, percent));
            let (alone, count) = (quantiles(&self.alone), during.count(target));
            let among = quantiles(during);
            write!(
                figures,
                "; {target} p50, p99 {alone:.1?} alone, {among:.1?} of {count} during"
            )
            .unwrap();
        }
        figures
    }

    /// Waits until nothing of an attack is left: no connection, no share of a budget.
    async fn recovers(&self, name: &str) {
        eventually(&format!("{name}: nothing is left"), RECOVERY, async || {
            require(self.left().await, Vec::is_empty)
        })
        .await;
    }

    /// What is in use though nobody is there.
    async fn left(&self) -> Vec<String> {
        let scrape = self.scrape().await;
        // Each listener keeps a place for the connection that comes next.
        let most = |line: &str| match line {
            _ if line.starts_with("fcgate_connections ") => Some(2.0),
            _ if line.starts_with("fcgate_budget_used_bytes{") => Some(0.0),
            _ => None,
        };
        let lines = scrape.lines().filter(|line| {
            let (_, value) = line.rsplit_once(' ').unwrap();
            most(line).is_some_and(|most| value.parse::<f64>().unwrap() > most)
        });
        lines.map(str::to_owned).collect()
    }

    async fn scrape(&self) -> String {
        self.gateway.ask("/metrics").await.text()
    }

    /// The value of a metric (see [`metric`]).
    pub(crate) async fn metric(&self, words: &[&str]) -> f64 {
        metric(&self.scrape().await, words)
    }
}

fn write_files(php: &PhpFpm) {
    for (name, script) in SCRIPTS {
        php.write(name, script);
    }
    php.write("small.txt", "x".repeat(1000));
    php.write("1m.bin", vec![b'x'; 1 << 20]);
    php.write("8m.bin", vec![b'x'; 8 << 20]);
    php.write("6m.txt", text(6 << 20));
}

/// Lines of hexadecimal digits, none like another: they compress to a half.
pub(crate) fn text(length: usize) -> String {
    let mut state = 1_u64;
    let mut text = String::with_capacity(length + 17);
    while text.len() < length {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        writeln!(text, "{:016x}", state ^ state >> 29).unwrap();
    }
    text.truncate(length);
    text
}

/// Bounds the number of descriptors to the first argument, unless that is 0, and becomes the program in the others.
const FEW: &str = "[ \"$0\" = 0 ] || ulimit -n \"$0\"; exec \"$@\"";

fn launcher(cage: Option<&Cage>, descriptors: u32) -> Vec<String> {
    let caged = cage.map(Cage::launcher).unwrap_or_default();
    let few = ["sh", "-c", FEW, &descriptors.to_string()].map(str::to_owned);
    caged.into_iter().chain(few).collect()
}

/// What the gateway finds out by itself in a control group.
const LITTLE_MEMORY: &str =
    "answer_memory = \"32MiB\"\nbody_memory = \"32MiB\"\nencoder_memory = \"64MiB\"\n";

const SCRIPTS: [(&str, &str); 6] = [
    ("hello.php", "<?php echo 'hello';"),
    (
        "page.php",
        "<?php header('Content-Type: text/plain'); for ($i = 0; $i < $_GET['kib'] * 16; $i++) echo str_pad(md5($i), 64, \"\\n\");",
    ),
    (
        "slow.php",
        "<?php usleep($_GET['ms'] * 1000); echo 'at last';",
    ),
    (
        "upload.php",
        "<?php $in = fopen('php://input', 'r'); $n = 0; while (!feof($in)) $n += strlen(fread($in, 65536)); echo $n;",
    ),
    (
        "complain.php",
        "<?php for ($i = 0; $i < $_GET['lines']; $i++) error_log(str_pad(\"complaint $i \", $_GET['length'], 'x')); echo 'complained';",
    ),
    (
        "send.php",
        "<?php header('Content-Type: text/plain'); header('X-Sendfile: ' . __DIR__ . '/' . $_GET['file']);",
    ),
];
