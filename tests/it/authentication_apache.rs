//! Access policies beside a real Apache: the same status and challenge for everybody, by every method.

use std::fmt::Write as _;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::harness::apache::{Apache, let_it_read};
use crate::harness::{Gateway, Request, Response};

/// A policy of Apache, and that of a rule with other keys of `basic` and `satisfy`. Its name is that of a folder.
struct Policy {
    name: &'static str,
    apache: &'static str,
    rule: &'static str,
    basic: &'static str,
    satisfy: &'static str,
}

const fn policy(name: &'static str, apache: &'static str, rule: &'static str) -> Policy {
    Policy {
        name,
        apache,
        rule,
        basic: "",
        satisfy: "all",
    }
}

const fn users(name: &'static str, apache: &'static str, basic: &'static str) -> Policy {
    Policy {
        basic,
        ..policy(name, apache, "")
    }
}

/// `NET` is a network that has the client, or one that has not.
const POLICIES: [Policy; 14] = [
    users("valid-user", "Require valid-user", ""),
    users(
        "user",
        "Require user alice carol",
        "require = \"user alice carol\"",
    ),
    users("group", "Require group staff", "require = \"group staff\""),
    users(
        "alternatives",
        "Require user carol\nRequire group staff",
        "require = [\"user carol\", \"group staff\"]",
    ),
    users(
        "forbidden",
        "Require group staff\nAuthzSendForbiddenOnFailure On",
        "require = \"group staff\", send_forbidden_on_failure = true",
    ),
    policy(
        "any",
        "<RequireAny>\nRequire ip NET\nRequire user alice\n</RequireAny>",
        "require = { any = [{ remote = \"NET\" }, { user = \"alice\" }] }",
    ),
    policy(
        "all",
        "<RequireAll>\nRequire ip NET\nRequire user alice\n</RequireAll>",
        "require = { remote = \"NET\", user = \"alice\" }",
    ),
    policy(
        "none",
        "<RequireAll>\nRequire valid-user\n<RequireNone>\nRequire user alice\n</RequireNone>\n</RequireAll>",
        "require = { valid_user = true, not = { user = \"alice\" } }",
    ),
    policy(
        "nested",
        "<RequireAny>\n<RequireAll>\nRequire ip NET\nRequire method GET\n</RequireAll>\nRequire group staff\n</RequireAny>",
        "require = { any = [{ remote = \"NET\", method = \"GET\" }, { group = \"staff\" }] }",
    ),
    policy(
        "method",
        "<RequireAny>\nRequire method GET\nRequire valid-user\n</RequireAny>",
        "require = { any = [{ method = \"GET\" }, { valid_user = true }] }",
    ),
    policy(
        "satisfy-all",
        "Require valid-user\nOrder deny,allow\nDeny from all\nAllow from NET\nSatisfy all",
        "require = { remote = \"NET\" }",
    ),
    Policy {
        satisfy: "any",
        ..policy(
            "satisfy-any",
            "Require valid-user\nOrder deny,allow\nDeny from all\nAllow from NET\nSatisfy any",
            "require = { remote = \"NET\" }",
        )
    },
    policy(
        "limit",
        "<Limit POST>\nRequire valid-user\n</Limit>",
        "method = \"POST\"",
    ),
    policy(
        "limit-except",
        "<LimitExcept GET>\nRequire valid-user\n</LimitExcept>",
        "not = { method = \"GET\" }",
    ),
];

const NETWORKS: [(&str, &str); 2] = [("inside", "127.0.0.0/8"), ("outside", "192.0.2.0/24")];

const CLIENTS: [&str; 6] = [
    "",
    "alice:right",
    "bob:right",
    "carol:right",
    "alice:wrong",
    "mallory:right",
];

/// Hashes of `right`, by htpasswd.
const SHA1: &str = "{SHA}0nofEXcSAJSXFLGvmfBIpBb11vQ=";

const APR1: &str = "$apr1$Cz1KKpdM$SfS/4126Jm7Tn46s2lkdS.";

const BCRYPT: &str = "$2y$04$fa5.o8.IhUwezGzcioUhROoy5CfOtLZVgLk2Pftwr9.p1PYZGNuB2";

/// Returns the sections of Apache, and the rules, for all policies below `folder`.
fn configurations(folder: &Path) -> (String, String) {
    let (mut apache, mut rules) = (String::new(), String::new());
    let folder = folder.display();
    for policy in &POLICIES {
        for (side, network) in NETWORKS {
            let place = format!("{}-{side}", policy.name);
            let (lines, rule) = (policy.apache, policy.rule);
            let lines = lines.replace("NET", network);
            write!(
                apache,
                "<Directory {folder}/{place}>\nAuthType Basic\nAuthName a\nAuthUserFile {folder}/users\nAuthGroupFile {folder}/groups\n{lines}\n</Directory>\n"
            )
            .unwrap();
            let (rule, satisfy, basic) =
                (rule.replace("NET", network), policy.satisfy, policy.basic);
            let comma = if basic.is_empty() { "" } else { ", " };
            write!(
                rules,
                "[[site.rule]]\nprefix = \"/{place}\"\n{rule}\nauth = {{ satisfy = \"{satisfy}\", basic = {{ realm = \"a\", users = \"{folder}/users\", groups = \"{folder}/groups\", attempts = {{ per_minute = 0 }}{comma}{basic} }} }}\n"
            )
            .unwrap();
            let page = format!("{folder}/{place}");
            std::fs::create_dir_all(&page).unwrap();
            std::fs::write(format!("{page}/page"), "in").unwrap();
        }
    }
    (apache, rules)
}

/// Returns the status, and the scheme and realm that the client is asked for.
fn outcome(response: &Response) -> (u16, String) {
    let challenge = response.header("www-authenticate").unwrap_or_default();
    let realm = challenge.split(',').next().unwrap_or_default();
    (response.status, realm.to_owned())
}

#[tokio::test]
async fn the_policies_are_those_of_apache() {
    let folder = tempfile::tempdir().unwrap();
    let_it_read(folder.path());
    let users = format!("alice:{SHA1}\nbob:{APR1}\ncarol:{BCRYPT}\n");
    std::fs::write(folder.path().join("users"), users).unwrap();
    std::fs::write(folder.path().join("groups"), "staff: alice bob\n").unwrap();
    let (sections, rules) = configurations(folder.path());
    let root = folder.path().display();
    let apache = Apache::start(&format!("DocumentRoot {root}\n{sections}")).await;
    let config = format!("[[site]]\n{rules}[[site.rule]]\nrespond = {{ body = \"in\" }}\n");
    let gateway = Gateway::start(&config).await;
    for policy in &POLICIES {
        for (side, _) in NETWORKS {
            for (method, client) in ["GET", "HEAD", "POST"].into_iter().flat_map(each_client) {
                let mut request = Request::new(method, &format!("/{}-{side}/page", policy.name));
                if !client.is_empty() {
                    let field = format!("Basic {}", STANDARD.encode(client));
                    request = request.field("Authorization", &field);
                }
                let expected = outcome(&apache.send(&request).await);
                let found = outcome(&gateway.send(&request).await);
                assert_eq!(found, expected, "{} {side} {method} {client}", policy.name);
            }
        }
    }
}

fn each_client(method: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    CLIENTS.into_iter().map(move |client| (method, client))
}
