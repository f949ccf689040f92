//! Validity and completeness of the reference.

use super::reference;
use crate::section::sample::{BODY_KEY, DENY_KEY, ROOT, SEND_KEY, SERVER_KEY, SITE_KEY};
use crate::section::tests::lower;

/// Returns the reference with the settings that are switched off switched on.
fn switched_on(reference: &str) -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(setting) if !setting.is_empty() && !setting.starts_with(' ') => format!("{setting}\n"),
        Some(_) | None => format!("{line}\n"),
    };
    reference.lines().map(on).collect()
}

#[test]
fn the_reference_reads_back_and_means_the_defaults() {
    let text = reference(&ROOT);
    let file = lower(&text);
    assert!(
        file.get(&SERVER_KEY)
            .same_as(&lower("server.limits = {}").get(&SERVER_KEY))
    );
    assert_eq!(file.get(&SITE_KEY).len(), 1);
    assert!(file.get(&SITE_KEY)[0].given(&DENY_KEY).is_none());
    let all = lower(&switched_on(&text));
    assert_eq!(all.given_keys().len(), ROOT.keys().count());
    let site = &all.get(&SITE_KEY)[0];
    assert_eq!(site.given_keys().len(), 9);
    assert_eq!(
        site.given(&SEND_KEY)
            .unwrap()
            .get(&BODY_KEY)
            .unwrap()
            .as_str(),
        "hello"
    );
    assert!(
        text.lines().all(|line| line.chars().count() <= 90),
        "{text}"
    );
}

#[test]
fn the_reference_shows_doc_kind_and_default() {
    let text = reference(&ROOT);
    for part in [
        "\n# Threads; 0 for one a core.\n# An integer from 0 to 1024.\nworkers = 0\n",
        "\n# Settings for all sites. This sentence is here only to be so long that it has to be\n# wrapped.\n# A second paragraph.\n[server]\n",
        "\n[server.limits]\n",
        "\n#fields = 1\n",
        "\n[upstream.NAME]\n",
        "\n# `deny = true` is the same with all its defaults.\n#[site.deny]\n",
        "\n# A script.\n# `front = \"…\"` is the same with `script` alone.\n[site.front]\n",
        "\n# Described by its example.\n# A table.\n#brief = { on = true }\n",
    ] {
        assert!(text.contains(part), "{part}\nis not in\n{text}");
    }
}
