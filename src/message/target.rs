//! The request target, decoded and normalised once (RFC 9112 §3.2, RFC 9110 §4.2, RFC 3986
//! §5.2.4). Access rules, file look-up and SCRIPT_FILENAME all read this one path; no later step
//! may decode, merge or resolve again, or two readers would see two different paths.

mod readings;

/// A target in origin-form: as received, and as the one path that all steps act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    raw: String,
    path: Vec<u8>,
    query: Option<String>,
    /// The decoded path of `raw`, where `path` is that of a later round.
    asked: Option<Vec<u8>>,
}

/// Meaning of `%2F` in a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum EncodedSlash {
    /// The request is refused as not found, as with Apache's `AllowEncodedSlashes Off`.
    #[default]
    Reject,
    /// It stays in its segment as the three bytes `%2F`. There it looks like a decoded `%252F`.
    Keep,
    /// It is a `/`, and takes part in the removal of dot segments like any other.
    Decode,
}

/// An invalid target; the client's fault, 400 unless [`TargetError::is_not_found`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// RFC 3986 §2.1: a `%` that two hexadecimal digits do not follow.
    #[error("the path has a % that two hexadecimal digits do not follow")]
    BadPercent,
    /// A byte of 0x00 to 0x1f or 0x7f, percent-encoded in the path or literal anywhere.
    #[error("the target contains the control byte 0x{0:02x}")]
    ControlByte(u8),
    /// A `..` with nothing above it.
    #[error("the path climbs above the root")]
    Climb,
    /// `%2F` under [`EncodedSlash::Reject`].
    #[error("the path contains an encoded slash")]
    EncodedSlash,
    /// The path does not begin with `/`: asterisk-form, authority-form or no target at all.
    #[error("the path does not begin with a slash")]
    NotAbsolute,
}

impl TargetError {
    /// Reports whether the answer is 404, as Apache's for an encoded slash; all others are 400.
    pub fn is_not_found(self) -> bool {
        self == Self::EncodedSlash
    }
}

impl Target {
    /// Parses a path and query of [`http::Uri`]. An empty path is `/` (RFC 9110 §4.2.3).
    pub fn parse(path_and_query: &str, slashes: EncodedSlash) -> Result<Self, TargetError> {
        let raw = match path_and_query.as_bytes().first() {
            None | Some(b'?') => format!("/{path_and_query}"),
            Some(b'/') => path_and_query.to_owned(),
            // RFC 9112 §3.2.3 and §3.2.4: authority-form and asterisk-form have no path.
            Some(_) => return Err(TargetError::NotAbsolute),
        };
        let (raw_path, query) = split_query(&raw);
        let path = if raw_path.contains('%') {
            decode(raw_path, slashes)?
        } else {
            raw_path.as_bytes().to_vec()
        };
        let query = query.map(str::to_owned);
        Self::checked(raw, path, query)
    }

    /// Returns the placeholder of an invalid target, `raw` as it was sent: its path `/` must not be a basis of
    /// decisions.
    pub fn unread(raw: &str) -> Self {
        Self {
            raw: raw.to_owned(),
            path: b"/".to_vec(),
            query: None,
            asked: None,
        }
    }

    /// Returns the target of an internal round at another decoded `path`, in which `%` is an ordinary
    /// byte. It is checked and normalised like the client's; the raw target and the query stay.
    pub fn with_path(&self, path: Vec<u8>) -> Result<Self, TargetError> {
        self.with_path_and_query(path, self.query.clone())
    }

    /// Returns the target as [`Target::with_path`], with another raw query (without its `?`) as well.
    pub fn with_path_and_query(
        &self,
        path: Vec<u8>,
        query: Option<String>,
    ) -> Result<Self, TargetError> {
        if !path.starts_with(b"/") {
            return Err(TargetError::NotAbsolute);
        }
        let target = Self::checked(self.raw.clone(), path, query)?;
        let asked = Some(self.asked_path()).filter(|asked| *asked != target.path);
        Ok(Self {
            asked: asked.map(<[u8]>::to_vec),
            ..target
        })
    }

    /// Returns this target with another reading of its path: one of [`Target::readings`], which may have dot segments.
    /// Only conditions of refusals use it.
    pub fn read_as(&self, path: Vec<u8>) -> Self {
        Self {
            path,
            ..self.clone()
        }
    }

    /// Builds every target but placeholders and readings. `path` is decoded and begins with `/`.
    fn checked(raw: String, path: Vec<u8>, query: Option<String>) -> Result<Self, TargetError> {
        // The query is not decoded, but it reaches PHP and the log as it is.
        refuse_control_bytes(query.as_deref().unwrap_or_default().as_bytes())?;
        refuse_control_bytes(&path)?;
        let path = normalise(path)?;
        Ok(Self {
            raw,
            path,
            query,
            asked: None,
        })
    }

    /// Returns the target as received, query included: REQUEST_URI. Always begins with `/`.
    pub fn raw(&self) -> &str {
        &self.raw
    }

    /// Returns the path as received, still encoded.
    pub fn raw_path(&self) -> &str {
        split_query(&self.raw).0
    }

    /// Returns the decoded path: it begins with `/`, has no empty and no dot segments, and may contain
    /// any byte but control bytes; it is not always UTF-8.
    pub fn path(&self) -> &[u8] {
        &self.path
    }

    /// Returns the decoded path of the first round.
    pub fn asked_path(&self) -> &[u8] {
        self.asked.as_deref().unwrap_or(&self.path)
    }

    /// Returns the query of the first round, without its `?`.
    pub fn asked_query(&self) -> Option<&str> {
        split_query(&self.raw).1
    }

    /// Returns the query of this round, without its `?`: the client's, unless a rewrite replaced it.
    pub fn query(&self) -> Option<&str> {
        self.query.as_deref()
    }

    /// Returns the non-empty part behind the last dot of the last segment. `/.php` has the extension
    /// `php`: a rule about scripts must see it.
    pub fn extension(&self) -> Option<&[u8]> {
        let segment = self.path.rsplit(|&byte| byte == b'/').next()?;
        let dot = segment.iter().rposition(|&byte| byte == b'.')?;
        segment.get(dot + 1..).filter(|name| !name.is_empty())
    }

    /// Reports whether the path names a folder: it ends with `/`.
    pub fn is_directory(&self) -> bool {
        self.path.ends_with(b"/")
    }

    /// Percent-encodes an absolute path for Location. The result always begins with exactly one `/`,
    /// so it never names another host (RFC 3986 §4.2).
    pub fn encode_path(path: &[u8]) -> String {
        let mut text = String::with_capacity(path.len() + 1);
        text.push('/');
        for &byte in path.iter().skip_while(|&&byte| byte == b'/') {
            push_encoded(&mut text, byte);
        }
        text
    }
}

fn split_query(raw: &str) -> (&str, Option<&str>) {
    match raw.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (raw, None),
    }
}

fn refuse_control_bytes(text: &[u8]) -> Result<(), TargetError> {
    match text.iter().find(|byte| byte.is_ascii_control()) {
        Some(&byte) => Err(TargetError::ControlByte(byte)),
        None => Ok(()),
    }
}

/// Decodes exactly one level (RFC 3986 §2.4); a decoded `%` stays a `%`.
fn decode(raw_path: &str, slashes: EncodedSlash) -> Result<Vec<u8>, TargetError> {
    let mut path = Vec::with_capacity(raw_path.len());
    let mut bytes = raw_path.bytes();
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            path.push(byte);
            continue;
        }
        let octet = octet(&mut bytes).ok_or(TargetError::BadPercent)?;
        match (octet, slashes) {
            (b'/', EncodedSlash::Reject) => return Err(TargetError::EncodedSlash),
            (b'/', EncodedSlash::Keep) => path.extend_from_slice(b"%2F"),
            (octet, _) => path.push(octet),
        }
    }
    Ok(path)
}

fn octet(digits: &mut impl Iterator<Item = u8>) -> Option<u8> {
    let high = hexadecimal(digits.next()?)?;
    let low = hexadecimal(digits.next()?)?;
    Some(high << 4 | low)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Merges slashes, then removes dot segments. In this order: `/a//../b` is `/b`, as for Apache,
/// nginx and the file system, not RFC 3986's `/a/b`.
fn normalise(path: Vec<u8>) -> Result<Vec<u8>, TargetError> {
    if is_normal(&path) {
        return Ok(path);
    }
    remove_dot_segments(&path)
}

fn is_normal(path: &[u8]) -> bool {
    !path.windows(2).any(|pair| matches!(pair, b"//" | b"/."))
}

fn remove_dot_segments(path: &[u8]) -> Result<Vec<u8>, TargetError> {
    let mut normal = Vec::with_capacity(path.len());
    let mut is_directory = false;
    for segment in path.split(|&byte| byte == b'/') {
        // The leading empty segment is dropped here; so are those between repeated slashes.
        is_directory = matches!(segment, b"" | b"." | b"..");
        match segment {
            b"" | b"." => {}
            b".." => drop_segment(&mut normal)?,
            name => {
                normal.push(b'/');
                normal.extend_from_slice(name);
            }
        }
    }
    // RFC 3986 §5.2.4 2B and 2C: a trailing `.` or `..` leaves its slash.
    if is_directory {
        normal.push(b'/');
    }
    Ok(normal)
}

/// Removes the last segment. RFC 3986 stays at the root; here it is an error, since only attacks request it.
fn drop_segment(path: &mut Vec<u8>) -> Result<(), TargetError> {
    let slash = path.iter().rposition(|&byte| byte == b'/');
    path.truncate(slash.ok_or(TargetError::Climb)?);
    Ok(())
}

/// Appends a byte, percent-encoded with upper-case digits (RFC 3986 §2.1) unless a path may contain it (§3.3).
fn push_encoded(text: &mut String, byte: u8) {
    if is_path_byte(byte) {
        text.push(char::from(byte));
    } else {
        text.push_str(&format!("%{byte:02X}"));
    }
}

fn is_path_byte(byte: u8) -> bool {
    let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    unreserved || b"!$&'()*+,;=".contains(&byte) || b":@/".contains(&byte)
}

#[cfg(test)]
mod tests;
