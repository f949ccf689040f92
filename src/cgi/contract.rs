//! Settings of a site and its upstream that change the variables of a call.

use std::sync::Arc;

use http::{HeaderName, header};

use crate::auth::forwarding::is_forwarding;
use crate::message::hop_by_hop::is_hop_by_hop;
use crate::message::{Host, Root};
use crate::section::{At, Key, Lowered, Problem, Problems};

/// Key of the ambiguous field names that PHP gets.
pub static PASS_FIELDS: Key<Vec<At<String>>> = Key::texts("pass_fields", "Header fields passed to PHP although their names have an underscore, or another byte than letters, digits and hyphens. X_Foo becomes HTTP_X_FOO as X-Foo does, so that one could pass for the other; if both are present, only X-Foo is passed. All others of the kind are dropped, counted, and named once in the log.").default("[]").shown("[\"X_Legacy_Token\"]");

/// Key that passes credentials to PHP.
pub static AUTHORIZATION: Key<bool> = Key::flag("authorization", "Passes the field Authorization to PHP: HTTP_AUTHORIZATION, and from it PHP_AUTH_USER and PHP_AUTH_PW. Default: it is passed unless a rule with `auth` applies; with true always, as with Apache's CGIPassAuth. Proxy-Authorization never reaches PHP.").example("false");

/// Apache's UseCanonicalName On.
pub static CANONICAL_NAME: Key<Option<At<String>>> = Key::text("canonical_name", "Fixed name and port of the server: SERVER_NAME and SERVER_PORT, `$port` in templates, %V and %p in the access log. \"name\", with the port of the scheme, or \"name:port\", as with Apache's UseCanonicalName On. Default: the client's Host, else the address that it connected to and the port of the scheme.").example("\"www.example.org:443\"");

/// Key of the application of an upstream, by which the file of a script is named to it.
pub static TYPE: Key<At<String>> = Key::one_of("type", &["fpm", "apache-fpm", "generic"], "Kind of the application. \"fpm\": PHP-FPM; SCRIPT_FILENAME is a plain path, with SCRIPT_NAME and PATH_INFO already split. \"apache-fpm\": PHP-FPM with the parameters of Apache's ProxyPassMatch: \"proxy:fcgi://…\" in front of the path and PATH_INFO behind it, which PHP-FPM splits itself (cgi.fix_pathinfo = 1); the values in PHP are the same. \"generic\": any other FastCGI application; plain paths, and no reliance on behaviour that only PHP-FPM has.").default("\"fpm\"");

/// Deviations from the usual variables.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Contract {
    pass: Vec<HeaderName>,
    /// PHP gets Authorization: never, always, or (`None`) unless a rule has `auth`.
    passes_authorization: Option<bool>,
    /// The kind of application.
    pub responder: Responder,
    /// DOCUMENT_ROOT where the root of the scripts is an alias below another.
    pub document_root: Option<Root>,
}

/// The kind of application behind an upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Responder {
    /// PHP-FPM with plain paths.
    #[default]
    Fpm,
    /// PHP-FPM with Apache's paths; the prefix of the path.
    ApacheFpm(Vec<u8>),
    /// Another application.
    Generic,
}

/// Export of a header field as a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Export {
    /// The field is exported.
    Exported,
    /// It is exported unless the same name with hyphens is present.
    UnlessPlainExists,
    /// It is addressed to the gateway, or has a variable of its own.
    Withheld,
    /// Its variable could be taken for that of another field.
    Ambiguous,
}

impl Contract {
    /// Builds the settings from the section of a site.
    pub fn build(section: &Lowered, problems: &mut Problems) -> Self {
        let texts = section.get(&PASS_FIELDS).into_iter();
        let names = texts.filter_map(|text| match HeaderName::from_bytes(text.value.as_bytes()) {
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
                let message = format!("`{}` is not the name of a header field", text.value);
                problems.push(Problem::new(text.place.clone(), message));
                None
            }
        });
        let pass = names.collect();
        Self {
            pass,
            passes_authorization: section.given(&AUTHORIZATION),
            responder: Responder::Fpm,
            document_root: None,
        }
    }

    /// Returns the same settings for another kind of application.
    #[must_use]
    pub fn for_responder(&self, responder: Responder) -> Self {
        Self {
            responder,
            ..self.clone()
        }
    }

    /// Returns the same settings for scripts whose root is an alias below this DOCUMENT_ROOT.
    #[must_use]
    pub fn below(self, document_root: Option<&Root>) -> Self {
        Self {
            document_root: document_root.cloned(),
            ..self
        }
    }

    /// Reports whether PHP-FPM splits paths itself.
    pub fn uses_apache_paths(&self) -> bool {
        matches!(self.responder, Responder::ApacheFpm(_))
    }

    /// Reports whether PHP does not get the Authorization of a request; `has_auth`: a rule with `auth` applies.
    pub(super) fn withholds_authorization(&self, has_auth: bool) -> bool {
        self.passes_authorization.map_or(has_auth, |passes| !passes)
    }

    /// Decides the export of a field (docs/cgi.md, "Header fields of a request"). Names with anything but
    /// letters, digits and hyphens could be taken for another field once hyphens have become underscores;
    /// `Proxy` would become HTTP_PROXY, which libraries obey (httpoxy); X-Sendfile-Type and X-Accel-Mapping are
    /// reserved to the gateway: a client that sent them would choose the file that a framework hands out;
    /// Proxy-Authorization is addressed to the gateway; the two content fields have their own variables;
    /// Transfer-Encoding and other hop-by-hop fields end at the gateway.
    pub(super) fn export(&self, name: &HeaderName, withholds_authorization: bool) -> Export {
        let withheld = name == header::PROXY_AUTHORIZATION
            || name == header::CONTENT_LENGTH
            || name == header::CONTENT_TYPE
            || (withholds_authorization && name == header::AUTHORIZATION)
            || is_ours(name.as_str())
            || is_hop_by_hop(name);
        if withheld {
            return Export::Withheld;
        }
        if is_plain(name) {
            Export::Exported
        } else if self.pass.contains(name) {
            Export::UnlessPlainExists
        } else {
            Export::Ambiguous
        }
    }
}

/// Returns the canonical name of a site, if it has one.
pub fn canonical_name(section: &Lowered, problems: &mut Problems) -> Option<Arc<Host>> {
    let text = section.get(&CANONICAL_NAME)?;
    let host = Host::parse(&text.value).ok();
    if host.is_none() {
        let message = format!("`{}` is no host name with an optional port", text.value);
        problems.push(Problem::new(text.place, message));
    }
    host.map(Arc::new)
}

impl Responder {
    /// Creates the kind of application from `type` of an upstream and the first of its `servers`.
    pub fn new(kind: &str, server: Option<&str>) -> Self {
        match kind {
            "apache-fpm" => {
                // Behind a socket Apache uses the host of its target; any will do.
                let host = server.filter(|server| !server.starts_with("unix:"));
                let authority = host.unwrap_or("localhost");
                Self::ApacheFpm(format!("proxy:fcgi://{authority}").into_bytes())
            }
            "generic" => Self::Generic,
            _ => Self::Fpm,
        }
    }
}

/// Reports whether only the gateway may set the field.
fn is_ours(name: &str) -> bool {
    matches!(name, "proxy" | "x-sendfile-type" | "x-accel-mapping")
}

/// Reports whether PHP never gets the field from a client, or from one that is no trusted proxy.
fn is_removed(name: &str) -> bool {
    is_ours(name) || is_forwarding(name) || name == "proxy-authorization"
}

fn is_plain(name: &HeaderName) -> bool {
    let mut bytes = name.as_str().bytes();
    bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// Returns the name in its spelling with hyphens.
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
            ("x-foo", Export::Exported),
            ("authorization", Export::Exported),
            ("host", Export::Exported),
            ("x_foo", Export::Ambiguous),
            ("content_length", Export::Ambiguous),
            ("x.foo", Export::Ambiguous),
            ("x!foo", Export::Ambiguous),
            ("x_token", Export::UnlessPlainExists),
            ("proxy", Export::Withheld),
            ("proxy-authorization", Export::Withheld),
            ("content-type", Export::Withheld),
            ("transfer-encoding", Export::Withheld),
            ("connection", Export::Withheld),
        ] {
            let name = HeaderName::from_static(name);
            assert_eq!(contract.export(&name, false), expected, "{name}");
        }
        let withheld = contract.export(&header::AUTHORIZATION, true);
        assert_eq!(withheld, Export::Withheld);
    }

    #[test]
    fn authorization_is_withheld_where_a_rule_has_auth() {
        for (passes, with_auth, without) in [
            (None, true, false),
            (Some(true), false, false),
            (Some(false), true, true),
        ] {
            let contract = Contract {
                passes_authorization: passes,
                ..Contract::default()
            };
            let withholds = [true, false].map(|auth| contract.withholds_authorization(auth));
            assert_eq!(withholds, [with_auth, without], "{passes:?}");
        }
    }
}
