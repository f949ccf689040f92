//! The error log as Apache 2.4 writes it by default (ErrorLogFormat of core):
//!
//! ```text
//! [Tue Dec 01 04:05:06.123456 2026] [auth_basic:error] [pid 12:tid 13] [client 192.0.2.1] AH01618: user x not found: /
//! ```
//!
//! The client has no port: behind an IPv6 address it would read as a part of it.

use std::fmt::{self, Write};

use jiff::Zoned;
use serde_json::Value;
use tracing::Level;

use super::fields::Fields;

pub(super) fn write(
    out: &mut impl Write,
    (level, target): (Level, &str),
    fields: &Fields,
) -> fmt::Result {
    let text = |name: &str| {
        let mut others = fields.others.iter();
        let (_, value) = others.find(|(known, _)| *known == name)?;
        value.as_str()
    };
    let module = text(MODULE).unwrap_or(target);
    let level = match level {
        Level::TRACE => "trace1".to_owned(),
        level => level.as_str().to_ascii_lowercase(),
    };
    let time = Zoned::now()
        .strftime("%a %b %d %H:%M:%S.%6f %Y")
        .to_string();
    let (process, thread) = (std::process::id(), nix::unistd::gettid());
    write!(
        out,
        "[{time}] [{module}:{level}] [pid {process}:tid {thread}]"
    )?;
    if let Some(client) = text(CLIENT) {
        write!(out, " [client {client}]")?;
    }
    out.write_char(' ')?;
    write_line(out, &fields.message)?;
    for (name, value) in &fields.others {
        if ![MODULE, CLIENT].contains(name) {
            write!(out, ", {name}: ")?;
            match value {
                Value::String(text) => write_line(out, text)?,
                other => write!(out, "{other}")?,
            }
        }
    }
    out.write_char('\n')
}

/// Field with Apache's module, in place of the target.
const MODULE: &str = "module";

/// Field with the client's address.
const CLIENT: &str = "client";

/// Writes a text on one line, which none of its characters ends.
fn write_line(out: &mut impl Write, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| {
        if c.is_control() {
            write!(out, "{}", c.escape_default())
        } else {
            out.write_char(c)
        }
    })
}
