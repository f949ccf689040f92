//! Templates: what is accepted can be expanded, and a `$` that is doubled is a `$`.
#![no_main]

use std::borrow::Cow;

use fcgate::route::template::{Groups, Template, Values, Variable};
use http::HeaderName;
use libfuzzer_sys::fuzz_target;

/// Three groups, of which the second took no part in the match and the last has a name.
struct Match;

impl Values for Match {
    fn capture(&self, index: usize) -> Option<&[u8]> {
        assert!(index <= 3, "a group that the pattern lacks");
        (index != 2).then_some(b"group".as_slice())
    }

    fn named(&self, name: &str) -> Option<&[u8]> {
        assert_eq!(name, "lang", "a name that the pattern lacks");
        Some(b"de")
    }

    fn variable(&self, variable: Variable) -> Cow<'_, [u8]> {
        Cow::Borrowed(match variable {
            Variable::Uri | Variable::Query => b"sent",
            Variable::Path
            | Variable::Rest
            | Variable::Host
            | Variable::Port
            | Variable::Scheme
            | Variable::Protocol
            | Variable::Method
            | Variable::RemoteAddr
            | Variable::RemotePort
            | Variable::RemoteUser
            | Variable::RequestId => b"\xffvalue",
        })
    }

    fn header(&self, name: &HeaderName) -> Option<&[u8]> {
        (name != "absent").then_some(b"field")
    }

    fn cookie(&self, name: &str) -> Option<&[u8]> {
        assert!(!name.is_empty(), "a cookie without a name");
        None
    }
}

fuzz_target!(|text: &str| {
    let groups = Groups::new(3, vec!["lang".to_owned()]);
    for groups in [&groups, &Groups::default()] {
        match Template::parse(text, groups) {
            Ok(template) => {
                let expanded = template.expand(&Match);
                let written =
                    template.expand_with(&Match, |value, out| out.extend_from_slice(value.bytes()));
                assert_eq!(expanded, written);
                assert!(template.literal_length() <= expanded.len());
            }
            Err(error) => {
                let rest = text.get(error.offset..).expect("within the text");
                assert!(rest.starts_with('$') && !error.message.is_empty());
            }
        }
    }
    let literal = text.replace('$', "$$");
    let template = Template::parse(&literal, &Groups::default()).expect("no variables");
    assert_eq!(template.expand(&Match), text.as_bytes());
    assert_eq!(template.literal_length(), text.len());
});
