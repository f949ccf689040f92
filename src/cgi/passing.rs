//! `cgi` of a site: what of a request is passed on to scripts beyond the rules that always hold.

use http::{HeaderMap, HeaderName, header};

use crate::message::hop_by_hop::is_hop_by_hop;
use crate::section::{At, Key, Kind, Lowered, Problem, Problems, Section};

/// The `cgi` section.
pub static SITE_CGI: Section = Section {
    title: "[site.cgi]",
    doc: "What scripts are told of a request; docs/cgi.md has all of it.",
    keys: &[
        Key::new("pass_fields", Kind::Texts, "Header fields with an underscore in their name that scripts get all the same. Others are withheld, as HTTP_X_FOO is what X-Foo becomes.").example("[\"X_Foo\"]"),
        Key::new("authorization", Kind::Flag, "Whether scripts get Authorization, and PHP from it PHP_AUTH_USER and PHP_AUTH_PW.").default("true"),
        Key::new("canonical_name", Kind::Flag, "Whether SERVER_NAME and SERVER_PORT are the first of `hosts` and the port of the listener, whatever the client calls us; else they follow Host.").default("false"),
    ],
};

/// What a site passes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Passing {
    /// Fields with underscores in their names that are passed all the same.
    pub fields: Vec<HeaderName>,
    /// Whether Authorization is.
    pub authorization: bool,
    /// SERVER_NAME, where it is not to follow Host.
    pub canonical_name: Option<String>,
}

impl Default for Passing {
    fn default() -> Self {
        Self {
            fields: Vec::new(),
            authorization: true,
            canonical_name: None,
        }
    }
}

impl Passing {
    /// From its section; `hosts` are the site's.
    pub fn build(section: &Lowered, hosts: &[At<String>], problems: &mut Problems) -> Self {
        let mut fields: Vec<HeaderName> = Vec::new();
        for text in section.texts("pass_fields") {
            match field(&text.value, &fields) {
                Ok(name) => fields.push(name),
                Err(message) => problems.push(Problem::new(text.place, message)),
            }
        }
        let first = hosts.first().map(|host| host.value.to_ascii_lowercase());
        let plain = first.filter(|host| !host.starts_with('*'));
        let canonical = section.flag("canonical_name");
        if canonical && plain.is_none() {
            let place = section.place_of("canonical_name");
            let problem = Problem::new(place, "canonical_name needs a name");
            problems.push(problem.help("begin `hosts` with a name without `*`"));
        }
        Self {
            fields,
            authorization: section.flag("authorization"),
            canonical_name: plain.filter(|_| canonical),
        }
    }

    /// Whether the field `name` among `fields` becomes an `HTTP_` variable.
    pub(super) fn exports(&self, name: &HeaderName, fields: &HeaderMap) -> bool {
        if name == header::AUTHORIZATION {
            return self.authorization;
        }
        if is_plain(name) {
            return !is_withheld(name);
        }
        // Of two fields for one variable the one with hyphens is meant.
        self.fields.contains(name) && !fields.contains_key(hyphenated(name.as_str()))
    }

    /// Whether the field is withheld for the sake of its name alone.
    pub fn is_ambiguous(&self, name: &HeaderName) -> bool {
        !is_plain(name) && !self.fields.contains(name)
    }
}

/// behaviours no. 20: names with anything but letters, digits and hyphens could pass for another
/// field once hyphens have become underscores.
fn is_plain(name: &HeaderName) -> bool {
    name.as_str()
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

/// behaviours no. 21–22. `Proxy` would become HTTP_PROXY, which libraries obey (httpoxy);
/// X-Sendfile-Type and X-Accel-Mapping are the gateway's to say: a client that said them would
/// choose what file a framework hands out; Proxy-Authorization is addressed to us; the two content
/// fields have their own variables; Transfer-Encoding and its like ended at our door.
fn is_withheld(name: &HeaderName) -> bool {
    name == header::PROXY_AUTHORIZATION
        || name == header::CONTENT_LENGTH
        || name == header::CONTENT_TYPE
        || matches!(
            name.as_str(),
            "proxy" | "x-sendfile-type" | "x-accel-mapping"
        )
        || is_hop_by_hop(name)
}

fn hyphenated(name: &str) -> String {
    name.replace('_', "-")
}

fn field(text: &str, known: &[HeaderName]) -> Result<HeaderName, String> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| format!("`{text}` is no name of a header field"))?;
    let bytes = || name.as_str().bytes();
    if !bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(format!(
            "`{text}` has other bytes than letters, digits, `-` and `_`"
        ));
    }
    if !bytes().any(|byte| byte == b'_') {
        return Err(format!(
            "`{text}` has no underscore: it is passed without being named here"
        ));
    }
    let twin = hyphenated(name.as_str());
    let is_own = |name: HeaderName| is_withheld(&name) || name == header::AUTHORIZATION;
    if twin.parse().is_ok_and(is_own) {
        return Err(format!(
            "`{text}` would pass for {twin}, which is never passed so"
        ));
    }
    if known.iter().any(|other| hyphenated(other.as_str()) == twin) {
        return Err(format!(
            "`{text}` has the same variable as a field before it"
        ));
    }
    Ok(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_with_underscores_pass_only_by_name_and_never_for_another() {
        let passing = Passing {
            fields: vec![HeaderName::from_static("x_foo")],
            ..Passing::default()
        };
        let mut fields = HeaderMap::new();
        let exports = |name: &'static str, fields: &HeaderMap| {
            passing.exports(&HeaderName::from_static(name), fields)
        };
        for (name, expected) in [
            ("x-foo", true),
            ("x_foo", true),
            ("x_bar", false),
            ("x.foo", false),
            ("content_length", false),
            ("content-length", false),
            ("proxy", false),
            ("proxy-authorization", false),
            ("authorization", true),
            ("transfer-encoding", false),
            ("https", true),
        ] {
            assert_eq!(exports(name, &fields), expected, "{name}");
        }
        fields.insert("x-foo", http::HeaderValue::from_static("1"));
        assert!(!exports("x_foo", &fields));
        let silent = Passing {
            authorization: false,
            ..Passing::default()
        };
        assert!(!silent.exports(&header::AUTHORIZATION, &fields));
    }

    #[test]
    fn only_names_that_need_it_and_do_no_harm_can_be_passed() {
        let known = [HeaderName::from_static("x_foo")];
        assert!(field("X_Bar", &known).is_ok());
        for bad in [
            "X-Foo",
            "a b",
            "x.y_z",
            "Content_Length",
            "Proxy_Authorization",
            "X_foo",
        ] {
            assert!(field(bad, &known).is_err(), "{bad}");
        }
    }
}
