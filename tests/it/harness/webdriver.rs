//! A browser: headless Chromium, driven through chromedriver (W3C WebDriver).

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::devtools::Dialogues;
use super::lines::Lines;
use super::process::{Process, find_program};
use super::{Address, Request, http1, patiently};

/// An open browser window; the browser is gone when dropped.
pub(crate) struct Browser {
    driver: Address,
    session: String,
    debugger: Address,
    _process: Process,
    _profile: TempDir,
}

/// An element of the page.
#[derive(Clone, Debug)]
pub(crate) struct Element(String);

/// The name that the specification gives to references to elements (§12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// Attempts to start chromedriver.
const MOST_STARTS: usize = 20;

const ARGUMENTS: &[&str] = &[
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1000,800",
];

impl Browser {
    /// Starts a browser with a new profile.
    pub(crate) async fn start() -> Self {
        let profile = tempfile::tempdir().unwrap();
        let mut started = None;
        for _ in 0..MOST_STARTS {
            started = start_driver(&profile).await;
            if started.is_some() {
                break;
            }
        }
        let (process, driver) = started.expect("no port for chromedriver");
        let (session, debugger) = new_session(&driver, profile.path()).await;
        Self {
            driver,
            session,
            debugger,
            _process: process,
            _profile: profile,
        }
    }

    /// Goes to a URL and waits until the page is loaded.
    pub(crate) async fn go(&self, url: &str) {
        self.post("url", json!({ "url": url })).await;
    }

    pub(crate) async fn url(&self) -> String {
        text(&self.get("url").await)
    }

    pub(crate) async fn title(&self) -> String {
        text(&self.get("title").await)
    }

    /// The first element that a CSS selector finds; fails when there is none.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let found = self
            .post("element", json!({ "using": "css selector", "value": css }))
            .await;
        Element(text(&found[ELEMENT]))
    }

    /// The visible text of the first element that a CSS selector finds.
    pub(crate) async fn text(&self, css: &str) -> String {
        let Element(id) = self.find(css).await;
        text(&self.get(&format!("element/{id}/text")).await)
    }

    /// Clicks, and waits for the page that the click leads to.
    pub(crate) async fn click(&self, css: &str) {
        let Element(id) = self.find(css).await;
        self.post(&format!("element/{id}/click"), json!({})).await;
    }

    /// Types; into a field for files: the path of one.
    pub(crate) async fn type_into(&self, css: &str, keys: &str) {
        let Element(id) = self.find(css).await;
        self.post(&format!("element/{id}/value"), json!({ "text": keys }))
            .await;
    }

    /// Runs the body of a function and gives back what it returns.
    pub(crate) async fn run(&self, script: &str) -> Value {
        self.post("execute/sync", json!({ "script": script, "args": [] }))
            .await
    }

    /// Fills in the dialogues for users and passwords, from now on.
    pub(crate) async fn dialogues(&self) -> Dialogues {
        patiently("DevTools", Dialogues::watch(&self.debugger)).await
    }

    /// The page as a PNG image, in base64.
    pub(crate) async fn screenshot(&self) -> String {
        text(&self.get("screenshot").await)
    }

    /// Makes the browser be another one, by Chromium's Emulation domain: "setEmulatedMedia" and the like.
    pub(crate) async fn emulate(&self, what: &str, parameters: Value) {
        let command = json!({ "cmd": format!("Emulation.{what}"), "params": parameters });
        self.post("goog/cdp/execute", command).await;
    }

    async fn get(&self, command: &str) -> Value {
        call(&self.driver, Request::get(&self.target(command))).await
    }

    async fn post(&self, command: &str, argument: Value) -> Value {
        call(
            &self.driver,
            Request::post(&self.target(command)).body(argument.to_string()),
        )
        .await
    }

    fn target(&self, command: &str) -> String {
        format!("/session/{}/{command}", self.session)
    }
}

/// How long a search waits for its element: the page may be on its way (WebDriver §9.3).
const PATIENCE_MS: u64 = 10_000;

/// Starts chromedriver; `None` where the port that it got by IPv6 is another's by IPv4: it takes one number for both, and
/// ends then.
async fn start_driver(profile: &TempDir) -> Option<(Process, Address)> {
    const TAKEN: &str = "port not available";
    let mut command = Command::new(find_program(&["chromedriver"]));
    command
        .arg("--port=0")
        .env("HOME", profile.path())
        .env("TMPDIR", profile.path())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    let mut process = Process::spawn(&mut command);
    let output = Lines::of("chromedriver", process.child().stdout.take().unwrap());
    let is_news =
        |line: &str| line.contains("started successfully on port") || line.contains(TAKEN);
    let line = output.wait_for(is_news).await;
    if line.contains(TAKEN) {
        return None;
    }
    let port = line.trim_end_matches('.').rsplit(' ').next().unwrap();
    Some((process, Address::parse(&format!("127.0.0.1:{port}"))))
}

/// A session, and the address at which its browser is debugged.
async fn new_session(driver: &Address, profile: &Path) -> (String, Address) {
    let mut arguments: Vec<String> = ARGUMENTS
        .iter()
        .map(|argument| (*argument).to_owned())
        .collect();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    let options = json!({ "binary": find_program(&["chromium", "chromium-browser", "google-chrome"]), "args": arguments });
    let wanted = json!({ "capabilities": { "alwaysMatch": { "browserName": "chrome", "timeouts": { "implicit": PATIENCE_MS }, "goog:chromeOptions": options } } });
    let session = call(driver, Request::post("/session").body(wanted.to_string())).await;
    let debugger = text(&session["capabilities"]["goog:chromeOptions"]["debuggerAddress"]);
    let debugger = debugger.replace("localhost", "127.0.0.1");
    (text(&session["sessionId"]), Address::parse(&debugger))
}

/// One command; its `value`. Fails the test when the driver reports an error (§6.6).
async fn call(driver: &Address, request: Request) -> Value {
    let what = format!("{} {}", request.method, request.target);
    // Only a search meets a page that is about to leave; it is made again on the next.
    let searches = request.target.ends_with("/element");
    // chromedriver answers only to a Host that is an IP address or `localhost`.
    let request = request
        .field("Connection", "close")
        .field("Host", &driver.to_string());
    let mut response = patiently(&what, http1::send(driver, &request)).await;
    while searches && response.text().contains("aborted by navigation") {
        response = patiently(&what, http1::send(driver, &request)).await;
    }
    assert_eq!(response.status, 200, "{what}: {}", response.text());
    response.json()["value"].clone()
}

fn text(value: &Value) -> String {
    match value.as_str() {
        Some(text) => text.to_owned(),
        None => panic!("not a text: {value}"),
    }
}
