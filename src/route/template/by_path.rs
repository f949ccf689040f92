//! Expands templates by the path alone, when the configuration is loaded and there is no request.

use super::{Piece, Template, Variable};
use crate::route::Captures;

impl Template {
    /// Expands the template for a path with the rule's `captures`; `None` if it needs more of the request.
    pub fn by_path(&self, path: &[u8], captures: &Captures) -> Option<Vec<u8>> {
        let group = |index: usize| {
            let range = captures.groups.get(index).cloned().flatten();
            range.and_then(|range| path.get(range)).unwrap_or_default()
        };
        let mut text = Vec::new();
        for piece in &self.pieces {
            text.extend_from_slice(match piece {
                Piece::Literal(literal) => literal.as_bytes(),
                Piece::Capture(index) => group(*index),
                Piece::Named(name) => {
                    let names = captures.names.as_deref().unwrap_or_default();
                    let known = |known: &Option<String>| known.as_ref() == Some(name);
                    names.iter().position(known).map_or(b"".as_slice(), group)
                }
                Piece::Variable(Variable::Path) => path,
                Piece::Variable(Variable::Rest) => path.get(captures.rest..).unwrap_or_default(),
                Piece::Variable(
                    Variable::Query
                    | Variable::Host
                    | Variable::Port
                    | Variable::Scheme
                    | Variable::Protocol
                    | Variable::Uri
                    | Variable::Method
                    | Variable::RemoteAddr
                    | Variable::RemotePort
                    | Variable::RemoteUser
                    | Variable::RequestId,
                )
                | Piece::Header(_)
                | Piece::Cookie(_) => return None,
            });
        }
        Some(text)
    }
}
