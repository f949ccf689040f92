//! The error log as JSON: an object in each line, `time`, `level`, `target` and `message` first.

use std::fmt::{self, Write};

use jiff::Timestamp;
use serde_json::Value;
use tracing::Level;

use super::fields::Fields;

pub(super) fn write(
    out: &mut impl Write,
    (level, target): (Level, &str),
    fields: &Fields,
) -> fmt::Result {
    let time = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%6fZ");
    let level = level.as_str().to_ascii_lowercase();
    write!(
        out,
        r#"{{"time":"{time}","level":"{level}","target":"{target}","message":{}"#,
        Value::from(fields.message.as_str())
    )?;
    for (name, value) in &fields.others {
        write!(out, ",{}:{value}", Value::from(*name))?;
    }
    out.write_str("}\n")
}
