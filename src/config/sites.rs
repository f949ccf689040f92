//! The sites of a configuration, built in parallel if there are many.

use super::build_context::BuildContext;
use super::parallel;
use super::site::build_site;
use crate::section::{Lowered, Problems};
use crate::site::Site;

/// Number of sites below which a thread costs as much as it saves.
const FEW: usize = 64;

/// Builds the sites of these sections, in their order.
pub(super) fn build_sites(
    sections: &[&Lowered],
    context: &BuildContext<'_>,
    problems: &mut Problems,
) -> Vec<Site> {
    let threads = parallel::thread_count(sections.len() / FEW);
    let length = sections.len().div_ceil(threads).max(1);
    let built = parallel::map(sections.chunks(length).collect(), |part| {
        let mut found = Problems::default();
        let build = |section: &&Lowered| build_site(section, context, &mut found);
        let sites: Vec<_> = part.iter().map(build).collect();
        (sites, found)
    });
    let mut sites = Vec::with_capacity(sections.len());
    for (part, found) in built {
        sites.extend(part);
        problems.append(found);
    }
    sites
}

#[cfg(test)]
mod tests {
    use crate::config;
    use crate::files::Files;
    use crate::message::Host;

    /// Number of sites for several threads, on any machine.
    const MANY: usize = 4 * super::FEW + 3;

    fn load(each: impl Fn(usize) -> String) -> Result<config::Snapshot, config::Invalid> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..MANY).map(each).collect();
        std::fs::write(file.path(), text).unwrap();
        config::load(file.path(), None, &Files::own())
    }

    fn site(number: usize, more: &str) -> String {
        format!("[[site]]\nhosts = \"{number}.test\"\nroot = \"/srv/{number}\"\n{more}")
    }

    #[test]
    fn many_sites_keep_their_order_and_share_their_upstreams() {
        let loaded = load(|number| {
            let php = number % 7;
            site(number, &format!("php = \"unix:/run/{php}.sock\"\n"))
        })
        .unwrap();
        let names: Vec<_> = loaded.sites().map(|site| site.name.to_string()).collect();
        let expected: Vec<_> = (0..MANY).map(|number| format!("{number}.test")).collect();
        assert_eq!(names, expected);
        let last = Host::parse(&expected[MANY - 1]).unwrap();
        assert_eq!(*loaded.site(&last, "").unwrap().name, *expected[MANY - 1]);
        assert_eq!(loaded.upstreams().len(), 7);
    }

    #[test]
    fn errors_of_all_sites_are_reported_in_the_order_of_the_file() {
        let invalid = load(|number| site(number, "php = \"nobody\"\n")).unwrap_err();
        let message = invalid.to_string();
        let lines: Vec<usize> = message
            .lines()
            .filter_map(|line| line.split_once(" | php = ")?.0.trim().parse().ok())
            .collect();
        assert!(lines.is_sorted() && lines.len() > super::FEW, "{message}");
        let more = format!("and {} more", MANY - lines.len());
        assert!(message.contains(&more), "{message}");
    }
}
