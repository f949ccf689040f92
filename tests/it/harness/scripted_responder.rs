//! A FastCGI application that sends exactly the bytes that a test wants, and remembers what it was sent.

use std::collections::BTreeMap;
use std::io;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet, yield_now};

use super::address::Stream;
use super::records::{self, Record, read_record};
use super::script::{Script, Step};
use super::{Address, patiently};

/// A listening application; gone with all of its connections when dropped.
pub(crate) struct ScriptedResponder {
    address: Address,
    seen: watch::Receiver<Seen>,
    accepting: JoinHandle<()>,
    /// Holds the socket.
    _directory: TempDir,
}

/// What has happened so far.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    /// In the order in which they began.
    pub(crate) requests: Vec<Received>,
    /// Connections accepted.
    pub(crate) connections: usize,
    /// Connections that are open now.
    pub(crate) open: usize,
    /// Requests that are being worked on now, and the most there ever were.
    pub(crate) busy: usize,
    pub(crate) most_busy: usize,
}

/// A request as far as the script has read it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    pub(crate) params: BTreeMap<String, String>,
    pub(crate) stdin: Vec<u8>,
    /// Whether the empty STDIN record was read.
    pub(crate) complete: bool,
}

impl Received {
    /// A variable, empty when it is not there.
    pub(crate) fn param(&self, name: &str) -> &str {
        self.params.get(name).map_or("", String::as_str)
    }
}

/// How it listens and what it does; a value that [`Self::start`] brings to life.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    scripts: Vec<Script>,
    tcp: bool,
    probe: Probe,
    role: Role,
}

/// What becomes of a probe between two requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    Answered,
    AnsweredAsByFpm,
    AnsweredAsByGo,
    AnsweredAndClosed,
    AnsweredByAnotherRecord,
    Ignored,
}

/// Bytes behind an answer to a probe; PHP-FPM pads its own to a multiple of eight.
const PADDING: usize = 6;

impl Probe {
    /// The records that answer a probe.
    fn answer(self) -> Vec<u8> {
        let values = |pairs: &[(&str, &str)]| {
            let record = Record::new(records::GET_VALUES_RESULT, 0, records::encode_pairs(pairs));
            record.encode_padded(u8::try_from(PADDING).unwrap())
        };
        let (connections, multiplexes) = ("FCGI_MAX_CONNS", "FCGI_MPXS_CONNS");
        match self {
            Self::Answered | Self::AnsweredAndClosed => {
                values(&[(connections, "1000"), (multiplexes, "0")])
            }
            Self::AnsweredAsByFpm => values(&[(multiplexes, "0")]),
            // As recorded of Go 1.19: two records for one probe.
            Self::AnsweredAsByGo => [
                values(&[(connections, "1000"), (multiplexes, "1")]),
                values(&[]),
            ]
            .concat(),
            Self::AnsweredByAnotherRecord => Record::end(0, 0, 0).encode(),
            Self::Ignored => Vec::new(),
        }
    }
}

/// What becomes of a request for a role that there is not (specification §5.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Refused,
    HungUpOn,
}

impl Setup {
    /// The nth request gets the nth script, further ones the last. On a unix socket, answering probes.
    pub(crate) fn new(scripts: impl IntoIterator<Item = Script>) -> Self {
        let scripts: Vec<_> = scripts.into_iter().collect();
        assert!(!scripts.is_empty(), "a responder needs a script");
        Self {
            scripts,
            tcp: false,
            probe: Probe::Answered,
            role: Role::Refused,
        }
    }

    /// On a free port of 127.0.0.1.
    pub(crate) fn tcp(self) -> Self {
        Self { tcp: true, ..self }
    }

    /// Does not answer FCGI_GET_VALUES, as applications may that know only requests.
    pub(crate) fn silent(self) -> Self {
        Self {
            probe: Probe::Ignored,
            ..self
        }
    }

    /// Answers FCGI_GET_VALUES as PHP-FPM does: it has nothing to say of FCGI_MAX_CONNS.
    pub(crate) fn like_php_fpm(self) -> Self {
        Self {
            probe: Probe::AnsweredAsByFpm,
            role: Role::HungUpOn,
            ..self
        }
    }

    /// Answers FCGI_GET_VALUES as Go's net/http/fcgi does: it multiplexes, and says nothing a second time.
    pub(crate) fn like_go(self) -> Self {
        Self {
            probe: Probe::AnsweredAsByGo,
            ..self
        }
    }

    /// Answers FCGI_GET_VALUES by a record that is no answer.
    pub(crate) fn wrong(self) -> Self {
        Self {
            probe: Probe::AnsweredByAnotherRecord,
            ..self
        }
    }

    /// Hangs up where a role is asked for that it has not, and does not refuse it.
    pub(crate) fn hangs_up_on_roles(self) -> Self {
        Self {
            role: Role::HungUpOn,
            ..self
        }
    }

    /// Answers FCGI_GET_VALUES and hangs up, as PHP did before the fix of bug 76922.
    pub(crate) fn closes(self) -> Self {
        Self {
            probe: Probe::AnsweredAndClosed,
            ..self
        }
    }

    pub(crate) async fn start(self) -> ScriptedResponder {
        let directory = tempfile::tempdir().unwrap();
        let (listener, address) = self.listen(&directory).await;
        let (seen, accepting) = self.serve(listener);
        ScriptedResponder {
            address,
            seen,
            accepting,
            _directory: directory,
        }
    }

    fn serve(self, listener: Listener) -> (watch::Receiver<Seen>, JoinHandle<()>) {
        let (sender, seen) = watch::channel(Seen::default());
        let accepting = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let stream = listener.accept().await;
                sender.send_modify(|seen| {
                    seen.connections += 1;
                    seen.open += 1;
                });
                let (setup, seen) = (self.clone(), sender.clone());
                connections.spawn(async move {
                    // The gateway may break a connection off at any time; what it must not do the test asserts.
                    let _ = Conversation {
                        setup: &setup,
                        seen: &seen,
                        stream,
                        stamp: Stamp::default(),
                    }
                    .hold()
                    .await;
                    seen.send_modify(|seen| seen.open -= 1);
                });
            }
        });
        (seen, accepting)
    }

    async fn listen(&self, directory: &TempDir) -> (Listener, Address) {
        if self.tcp {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = Address::Tcp(listener.local_addr().unwrap());
            return (Listener::Tcp(listener), address);
        }
        let path = directory.path().join("responder.sock");
        (
            Listener::Unix(UnixListener::bind(&path).unwrap()),
            Address::Unix(path),
        )
    }
}

enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    async fn accept(&self) -> Stream {
        match self {
            Self::Tcp(listener) => Box::new(listener.accept().await.unwrap().0),
            Self::Unix(listener) => Box::new(listener.accept().await.unwrap().0),
        }
    }
}

impl ScriptedResponder {
    /// On a unix socket; the nth request gets the nth script, further ones the last.
    pub(crate) async fn start(scripts: impl IntoIterator<Item = Script>) -> Self {
        Setup::new(scripts).start().await
    }

    pub(crate) fn address(&self) -> &Address {
        &self.address
    }

    /// A configuration in which this application, as the upstream `app` with further `lines`, answers everything.
    pub(crate) fn site(&self, lines: &str) -> String {
        format!(
            "[upstream.app]\nservers = [\"{}\"]\n{lines}\n[[site]]\nroot = \"/srv/app\"\n[[site.rule]]\n\
             fastcgi = {{ upstream = \"app\", script = \"/srv/app/index.php\", missing = \"pass\" }}\n",
            self.address
        )
    }

    /// What has happened so far.
    pub(crate) fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// The requests so far.
    pub(crate) fn requests(&self) -> Vec<Received> {
        self.seen().requests
    }

    /// Goes away with its socket and all of its connections; [`Self::come_back`] undoes it.
    pub(crate) async fn stop(&mut self) {
        self.accepting.abort();
        let _ = (&mut self.accepting).await;
        if let Address::Unix(path) = &self.address {
            std::fs::remove_file(path).unwrap();
        }
    }

    /// Listens again on the same unix socket, as another application that has seen nothing yet.
    pub(crate) async fn come_back(&mut self, setup: Setup) {
        let Address::Unix(path) = &self.address else {
            panic!("only on a unix socket")
        };
        let listener = Listener::Unix(UnixListener::bind(path).unwrap());
        (self.seen, self.accepting) = setup.serve(listener);
    }

    /// Waits until `happened` holds.
    pub(crate) async fn wait_until(&self, what: &str, happened: impl Fn(&Seen) -> bool) {
        let mut seen = self.seen.clone();
        let waiting = seen.wait_for(|seen| happened(seen));
        patiently(&format!("responder: {what}"), waiting)
            .await
            .unwrap();
    }
}

impl Drop for ScriptedResponder {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// One connection.
struct Conversation<'a> {
    setup: &'a Setup,
    seen: &'a watch::Sender<Seen>,
    stream: Stream,
    stamp: Stamp,
}

/// Puts the id of the request in the place of the id 1 in bytes that are sent as they are, however they are cut.
#[derive(Debug, Default)]
struct Stamp {
    header: Vec<u8>,
    /// Bytes of content and padding to come.
    content: usize,
}

impl Stamp {
    fn put(&mut self, bytes: &[u8], id: u16) -> Vec<u8> {
        let [_, id] = id.to_be_bytes();
        let mut stamped = bytes.to_vec();
        for byte in &mut stamped {
            if self.content > 0 {
                self.content -= 1;
                continue;
            }
            if self.header.len() == 3 && *byte == 1 {
                *byte = id;
            }
            self.header.push(*byte);
            if let [_, _, _, _, high, low, padding, _] = self.header[..] {
                self.content = usize::from(u16::from_be_bytes([high, low])) + usize::from(padding);
                self.header.clear();
            }
        }
        stamped
    }
}

/// Whether the connection lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Step,
    Closed,
}

impl Conversation<'_> {
    async fn hold(mut self) -> io::Result<()> {
        while let Some(record) = read_record(&mut self.stream).await? {
            match record.kind {
                records::GET_VALUES => {
                    let answer = self.setup.probe.answer();
                    // Padded, and in two writes: that it is answered is not that it is all there.
                    let (first, rest) = answer.split_at(answer.len().saturating_sub(PADDING / 2));
                    self.stream.write_all(first).await?;
                    yield_now().await;
                    self.stream.write_all(rest).await?;
                    if self.setup.probe == Probe::AnsweredAndClosed {
                        return Ok(());
                    }
                }
                records::BEGIN_REQUEST if record.content[..2] != [0, 1] => {
                    if self.setup.role == Role::HungUpOn {
                        return Ok(());
                    }
                    let unknown_role = Record::end(record.id, 0, 3).encode();
                    self.stream.write_all(&unknown_role).await?;
                }
                records::BEGIN_REQUEST if self.work(record.id).await? == Next::Closed => {
                    return Ok(());
                }
                // What is left of a request that its script did not read.
                _ => {}
            }
        }
        Ok(())
    }

    async fn work(&mut self, id: u16) -> io::Result<Next> {
        self.stamp = Stamp::default();
        let mut number = 0;
        self.seen.send_modify(|seen| {
            number = seen.requests.len();
            seen.requests.push(Received::default());
            seen.busy += 1;
            seen.most_busy = seen.most_busy.max(seen.busy);
        });
        let scripts = &self.setup.scripts;
        let script = scripts.get(number).unwrap_or(&scripts[scripts.len() - 1]);
        // The gateway may go on the moment it has the last bytes: the work is over before they are sent.
        let sends = |step: &Step| matches!(step, Step::Send { .. } | Step::Raw(_));
        let end = script
            .steps
            .iter()
            .rposition(sends)
            .unwrap_or(script.steps.len());
        let (work, end) = script.steps.split_at(end);
        let worked = self.play(work, script.bytewise, number, id).await;
        self.seen.send_modify(|seen| seen.busy -= 1);
        match worked? {
            Next::Closed => Ok(Next::Closed),
            Next::Step => self.play(end, script.bytewise, number, id).await,
        }
    }

    async fn play(
        &mut self,
        steps: &[Step],
        bytewise: bool,
        number: usize,
        id: u16,
    ) -> io::Result<Next> {
        for step in steps {
            if self.perform(step, bytewise, number, id).await? == Next::Closed {
                return Ok(Next::Closed);
            }
        }
        Ok(Next::Step)
    }

    async fn perform(
        &mut self,
        step: &Step,
        bytewise: bool,
        number: usize,
        id: u16,
    ) -> io::Result<Next> {
        match step {
            Step::ReadParams => self.read_params(number).await?,
            Step::ReadRequest => self.read_stdin(number, usize::MAX).await?,
            Step::ReadSome(bytes) => self.read_stdin(number, *bytes).await?,
            Step::Choose(choice) => {
                let received = self.seen.borrow().requests[number].clone();
                let script = choice.0(&received);
                return Box::pin(self.play(&script.steps, script.bytewise, number, id)).await;
            }
            Step::ReadToEnd => {
                let _ = self.stream.read_to_end(&mut Vec::new()).await;
                return Ok(Next::Closed);
            }
            Step::Raw(bytes) => {
                let bytes = self.stamp.put(bytes, id);
                self.write(&bytes, bytewise).await?;
            }
            Step::Send { records, padding } => {
                let with_id = |record: &Record| Record {
                    id: if record.id == 0 { id } else { record.id },
                    ..record.clone()
                };
                let bytes: Vec<u8> = records
                    .iter()
                    .flat_map(|record| with_id(record).encode_padded(*padding))
                    .collect();
                self.write(&bytes, bytewise).await?;
            }
            Step::Wait(gate) => gate.wait().await,
            Step::Pause => tokio::time::sleep(std::time::Duration::from_millis(2)).await,
            Step::LastWords(bytes, told) => {
                let _ = self.stream.write_all(bytes).await;
                told.pass(1);
                return Ok(Next::Closed);
            }
            // PHP-FPM reads what there is before it closes: that is an end and no reset.
            Step::Close if self.setup.probe == Probe::AnsweredAsByFpm => {
                self.stream.shutdown().await?;
                let _ = self.stream.read_to_end(&mut Vec::new()).await;
                return Ok(Next::Closed);
            }
            Step::Close => return Ok(Next::Closed),
            Step::Reset => {
                self.stream.reset_on_close();
                return Ok(Next::Closed);
            }
            Step::Stall => std::future::pending().await,
        }
        Ok(Next::Step)
    }

    async fn read_params(&mut self, number: usize) -> io::Result<()> {
        let mut encoded = Vec::new();
        loop {
            let record = self.record().await?;
            assert_eq!(record.kind, records::PARAMS, "expected PARAMS: {record:?}");
            if record.content.is_empty() {
                let params = records::decode_pairs(&encoded);
                self.seen
                    .send_modify(|seen| seen.requests[number].params = params);
                return Ok(());
            }
            encoded.extend(record.content);
        }
    }

    async fn read_stdin(&mut self, number: usize, enough: usize) -> io::Result<()> {
        if self.seen.borrow().requests[number].params.is_empty() {
            self.read_params(number).await?;
        }
        loop {
            let record = self.record().await?;
            assert_eq!(record.kind, records::STDIN, "expected STDIN: {record:?}");
            let mut read = 0;
            self.seen.send_modify(|seen| {
                let request = &mut seen.requests[number];
                request.complete = record.content.is_empty();
                request.stdin.extend(&record.content);
                read = request.stdin.len();
            });
            if record.content.is_empty() || read >= enough {
                return Ok(());
            }
        }
    }

    async fn record(&mut self) -> io::Result<Record> {
        read_record(&mut self.stream)
            .await?
            .ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    async fn write(&mut self, bytes: &[u8], bytewise: bool) -> io::Result<()> {
        if !bytewise {
            return self.stream.write_all(bytes).await;
        }
        for byte in bytes {
            self.stream.write_all(&[*byte]).await?;
            yield_now().await;
        }
        Ok(())
    }
}
