//! What a site and its upstream want PHP to be told otherwise than usual.

use std::path::{Path, PathBuf};

use http::{HeaderName, header};

use crate::auth::forwarding::is_forwarding;
use crate::message::Host;
use crate::message::hop_by_hop::is_hop_by_hop;
use crate::section::{At, Key, Lowered, Problem, Problems};

/// Which ambiguous names are let through.
pub static PASS_FIELDS: Key<Vec<At<String>>> = Key::texts("pass_fields", "Header fields that PHP gets although their names have an underscore, or another byte than letters, digits and hyphens. X_Foo becomes HTTP_X_FOO as X-Foo does, so that one could be passed for the other; where both come, X-Foo alone is told. All others of the kind are dropped, counted, and named once in the log.").default("[]").shown("[\"X_Legacy_Token\"]");

/// Whether credentials reach PHP.
pub static AUTHORIZATION: Key<bool> = Key::flag("authorization", "Whether PHP gets the field Authorization: HTTP_AUTHORIZATION, and from it PHP_AUTH_USER and PHP_AUTH_PW. Apache withholds it unless CGIPassAuth is on. Proxy-Authorization never reaches PHP.").default("true");

/// Apache's UseCanonicalName On.
pub static CANONICAL_NAME: Key<Option<At<String>>> = Key::text("canonical_name", "What SERVER_NAME and SERVER_PORT always are: \"name\" or \"name:port\", as with Apache's UseCanonicalName On. Default: what the client named in Host, else the address and port that it connected to.").example("\"www.example.org:443\"");

/// How a script's file is named to the application; a key of an upstream.
pub static TYPE: Key<At<String>> = Key::one_of("type", &["fpm", "apache-fpm", "generic"], "What listens there. \"fpm\": PHP-FPM; SCRIPT_FILENAME is a plain path, with SCRIPT_NAME and PATH_INFO already split. \"apache-fpm\": the same as Apache's ProxyPassMatch asks it, with \"proxy:fcgi://…\" in front of the path and PATH_INFO behind it, which PHP-FPM takes apart itself (cgi.fix_pathinfo = 1); the values in PHP are the same. \"generic\": any other FastCGI application; plain paths, and nothing is taken for granted that only PHP-FPM does.").default("\"fpm\"");

/// What is told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    pass: Vec<HeaderName>,
    withholds_authorization: bool,
    /// What SERVER_NAME and SERVER_PORT are, whatever the client says.
    pub(super) canonical: Option<Host>,
    /// How scripts are named.
    pub responder: Responder,
    /// DOCUMENT_ROOT where the root of the scripts is an alias below another.
    pub(super) document_root: Option<PathBuf>,
}

/// What listens behind an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Responder {
    /// PHP-FPM, asked plainly.
    #[default]
    Fpm,
    /// PHP-FPM, asked as Apache asks it; what stands in front of the path.
    ApacheFpm(Vec<u8>),
    /// Something else.
    Generic,
}

/// Whether a header field becomes a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Export {
    /// It does.
    Told,
    /// It does unless the same name with hyphens is there.
    ToldUnlessPlain,
    /// It is nobody's business behind the gateway.
    Withheld,
    /// It could be passed for another.
    Ambiguous,
}

impl Contract {
    /// From the section of a site.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let pass = section.get(&PASS_FIELDS).into_iter();
        let pass = pass.filter_map(|text| match HeaderName::from_bytes(text.value.as_bytes()) {
            Ok(name) if is_removed(&plain_spelling(&name)) => {
                let message = format!(
                    "`{}` would become a variable that no client can set",
                    text.value
                );
                problems.push(Problem::new(text.place.clone(), message));
                None
            }
            Ok(name) => Some(name),
            Err(_) => {
                let message = format!("`{}` is no name of a header field", text.value);
                problems.push(Problem::new(text.place.clone(), message));
                None
            }
        });
        let pass = pass.collect();
        let canonical = section.get(&CANONICAL_NAME).and_then(|text| {
            let host = Host::parse(&text.value).ok();
            if host.is_none() {
                let message = format!("`{}` is no host name with an optional port", text.value);
                problems.push(Problem::new(text.place.clone(), message));
            }
            host
        });
        Self {
            pass,
            withholds_authorization: !section.get(&AUTHORIZATION),
            canonical,
            responder: Responder::Fpm,
            document_root: None,
        }
    }

    /// The same for what listens behind another upstream.
    #[must_use]
    pub fn for_responder(&self, responder: Responder) -> Self {
        Self {
            responder,
            ..self.clone()
        }
    }

    /// The same for scripts whose root is an alias below this DOCUMENT_ROOT.
    #[must_use]
    pub fn below(self, document_root: Option<&Path>) -> Self {
        Self {
            document_root: document_root.map(Path::to_owned),
            ..self
        }
    }

    /// Whether PHP-FPM takes paths apart itself.
    pub fn is_asked_as_apache(&self) -> bool {
        matches!(self.responder, Responder::ApacheFpm(_))
    }

    /// docs/cgi.md, "Header fields of a request". Names with anything but letters, digits and hyphens could pass for
    /// another field once hyphens have become underscores; `Proxy` would become HTTP_PROXY, which
    /// libraries obey (httpoxy); X-Sendfile-Type and X-Accel-Mapping are the gateway's to say: a
    /// client that said them would choose what file a framework hands out; Proxy-Authorization is
    /// addressed to us; the two content fields have their own variables; Transfer-Encoding and its
    /// like ended at our door.
    pub(super) fn export(&self, name: &HeaderName) -> Export {
        let withheld = name == header::PROXY_AUTHORIZATION
            || name == header::CONTENT_LENGTH
            || name == header::CONTENT_TYPE
            || (self.withholds_authorization && name == header::AUTHORIZATION)
            || is_ours(name.as_str())
            || is_hop_by_hop(name);
        if withheld {
            return Export::Withheld;
        }
        match is_plain(name) {
            true => Export::Told,
            false if self.pass.contains(name) => Export::ToldUnlessPlain,
            false => Export::Ambiguous,
        }
    }
}

impl Responder {
    /// From `type` of an upstream and the first of its `servers`.
    pub fn new(kind: &str, server: Option<&str>) -> Self {
        match kind {
            "apache-fpm" => {
                // Behind a socket Apache has the name that stands in its target; any will do.
                let authority = server.filter(|server| !server.starts_with("unix:"));
                let authority = authority.unwrap_or("localhost");
                Self::ApacheFpm(format!("proxy:fcgi://{authority}").into_bytes())
            }
            "generic" => Self::Generic,
            _ => Self::Fpm,
        }
    }
}

/// What the gateway alone says.
fn is_ours(name: &str) -> bool {
    matches!(name, "proxy" | "x-sendfile-type" | "x-accel-mapping")
}

/// Whether PHP never gets this from a client, or from one that is no trusted proxy.
fn is_removed(name: &str) -> bool {
    is_ours(name) || is_forwarding(name) || name == "proxy-authorization"
}

fn is_plain(name: &HeaderName) -> bool {
    let mut bytes = name.as_str().bytes();
    bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// The name under which `name` would be told if it were written with hyphens.
pub(super) fn plain_spelling(name: &HeaderName) -> String {
    name.as_str()
        .replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_be_passed_for_another_is_not_told() {
        let contract = Contract {
            pass: vec![HeaderName::from_static("x_token")],
            ..Contract::default()
        };
        for (name, expected) in [
            ("x-foo", Export::Told),
            ("authorization", Export::Told),
            ("host", Export::Told),
            ("x_foo", Export::Ambiguous),
            ("content_length", Export::Ambiguous),
            ("x.foo", Export::Ambiguous),
            ("x!foo", Export::Ambiguous),
            ("x_token", Export::ToldUnlessPlain),
            ("proxy", Export::Withheld),
            ("proxy-authorization", Export::Withheld),
            ("content-type", Export::Withheld),
            ("transfer-encoding", Export::Withheld),
            ("connection", Export::Withheld),
        ] {
            let name = HeaderName::from_static(name);
            assert_eq!(contract.export(&name), expected, "{name}");
        }
        let withholds = Contract {
            withholds_authorization: true,
            ..Contract::default()
        };
        assert_eq!(withholds.export(&header::AUTHORIZATION), Export::Withheld);
    }
}
