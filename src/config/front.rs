//! `index` and `front_controller`: keys of a site, of a mount and of a preset.

use crate::section::{At, Key, Section, Table};

/// What a folder shows; of a site and of a mount.
pub(super) static INDEX: Key<Vec<At<String>>> =
    Key::texts("index", "What is looked for in a folder, in this order.")
        .default("[\"index.php\", \"index.html\"]");

/// What gets the rest, likewise.
pub(super) static FRONT_CONTROLLER: Key<Table> =
    Key::text_or("front_controller", &FRONT, "The script that gets the rest.");

/// The `front_controller` section.
pub(super) static FRONT: Section = Section {
    title: "[site.front_controller]",
    doc: "What becomes of a path that leads neither to a file nor to a script.",
    groups: &[&[&SCRIPT, &EXCEPT]],
};

pub(super) static SCRIPT: Key<At<String>> = Key::text(
    "script",
    "The script below `root` that gets it; \"\": none, and that is 404.",
)
.default("\"index.php\"");

pub(super) static EXCEPT: Key<Vec<At<String>>> = Key::texts("except", "Extensions of files, without regard to case: what ends so and is not there is 404 at once, and costs PHP nothing: [\"gif\", \"jpg\", \"png\", \"webp\"]. A missing picture gets a page otherwise, often with 200. Not for what scripts make at such addresses, as thumbnails.").default("[]");
