//! Preconditions (RFC 9110 §13) of a request that is about to be answered with 200. With another
//! status they are ignored (§13.2.1), which the caller decides.

use std::time::{Duration, SystemTime};

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};

/// The validators of the selected representation (RFC 9110 §8.8).
#[derive(Clone, Debug, Default)]
pub struct Validators {
    /// The ETag field as sent: an entity tag with its quotes.
    pub etag: Option<HeaderValue>,
    /// The Last-Modified time; the fraction of the second does not count.
    pub last_modified: Option<SystemTime>,
}

/// Result of the preconditions of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The request proceeds as without preconditions. Range comes next.
    Proceed,
    /// 304: the client has the representation.
    NotModified,
    /// 412: the representation is not the one that the client means.
    PreconditionFailed,
}

/// Evaluates the preconditions in the order of RFC 9110 §13.2.2, for a representation that
/// exists. Fields without a valid date or list are ignored or match nothing (§13.1).
pub fn evaluate(method: &Method, headers: &HeaderMap, validators: &Validators) -> Verdict {
    // Most requests have none, and each look-up costs more than this.
    if !headers.keys().any(is_precondition) {
        return Verdict::Proceed;
    }
    // §13.2.2 steps 1 and 2: is it the one that the client wants to act on?
    if !if_match(headers, validators).unwrap_or_else(|| unmodified_since(headers, validators)) {
        return Verdict::PreconditionFailed;
    }
    let reads = matches!(*method, Method::GET | Method::HEAD);
    // §13.2.2 steps 3 and 4: is it one that the client does not have yet?
    match (if_none_match(headers, validators), reads) {
        (Some(true), _) => Verdict::Proceed,
        (Some(false), true) => Verdict::NotModified,
        (Some(false), false) => Verdict::PreconditionFailed,
        (None, true) if !modified_since(headers, validators) => Verdict::NotModified,
        // §13.1.3: If-Modified-Since is ignored unless the method is GET or HEAD.
        (None, _) => Verdict::Proceed,
    }
}

/// Reports whether a Range field applies (RFC 9110 §13.1.5); without If-Range it does.
pub fn if_range_holds(headers: &HeaderMap, validators: &Validators) -> bool {
    if !headers.contains_key(header::IF_RANGE) {
        return true;
    }
    let Some(field) = only(headers, header::IF_RANGE) else {
        return false;
    };
    match EntityTag::take(field.as_bytes()) {
        // An entity tag must match by the strong comparison.
        Some((wanted, b"")) => validators
            .tag()
            .is_some_and(|tag| tag.matches_strongly(&wanted)),
        // A list of tags is no validator.
        Some((_, _)) => false,
        // A date must be equal; a later one does not match.
        None => match (date(field), validators.last_modified) {
            (Some(wanted), Some(modified)) => seconds(wanted) == seconds(modified),
            (Some(_) | None, _) => false,
        },
    }
}

/// Builds the strong entity tag of a file (RFC 9110 §8.8.3): its size in bytes and its time of
/// modification in nanoseconds, in hexadecimal.
pub fn strong_etag(length: u64, modified: SystemTime) -> HeaderValue {
    let nanoseconds = match modified.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => format!("{:x}", after.as_nanos()),
        Err(before) => format!("-{:x}", before.duration().as_nanos()),
    };
    let tag = HeaderValue::try_from(format!("\"{length:x}-{nanoseconds}\""));
    // It always is a field value. The fallback is no entity tag and matches nothing.
    tag.unwrap_or_else(|_| HeaderValue::from(length))
}

/// Reports whether the field is a precondition of §13.1, except If-Range, which belongs to Range.
fn is_precondition(name: &HeaderName) -> bool {
    matches!(
        *name,
        header::IF_MATCH
            | header::IF_NONE_MATCH
            | header::IF_MODIFIED_SINCE
            | header::IF_UNMODIFIED_SINCE
    )
}

/// Evaluates If-Match, where present: one of the tags must match strongly (§13.1.1).
fn if_match(headers: &HeaderMap, validators: &Validators) -> Option<bool> {
    any_tag(headers, header::IF_MATCH, |wanted| {
        validators
            .tag()
            .is_some_and(|tag| tag.matches_strongly(wanted))
    })
}

/// Evaluates If-None-Match, where present: none of the tags may match weakly (§13.1.2).
fn if_none_match(headers: &HeaderMap, validators: &Validators) -> Option<bool> {
    let any = any_tag(headers, header::IF_NONE_MATCH, |wanted| {
        validators
            .tag()
            .is_some_and(|tag| tag.opaque == wanted.opaque)
    });
    any.map(|any| !any)
}

/// Evaluates If-Modified-Since: true unless it is a valid date and the representation is not newer (§13.1.3).
fn modified_since(headers: &HeaderMap, validators: &Validators) -> bool {
    let since = only(headers, header::IF_MODIFIED_SINCE).and_then(date);
    match (since, validators.last_modified) {
        (Some(since), Some(modified)) => seconds(modified) > seconds(since),
        (Some(_) | None, _) => true,
    }
}

/// Evaluates If-Unmodified-Since: true unless it is a valid date and the representation is newer (§13.1.4).
fn unmodified_since(headers: &HeaderMap, validators: &Validators) -> bool {
    let since = only(headers, header::IF_UNMODIFIED_SINCE).and_then(date);
    match (since, validators.last_modified) {
        (Some(since), Some(modified)) => seconds(modified) <= seconds(since),
        (Some(_) | None, _) => true,
    }
}

/// Reports whether a tag of the field's list satisfies `matches`; `*` always does, since there is a
/// representation. `None` if the field is absent.
fn any_tag(
    headers: &HeaderMap,
    name: HeaderName,
    matches: impl Fn(&EntityTag<'_>) -> bool,
) -> Option<bool> {
    let mut fields = headers.get_all(name).iter().peekable();
    fields.peek()?;
    Some(fields.any(|field| match field.as_bytes() {
        b"*" => true,
        list => EntityTag::list(list).any(|tag| matches(&tag)),
    }))
}

/// Returns the field's value unless it is repeated and so is no single date or validator.
fn only(headers: &HeaderMap, name: HeaderName) -> Option<&HeaderValue> {
    let mut values = headers.get_all(name).iter();
    values.next().filter(|_| values.next().is_none())
}

/// Parses a date in any of the three formats of RFC 9110 §5.6.7.
fn date(field: &HeaderValue) -> Option<SystemTime> {
    field
        .to_str()
        .ok()
        .and_then(|text| httpdate::parse_http_date(text).ok())
}

/// Rounds `time` down to seconds since the epoch. HTTP dates have no fractions, so a fraction must
/// not make a file newer than its own Last-Modified.
fn seconds(time: SystemTime) -> i128 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i128::from(after.as_secs()),
        Err(before) => -i128::from(ceiling(before.duration())),
    }
}

fn ceiling(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

impl Validators {
    fn tag(&self) -> Option<EntityTag<'_>> {
        let (tag, _) = EntityTag::take(self.etag.as_ref()?.as_bytes())?;
        Some(tag)
    }
}

/// An entity tag, `[ W/ ] opaque-tag` (RFC 9110 §8.8.3).
struct EntityTag<'a> {
    weak: bool,
    opaque: &'a [u8],
}

impl<'a> EntityTag<'a> {
    /// Iterates over the tags of a list up to the first element that is no tag. A tag may contain commas.
    fn list(mut list: &'a [u8]) -> impl Iterator<Item = Self> {
        std::iter::from_fn(move || {
            let (tag, rest) = Self::take(skip_separators(list))?;
            list = rest;
            Some(tag)
        })
    }

    /// Splits the tag at the beginning of `text` from the rest.
    fn take(text: &'a [u8]) -> Option<(Self, &'a [u8])> {
        // RFC 9110 §8.8.3: the `W/` is case-sensitive.
        let (weak, quoted) = match text.strip_prefix(b"W/") {
            Some(quoted) => (true, quoted),
            None => (false, text),
        };
        let quoted = quoted.strip_prefix(b"\"")?;
        let end = quoted.iter().position(|&byte| byte == b'"')?;
        let (opaque, rest) = quoted.split_at_checked(end)?;
        Some((Self { weak, opaque }, rest.get(1..)?))
    }

    /// Reports whether both tags are strong and equal (RFC 9110 §8.8.3.2).
    fn matches_strongly(&self, other: &EntityTag<'_>) -> bool {
        !self.weak && !other.weak && self.opaque == other.opaque
    }
}

fn skip_separators(list: &[u8]) -> &[u8] {
    let separators = list
        .iter()
        .take_while(|byte| matches!(byte, b',' | b' ' | b'\t'))
        .count();
    list.get(separators..).unwrap_or_default()
}

#[cfg(test)]
mod tests;
