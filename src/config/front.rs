//! `index` and `front_controller`: keys of a site, of a mount and of a preset.

use crate::section::{At, Key, Section, Table};

/// Index files of a folder; of a site and of a mount.
pub(super) static INDEX: Key<Vec<At<String>>> =
    Key::texts("index", "Index files of a folder, in order of preference.")
        .default("[\"index.php\", \"index.html\"]");

/// Handler of the remaining paths, likewise.
pub(super) static FRONT_CONTROLLER: Key<Table> = Key::text_or(
    "front_controller",
    &FRONT,
    "The script for all other paths.",
);

/// The `front_controller` section.
pub(super) static FRONT: Section = Section {
    title: "[site.front_controller]",
    doc: "Handling of paths without a file or a script.",
    groups: &[&[&SCRIPT, &EXCEPT]],
};

pub(super) static SCRIPT: Key<At<String>> = Key::text(
    "script",
    "The script below `root`; \"\": none, such paths get 404.",
)
.default("\"index.php\"");

pub(super) static EXCEPT: Key<Vec<At<String>>> = Key::texts("except", "Extensions of files, case-insensitive: missing files get 404 at once, at no cost for PHP: [\"gif\", \"jpg\", \"png\", \"webp\"]. Otherwise a missing picture gets a page, often with 200. Not for extensions of content that scripts generate, such as thumbnails.").default("[]");
