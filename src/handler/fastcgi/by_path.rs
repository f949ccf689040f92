//! Judges a handler by the path alone, when the configuration is loaded and there is no request.

use super::{Fastcgi, Missing, ScriptRule};
use crate::cgi::script;
use crate::handler::mount::Mount;
use crate::route::Captures;

impl Fastcgi {
    /// As [`crate::handler::Handler::always_settles`].
    pub(in crate::handler) fn always_settles(&self) -> bool {
        self.missing != Missing::Decline && self.mount == Mount::default()
    }

    /// As [`crate::handler::Handler::settles`].
    pub(in crate::handler) fn settles(&self, path: &[u8]) -> Option<bool> {
        let Some(below) = self.mount.below(path) else {
            return Some(false);
        };
        if self.missing != Missing::Decline {
            return Some(true);
        }
        let walks = matches!(self.script, ScriptRule::Walk);
        (walks && script::candidates(below).next().is_none()).then_some(false)
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
