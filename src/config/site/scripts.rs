//! What all handlers of a site that ask scripts share.

use std::sync::Arc;

use super::Surroundings;
use crate::cgi::Passing;
use crate::cgi::meta_variables::Backend;
use crate::handler::fastcgi::{ScriptRule, Withheld};
use crate::message::Root;
use crate::route::template::{Groups, Template};
use crate::section::{At, Lowered, Problem, Problems};
use crate::upstream::Upstream;

/// `cgi` of a site.
pub(super) struct Contract {
    pub(super) passing: Arc<Passing>,
    pub(super) withheld: Arc<Withheld>,
}

impl Contract {
    /// From the section of the site `name`.
    pub(super) fn build(section: &Lowered, name: &Arc<str>, problems: &mut Problems) -> Self {
        let (cgi, hosts) = (section.table("cgi"), section.texts("hosts"));
        Self {
            passing: Arc::new(Passing::build(&cgi, &hosts, problems)),
            withheld: Arc::new(Withheld::new(Arc::clone(name))),
        }
    }
}

impl Surroundings<'_> {
    /// `type` of an upstream.
    pub(super) fn backend(&self, upstream: &Upstream) -> Backend {
        let known = self.upstreams.get(&upstream.name);
        let word = known.and_then(|(section, _)| section.text("type"));
        match word.as_ref().map(|word| word.value.as_str()) {
            Some("apache-fpm") => Backend::ApacheFpm,
            Some("generic") => Backend::Generic,
            Some(_) | None => Backend::Fpm,
        }
    }
}

pub(super) fn front_controller(
    text: &At<String>,
    root: &Root,
    problems: &mut Problems,
) -> Option<ScriptRule> {
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
