//! A description that uses every kind, for tests of everything that works on descriptions.

use super::{Key, Kind, Section};

pub(crate) static ROOT: Section = Section {
    title: "the file",
    doc: "A sample.",
    keys: &[
        Key::new("include", Kind::Texts, "Further files.").example(r#"["sites/*.toml"]"#),
        Key::new("server", Kind::Table(&SERVER), "The whole process."),
        Key::new(
            "upstream",
            Kind::Named(&UPSTREAM),
            "Each backend under a name.",
        ),
        Key::new("site", Kind::Tables(&SITE), "Each site."),
    ],
};

static SERVER: Section = Section {
    title: "[server]",
    doc: "What holds for all sites. This sentence is here only to be so long that it has to be wrapped.\nA second paragraph.",
    keys: &[
        Key::new(
            "workers",
            Kind::Integer { min: 0, max: 1024 },
            "Threads; 0 for one a core.",
        )
        .default("0"),
        Key::new(
            "log",
            Kind::OneOf(&["error", "warn", "info"]),
            "How much to say.",
        )
        .default(r#""info""#),
        Key::new(
            "drain",
            Kind::Duration,
            "How long requests in flight may take.",
        )
        .default(r#""25s""#),
        Key::new("limits", Kind::Table(&LIMITS), "Bounds."),
    ],
};

static LIMITS: Section = Section {
    title: "limits",
    doc: "Each is answered by the status that fits.",
    keys: &[
        Key::new("body", Kind::Size, "The longest request body.").default(r#""32MiB""#),
        Key::new(
            "fields",
            Kind::Integer {
                min: 1,
                max: i64::MAX,
            },
            "How many fields a request may have.",
        ),
    ],
};

static UPSTREAM: Section = Section {
    title: "[upstream.NAME]",
    doc: "A FastCGI application.",
    keys: &[
        Key::new("servers", Kind::Texts, "Its addresses.").example(r#"["unix:/run/php.sock"]"#),
        Key::new(
            "keep",
            Kind::Duration,
            "How long an idle connection is kept.",
        )
        .default(r#""20ms""#),
        Key::new("timeouts", Kind::Table(&TIMEOUTS), "Durations."),
    ],
};

static TIMEOUTS: Section = Section {
    title: "timeouts",
    doc: "One for each step.",
    keys: &[Key::new("connect", Kind::Duration, "To connect.").default(r#""1s""#)],
};

static SITE: Section = Section {
    title: "[[site]]",
    doc: "A site.",
    keys: &[
        Key::new("root", Kind::Text, "The directory.").example(r#""/srv/app""#),
        Key::new("index", Kind::Texts, "What a directory shows.")
            .default(r#"["index.php", "index.html"]"#),
        Key::new("secure", Kind::Flag, "Whether only TLS will do.").default("false"),
        Key::new("env", Kind::Pairs, "Further meta-variables.")
            .example(r#"{ APP_ENV = "production" }"#),
        Key::new("deny", Kind::FlagOr(&DENY), "Refuses everything."),
        Key::new("front", Kind::TextOr(&FRONT), "What gets the rest."),
        Key::new("send", Kind::Table(&SEND), "Answers with a text.").example(r#"{ body = "x" }"#),
        Key::new("brief", Kind::Table(&BRIEF), "Described by its example.")
            .example("{ on = true }"),
    ],
};

static DENY: Section = Section {
    title: "deny",
    doc: "A refusal.",
    keys: &[Key::new(
        "status",
        Kind::Integer { min: 400, max: 599 },
        "The status.",
    )
    .default("403")],
};

static FRONT: Section = Section {
    title: "front",
    doc: "A script.",
    keys: &[
        Key::new("script", Kind::Text, "Its file.").default(r#""index.php""#),
        Key::new("except", Kind::Texts, "What it does not get.").example(r#"["png"]"#),
    ],
};

static SEND: Section = Section {
    title: "send",
    doc: "A text.",
    keys: &[Key::new("body", Kind::Text, "The text.").example(r#""hello""#)],
};

static BRIEF: Section = Section {
    title: "brief",
    doc: "",
    keys: &[Key::new("on", Kind::Flag, "Whether it is on.")],
};
