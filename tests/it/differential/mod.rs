//! The same requests to a real Apache and to fcgate, in front of the same PHP-FPM: what PHP sees, and what the client
//! gets, is the same, or stands with its reason in `tests/differential/expected_differences.toml`. The requests are
//! those of `tests/differential/requests.toml`; both files say how they are read.

mod expected;
mod observation;
mod requests;
mod sides;
mod table;

use futures_util::{StreamExt, stream};

use expected::{Difference, Expected};
use observation::Observation;
use requests::Case;
use sides::Sides;

/// The two ways in which Apache hands requests to PHP-FPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Style {
    /// A file is found first, and its name decides: `SetHandler proxy:fcgi://…` in `<FilesMatch>`.
    SetHandler,
    /// The path decides, whether there is a file or not: `ProxyPassMatch … fcgi://…`.
    ProxyPassMatch,
}

impl Style {
    /// Its name in the two tables.
    fn name(self) -> &'static str {
        match self {
            Self::SetHandler => "SetHandler",
            Self::ProxyPassMatch => "ProxyPassMatch",
        }
    }
}

/// How many requests are under way at once.
const AT_ONCE: usize = 6;

#[tokio::test]
async fn php_sees_the_same_as_behind_apache_with_set_handler() {
    compare(Style::SetHandler).await;
}

#[tokio::test]
async fn php_sees_the_same_as_behind_apache_with_proxy_pass_match() {
    compare(Style::ProxyPassMatch).await;
}

async fn compare(style: Style) {
    let cases = requests::of(style);
    assert!(cases.len() >= 200, "{} requests are few", cases.len());
    let sides = Sides::start(style).await;
    let found: Vec<Vec<Difference>> = stream::iter(&cases)
        .map(|case| differences(&sides, case))
        .buffered(AT_ONCE)
        .collect()
        .await;
    let found: Vec<Difference> = found.into_iter().flatten().collect();
    let complaints = Expected::read().judge(style, &found);
    assert!(
        complaints.is_empty(),
        "{} of {} requests, {style:?}:\n\n{}\n",
        complaints.len(),
        cases.len(),
        complaints.join("\n")
    );
}

async fn differences(sides: &Sides, case: &Case) -> Vec<Difference> {
    let apache = sides.ask_apache(case).await;
    let fcgate = sides.ask_fcgate(case).await;
    let differing = Observation::differences(&apache, &fcgate);
    let differing = differing.into_iter();
    differing
        .map(|(variable, apache, fcgate)| Difference {
            request: case.name.clone(),
            protocol: case.protocol.name(),
            variable,
            apache,
            fcgate,
        })
        .collect()
}
