//! What a document root with PHP means, of a site or of a mount: an existing script runs, an existing
//! file is sent, a folder tries its index, and everything else goes to the front controller.

use std::sync::Arc;

use super::site::{Draft, Scripts};
use crate::cgi::Mapping;
use crate::handler::Handler;
use crate::handler::fastcgi::{Fastcgi, Missing, ScriptRule};
use crate::handler::static_files::StaticFiles;
use crate::message::Root;
use crate::route::template::{Groups, Template};
use crate::section::{At, Lowered, Place, Problem, Problems};
use crate::upstream::Upstream;

/// The application.
pub(super) struct Application<'a> {
    /// The path below which it is, without a slash at its end; empty for the whole site.
    pub(super) mount: Vec<u8>,
    /// Its document root.
    pub(super) root: Root,
    /// Who runs its scripts, and where that is written; files alone without.
    pub(super) php: Option<(Arc<Upstream>, Place)>,
    /// Where `index` and `front_controller` are.
    pub(super) section: &'a Lowered,
}

impl Application<'_> {
    /// The handlers that it means, in the order in which they are asked.
    pub(super) fn handlers(&self, draft: &Draft<'_, '_>, problems: &mut Problems) -> Vec<Handler> {
        let Some((php, place)) = &self.php else {
            return vec![Handler::StaticFiles(self.files(draft, false))];
        };
        let front = self.section.text("front_controller");
        let front = front.filter(|text| !text.value.is_empty());
        let walk = Scripts {
            rule: ScriptRule::Walk,
            missing: Missing::Decline,
        };
        let script = self.fastcgi(draft, php, walk, place);
        let mut handlers = vec![
            script,
            Handler::StaticFiles(self.files(draft, front.is_some())),
        ];
        if let Some(rule) = front.and_then(|text| front_controller(&text, &self.root, problems)) {
            let missing = Missing::NotFound;
            handlers.push(self.fastcgi(draft, php, Scripts { rule, missing }, place));
        }
        handlers
    }

    fn files(&self, draft: &Draft<'_, '_>, declines: bool) -> StaticFiles {
        let index = self.section.texts("index").into_iter();
        let index = index.map(|text| text.value).collect();
        StaticFiles::new(self.root.clone(), index, declines, draft.files.clone())
            .mounted_at(self.mount.clone())
    }

    fn fastcgi(
        &self,
        draft: &Draft<'_, '_>,
        php: &Arc<Upstream>,
        scripts: Scripts,
        place: &Place,
    ) -> Handler {
        let mapping = Mapping {
            root: self.root.clone(),
            backend_root: draft.surroundings.backend_root(php),
        };
        let handler = draft.fastcgi(Arc::clone(php), mapping, scripts, place);
        Handler::Fastcgi(Arc::new(Fastcgi {
            mount: self.mount.clone(),
            ..handler
        }))
    }
}

fn front_controller(text: &At<String>, root: &Root, problems: &mut Problems) -> Option<ScriptRule> {
    let path = root.0.join(text.value.trim_start_matches('/'));
    // A `$` in a path is no variable here.
    let literal = path.to_string_lossy().replace('$', "$$");
    match Template::parse(&literal, &Groups::default()) {
        Ok(script) => Some(ScriptRule::Fixed {
            script,
            path_info: None,
        }),
        Err(error) => {
            problems.push(Problem::new(text.place.clone(), error.to_string()));
            None
        }
    }
}
