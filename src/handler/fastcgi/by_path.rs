//! Properties of a handler that depend on the path alone, for checks of the configuration when there is no
//! request.

use super::{Fastcgi, Missing, ScriptRule};
use crate::cgi::script;
use crate::route::Captures;

impl Fastcgi {
    /// Implements [`crate::handler::Handler::settled_below`].
    pub(in crate::handler) fn settled_below(&self) -> Option<&str> {
        (self.missing != Missing::Decline).then(|| self.mount.as_str())
    }

    /// Reports whether the handler declines every request for this path, as far as the path alone decides it.
    pub(in crate::handler) fn leaves(&self, path: &[u8]) -> bool {
        let walks = matches!(self.script, ScriptRule::Walk);
        let below = self.mount.below(path);
        below.is_none_or(|below| walks && script::candidates(below).next().is_none())
    }

    /// Reports whether a script that is only a part of `path` may answer, with the rest as PATH_INFO.
    pub fn runs_with_path_info(&self, path: &[u8], captures: &Captures) -> bool {
        let goes_on = |path: &[u8]| {
            let script = script::candidates(path).next();
            script.is_some_and(|end| end < path.len())
        };
        match &self.script {
            ScriptRule::Walk => self.mount.below(path).is_some_and(goes_on),
            ScriptRule::Files(pattern) => script::ends(path).any(|end| {
                let file = path.get(..end).unwrap_or(path);
                let name = file.rsplit(|byte| *byte == b'/').next().unwrap_or(file);
                end < path.len() && pattern.is_match(name, &self.log.place) == Ok(true)
            }),
            ScriptRule::FileName(name) => {
                let file = name.file.by_path(path, captures);
                file.is_some_and(|file| goes_on(&file)) && !name.is_one_script()
            }
            ScriptRule::Fixed { .. } => false,
        }
    }
}
