//! The sites of a configuration, built side by side where there are many.

use std::num::NonZero;
use std::thread;

use super::Site;
use super::site::build_site;
use super::surroundings::Surroundings;
use crate::section::{Lowered, Problems};

/// Below this a thread costs as much as it saves.
const FEW: usize = 64;

/// Threads at most: others have requests to answer meanwhile.
const THREADS: usize = 4;

/// The sites of these sections, in their order.
pub(super) fn build_sites(
    sections: &[&Lowered],
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Site> {
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    let threads = processors.min(THREADS).min(sections.len() / FEW);
    in_parts(threads.max(1), sections, surroundings, problems)
}

/// One thread for each part, of which the last is this one.
fn in_parts(
    parts: usize,
    sections: &[&Lowered],
    surroundings: &Surroundings<'_>,
    problems: &mut Problems,
) -> Vec<Site> {
    let build = |sections: &[&Lowered]| {
        let mut found = Problems::default();
        let sites = sections.iter();
        let sites = sites.map(|section| build_site(section, surroundings, &mut found));
        (sites.collect::<Vec<_>>(), found)
    };
    let length = sections.len().div_ceil(parts).max(1);
    let (others, own) = sections.split_at(sections.len().saturating_sub(length));
    let built = thread::scope(|scope| {
        let others = others.chunks(length);
        let others: Vec<_> = others
            .map(|part| scope.spawn(move || build(part)))
            .collect();
        let own = build(own);
        let mut built: Vec<_> = others.into_iter().map(joined).collect();
        built.push(own);
        built
    });
    let mut sites = Vec::with_capacity(sections.len());
    for (part, found) in built {
        sites.extend(part);
        problems.append(found);
    }
    sites
}

/// What a thread made; its panic is ours.
fn joined<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    match thread.join() {
        Ok(made) => made,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

#[cfg(test)]
mod tests {
    use crate::config;
    use crate::message::Host;

    /// Enough for several threads, on whatever machine.
    const MANY: usize = 4 * super::FEW + 3;

    fn load(each: impl Fn(usize) -> String) -> Result<config::Snapshot, config::Invalid> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let text: String = (0..MANY).map(each).collect();
        std::fs::write(file.path(), text).unwrap();
        config::load(file.path(), None)
    }

    fn site(number: usize, more: &str) -> String {
        format!("[[site]]\nhosts = \"{number}.test\"\nroot = \"/srv/{number}\"\n{more}")
    }

    #[test]
    fn many_sites_keep_their_order_and_share_their_upstreams() {
        let loaded = load(|number| {
            let php = number % 7;
            site(number, &format!("php = \"unix:/run/{php}.sock\"\n"))
        });
        let loaded = loaded.unwrap();
        let names: Vec<_> = loaded.sites().map(|site| site.name.to_string()).collect();
        let expected: Vec<_> = (0..MANY).map(|number| format!("{number}.test")).collect();
        assert_eq!(names, expected);
        let last = Host::parse(&expected[MANY - 1]).unwrap();
        assert_eq!(*loaded.site(&last).name, *expected[MANY - 1]);
        assert_eq!(loaded.upstreams().len(), 7);
    }

    #[test]
    fn what_is_wrong_is_told_of_all_in_the_order_of_the_file() {
        let told = load(|number| site(number, "php = \"nobody\"\n")).unwrap_err();
        let told = told.to_string();
        let lines = told.lines();
        let lines = lines.filter_map(|line| line.split_once(" | php = ")?.0.trim().parse().ok());
        let lines: Vec<usize> = lines.collect();
        assert!(lines.is_sorted() && lines.len() > super::FEW, "{told}");
        let more = format!("and {} more", MANY - lines.len());
        assert!(told.contains(&more), "{told}");
    }
}
