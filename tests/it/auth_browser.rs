//! Basic authentication in a real browser: its dialogue, a wrong password, a right one, and how it forgets it.

use std::process::Command;

use crate::harness::devtools::Dialogues;
use crate::harness::process::find_program;
use crate::harness::webdriver::Browser;
use crate::harness::{Gateway, PhpFpm};

/// RFC 7617 §2.1: the challenge asks for UTF-8.
const PASSWORD: &str = "wörter";

const PAGE: &str = "<!doctype html><p id=user><?= $_SERVER['REMOTE_USER'] ?? 'nobody' ?></p>
    <p id=password><?= $_SERVER['PHP_AUTH_PW'] ?? $_SERVER['HTTP_AUTHORIZATION'] ?? 'withheld' ?></p>
    <img id=picture src=picture.svg><a id=next href=next.php>next</a>";

const PICTURE: &str = "<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>";

/// Two realms with a user each, and a path of the first at which nobody is admitted.
const RULES: &str = r#"
[[site.rule]]
prefix = "/private"
auth = { basic = { realm = "Staging", users = "{folder}/alice" } }
[[site.rule]]
prefix = "/other"
auth = { basic = { realm = "Other", users = "{folder}/bob" } }
[[site.rule]]
path = "/logout"
auth = { basic = { realm = "Staging", users = "{folder}/alice", require = ["user nobody"] } }
respond = { body = "never" }
"#;

struct Shown {
    browser: Browser,
    dialogues: Dialogues,
    url: String,
    _site: (PhpFpm, Gateway),
}

/// Returns a line of a password file, with bcrypt.
fn entry(user: &str, password: &str) -> Vec<u8> {
    let mut htpasswd = Command::new(find_program(&["htpasswd"]));
    let output = htpasswd.args(["-nbB", user, password]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    output.stdout
}

async fn shown() -> Shown {
    let site = Gateway::with_php(2)
        .files(
            &["private/index.php", "private/next.php", "other/index.php"],
            PAGE,
        )
        .files(&["private/picture.svg", "other/picture.svg"], PICTURE)
        .beside("alice", entry("alice", PASSWORD))
        .beside("bob", entry("bob", "b"))
        .site(RULES)
        .start()
        .await;
    let browser = Browser::start().await;
    Shown {
        dialogues: browser.dialogues().await,
        browser,
        url: format!("http://{}", site.1.address()),
        _site: site,
    }
}

impl Shown {
    async fn go(&self, path: &str) {
        self.browser.go(&format!("{}{path}", self.url)).await;
    }

    /// Fails unless the page is shown to `user`, with its picture and without a password.
    async fn check_user(&self, user: &str) {
        assert_eq!(self.browser.text("#user").await, user);
        assert_eq!(self.browser.text("#password").await, "withheld");
        let picture =
            "const i = document.querySelector('#picture'); return i.complete && i.naturalWidth > 0";
        assert_eq!(self.browser.run(picture).await, true);
    }

    /// Fails unless the gateway's own page says that a user is required.
    async fn check_refused(&self) {
        let text = self.browser.text("body").await;
        assert!(text.contains("401"), "{text}");
    }

    async fn log_in(&self) {
        self.dialogues.fill_in("alice", PASSWORD);
        self.go("/private/").await;
        self.check_user("alice").await;
    }
}

#[tokio::test]
async fn the_dialogue_comes_until_the_password_is_right_and_not_again() {
    let shown = shown().await;
    for password in ["wrong", "worter", PASSWORD] {
        shown.dialogues.fill_in("alice", password);
    }
    shown.go("/private/").await;
    shown.check_user("alice").await;
    shown.browser.click("#next").await;
    shown.check_user("alice").await;
    assert!(shown.browser.url().await.ends_with("/private/next.php"));
    assert_eq!(shown.dialogues.realms(), ["Staging"; 3]);
}

#[tokio::test]
async fn a_dialogue_that_is_cancelled_leaves_the_refusal() {
    let shown = shown().await;
    shown.go("/private/").await;
    shown.check_refused().await;
    shown.dialogues.fill_in("bob", "b");
    shown.go("/private/next.php").await;
    shown.check_refused().await;
    assert_eq!(shown.dialogues.realms(), ["Staging"; 3]);
}

/// A browser forgets a password that is refused.
#[tokio::test]
async fn a_browser_logs_out_where_nobody_is_admitted() {
    let shown = shown().await;
    shown.log_in().await;
    shown.go("/logout").await;
    shown.check_refused().await;
    assert_eq!(shown.dialogues.realms(), ["Staging"; 2]);
    shown.go("/private/").await;
    shown.check_refused().await;
    assert_eq!(shown.dialogues.realms(), ["Staging"; 3]);
    shown.log_in().await;
    // And by a user that there is not, whom the URL names.
    let wrong = shown.url.replace("http://", "http://nobody:x@");
    shown.browser.go(&format!("{wrong}/private/")).await;
    shown.check_refused().await;
    shown.go("/private/").await;
    shown.check_refused().await;
    assert_eq!(shown.dialogues.realms(), ["Staging"; 6]);
}

#[tokio::test]
async fn each_realm_has_a_dialogue_of_its_own() {
    let shown = shown().await;
    shown.log_in().await;
    shown.dialogues.fill_in("bob", "b");
    shown.go("/other/").await;
    shown.check_user("bob").await;
    shown.go("/private/next.php").await;
    shown.check_user("alice").await;
    assert_eq!(shown.dialogues.realms(), ["Staging", "Other"]);
}
