//! Origin of a URL template: values from the client follow the host, and never choose it.

use super::{Piece, Template, Variable, push};

/// Delimiters that end an authority (RFC 3986 §3.2).
const ENDS: [char; 3] = ['/', '?', '#'];

impl Template {
    /// Splits the URL's scheme and authority, if the text begins with them, from the rest. They extend
    /// to the first `/`, `?` or `#` after `//`, or to a value that begins with one. A variable other than
    /// `$host` and `$port` at their very end is excluded: client data there must not become the end of a
    /// host name.
    pub fn split_origin(self) -> (Option<Self>, Self) {
        let Some(scheme) = self.scheme() else {
            return (None, self);
        };
        let (mut origin, mut rest) = (Vec::new(), Vec::new());
        for (index, piece) in self.pieces.into_iter().enumerate() {
            let skipped = match index.cmp(&scheme.piece) {
                std::cmp::Ordering::Less => usize::MAX,
                std::cmp::Ordering::Equal => scheme.length,
                std::cmp::Ordering::Greater => 0,
            };
            let (own, after) = if rest.is_empty() {
                piece.split_authority(skipped)
            } else {
                (None, Some(piece))
            };
            own.into_iter().for_each(|piece| push(&mut origin, piece));
            after.into_iter().for_each(|piece| push(&mut rest, piece));
        }
        while origin.len() > scheme.piece + 1 && origin.last().is_some_and(Piece::is_sent) {
            rest.splice(0..0, origin.pop());
        }
        (Some(Self { pieces: origin }), Self { pieces: rest })
    }

    /// Finds `https://`, `//` or `$scheme://` at the start.
    fn scheme(&self) -> Option<Scheme> {
        let (piece, text) = match self.pieces.as_slice() {
            [Piece::Literal(text), ..] => (0, text),
            [Piece::Variable(Variable::Scheme), Piece::Literal(text), ..] => (1, text),
            [] | [_, ..] => return None,
        };
        let (name, _) = text.split_once("//")?;
        let is_name = match piece {
            0 => name.is_empty() || (name.ends_with(':') && !name.contains(ENDS)),
            _ => name == ":",
        };
        let length = name.len() + 2;
        is_name.then_some(Scheme { piece, length })
    }
}

/// End of the scheme: the index of its piece, and the byte length within that piece.
struct Scheme {
    piece: usize,
    length: usize,
}

impl Piece {
    /// Splits the piece into authority and rest; `skipped` bytes precede the authority.
    fn split_authority(self, skipped: usize) -> (Option<Self>, Option<Self>) {
        match self {
            Self::Literal(text) => {
                let end = text.get(skipped..).and_then(|text| text.find(ENDS));
                let (own, after) = match end {
                    Some(end) => text.split_at(skipped + end),
                    None => (text.as_str(), ""),
                };
                let after = Some(after).filter(|after| !after.is_empty());
                let literal = |text: &str| Self::Literal(text.to_owned());
                (Some(literal(own)), after.map(literal))
            }
            path @ Self::Variable(Variable::Path | Variable::Uri) => (None, Some(path)),
            piece @ (Self::Capture(_)
            | Self::Named(_)
            | Self::Variable(_)
            | Self::Header(_)
            | Self::Cookie(_)) => (Some(piece), None),
        }
    }

    /// Reports whether the value comes from the client, in any form.
    fn is_sent(&self) -> bool {
        !matches!(
            self,
            Self::Literal(_) | Self::Variable(Variable::Host | Variable::Port)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::super::Groups;
    use super::*;

    /// Splits `text` and restores its spelling: `Display` puts every name in braces.
    fn split(text: &str) -> (Option<String>, String) {
        let groups = Groups::new(2, Vec::new());
        let (origin, rest) = Template::parse(text, &groups).unwrap().split_origin();
        let show = |template: Template| template.to_string().replace(['{', '}'], "");
        (origin.map(show), show(rest))
    }

    #[test]
    fn the_host_ends_before_what_a_client_sends() {
        for (text, origin, rest) in [
            ("/a/$1", None, "/a/$1"),
            ("$1", None, "$1"),
            ("a//b", None, "a//b"),
            ("https://a.example/$1", Some("https://a.example"), "/$1"),
            ("https://a.example$1", Some("https://a.example"), "$1"),
            ("https://a.example$1/x", Some("https://a.example"), "$1/x"),
            ("https://a.example?$1", Some("https://a.example"), "?$1"),
            ("https://$host$path", Some("https://$host"), "$path"),
            ("https://$host:8443/$1", Some("https://$host:8443"), "/$1"),
            (
                "$scheme://$host:$port$path",
                Some("$scheme://$host:$port"),
                "$path",
            ),
            ("$scheme://a.example$1", Some("$scheme://a.example"), "$1"),
            (
                "https://$1.example.com$2",
                Some("https://$1.example.com"),
                "$2",
            ),
            ("//cdn.example.com/$1", Some("//cdn.example.com"), "/$1"),
            ("https://$1/x", Some("https://"), "$1/x"),
        ] {
            let expected = (origin.map(str::to_owned), rest.to_owned());
            assert_eq!(split(text), expected, "{text}");
        }
    }
}
