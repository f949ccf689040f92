//! Display of templates.

use std::fmt;

use super::variable::VARIABLES;
use super::{Piece, Template};

impl fmt::Display for Template {
    /// Writes the template as written, except braces, `$root` and `${env:NAME}`, which loading replaced.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Literal(text) => f.write_str(text)?,
                Piece::Capture(index) => write!(f, "${{{index}}}")?,
                Piece::Named(name) => write!(f, "${{{name}}}")?,
                Piece::Variable(variable) => {
                    let known = VARIABLES.iter().find(|(_, known)| known == variable);
                    write!(f, "${{{}}}", known.map_or("", |(name, _)| *name))?;
                }
                Piece::Header(name) => write!(f, "${{header:{name}}}")?,
                Piece::Cookie(name) => write!(f, "${{cookie:{name}}}")?,
            }
        }
        Ok(())
    }
}
