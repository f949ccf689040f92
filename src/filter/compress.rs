//! Content codings (RFC 9110 §8.4): the choice of gzip, brotli, zstd or none, and the fields of a coded answer.
//! `handler::coded` codes the bytes while they are sent.

mod encoding;
mod settings;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode, header};
use http_body::Body as _;

pub use encoding::{Encoding, Memory};
pub use settings::{COMPRESS, Compress, Scripts};

use crate::handler::Body;
use crate::message::accept_encoding::{Accepted, Coding};
use crate::message::coded_tag;
use crate::message::status::has_content;

/// Fields that forbid a coding: another coding, a part, and the digests of RFC 9530 and, before it, RFC 1864.
const FIXED: [&str; 6] = [
    "content-encoding",
    "content-range",
    "content-digest",
    "repr-digest",
    "digest",
    "content-md5",
];

/// The content negotiation of one request (RFC 9110 §12), for a site with codings.
#[derive(Debug)]
pub struct Negotiation {
    settings: Arc<Compress>,
    /// Acceptable codings, the preferred one first.
    ranked: Vec<Coding>,
    refuses_identity: bool,
    /// If-None-Match as received, if it has tags of coded answers.
    tags: Vec<HeaderValue>,
    head: bool,
    /// The request has Cookie or Authorization.
    credentials: bool,
    /// Sec-Fetch-Site excludes that another site's page caused the request.
    is_first_party: bool,
    no_transform: bool,
}

impl Negotiation {
    /// Reads the request's fields, and replaces tags of acceptable codings in them by plain ones, which handlers compare with
    /// their own. If-Range keeps its tag: coded content has no parts, and a part of the plain content must not be taken
    /// for one.
    pub fn from_request(settings: Option<&Arc<Compress>>, parts: &mut Parts) -> Option<Self> {
        let settings = Arc::clone(settings?);
        let accepted = Accepted::of(&parts.headers);
        let ranked = accepted.ranked(&settings.codings);
        let tags = if ranked.is_empty() {
            Vec::new()
        } else {
            replace_coded_tags(&mut parts.headers, &ranked)
        };
        let fields = &parts.headers;
        let given = |name| fields.contains_key(name);
        let site = fields.get("sec-fetch-site").map(HeaderValue::as_bytes);
        Some(Self {
            refuses_identity: accepted.refuses_identity(),
            tags,
            head: parts.method == Method::HEAD,
            credentials: given(header::COOKIE) || given(header::AUTHORIZATION),
            is_first_party: matches!(site, Some(b"same-origin" | b"none")),
            no_transform: has_directive(fields, &["no-transform"]),
            ranked,
            settings,
        })
    }

    /// Returns the acceptable codings, the preferred one first.
    pub(super) fn ranked(&self) -> &[Coding] {
        &self.ranked
    }

    /// Reports whether files of this type may have precompressed variants.
    pub(super) fn wants_variants(&self, kind: &HeaderValue) -> bool {
        self.settings.precompressed && self.settings.includes(kind)
    }

    /// Sets the fields that depend on the coding of an answer, and returns the coding of its content. To be called after all
    /// other changes of the fields.
    pub fn choose(&self, response: &mut Response<Body>) -> Option<Coding> {
        if !self.varies(response) {
            return None;
        }
        vary(response.headers_mut());
        if response.status() == StatusCode::NOT_MODIFIED {
            self.restore_tag(response.headers_mut());
            return None;
        }
        let coding = self.ranked.first().copied()?;
        if !self.may_code(response) {
            return None;
        }
        if self.head {
            set_coding_fields(coding, response.headers_mut());
            return None;
        }
        Some(coding)
    }

    /// Returns the remaining work for an answer with this coding.
    pub fn encode(&self, coding: Coding, response: Response<Body>) -> Box<Encoding> {
        Box::new(Encoding {
            settings: Arc::clone(&self.settings),
            coding,
            refuses_identity: self.refuses_identity,
            response,
        })
    }

    /// Reports whether the answer depends on Accept-Encoding, even if this one has no coding.
    fn varies(&self, response: &Response<Body>) -> bool {
        let status = response.status();
        let fields = response.headers();
        let mut kinds = fields.get_all(header::CONTENT_TYPE).iter();
        match (kinds.next(), kinds.next()) {
            // A script's own 304 has no type: the 200 may have had any.
            (None, _) => status == StatusCode::NOT_MODIFIED,
            (Some(_), Some(_)) => false,
            (Some(kind), None) => {
                // RFC 9110 §15.4.5: a 304 has the Vary of its 200.
                let is_of_content = has_content(status) || status == StatusCode::NOT_MODIFIED;
                // RFC 9110 §15.3.7: a 206 has the Vary of the whole; each part of a multipart has the type of the whole.
                let kind = response.body().part_type().unwrap_or(kind);
                is_of_content && self.settings.includes(kind)
            }
        }
    }

    fn may_code(&self, response: &Response<Body>) -> bool {
        let fields = response.headers();
        // RFC 9110 §7.7, RFC 9111 §5.2.1.6 and §5.2.2.6: either side may forbid a transformation.
        !self.no_transform
            && response.status() != StatusCode::PARTIAL_CONTENT
            && !has_directive(fields, &["no-transform"])
            && !FIXED.iter().any(|name| has_value(fields, name))
            && self.is_large_enough(response)
            && self.is_breach_safe(response)
    }

    fn is_large_enough(&self, response: &Response<Body>) -> bool {
        let field = response.headers().get(header::CONTENT_LENGTH);
        let announced = field.and_then(|value| value.to_str().ok()?.parse().ok());
        let length = if self.head {
            announced
        } else {
            announced.or_else(|| response.body().size_hint().exact())
        };
        match length {
            Some(0) => false,
            Some(length) => length >= self.settings.minimum || self.refuses_identity,
            // The length for GET is unknown without making the content, and RFC 9110 §9.3.2 lets HEAD omit it.
            None => !self.head,
        }
    }

    /// Reports whether a coding is safe from BREACH: an attacker that makes a browser request a page repeatedly and sees the
    /// lengths of the answers learns secrets in them. See docs/compression.md.
    fn is_breach_safe(&self, response: &Response<Body>) -> bool {
        let fields = response.headers();
        let by_script = response.body().maker().is_upstream();
        let personal = fields.contains_key(header::SET_COOKIE)
            || has_directive(fields, &["private", "no-store"])
            || (by_script && self.credentials && !has_directive(fields, &["public"]));
        match self.settings.scripts {
            Scripts::All => true,
            Scripts::None => !by_script,
            Scripts::Guarded => !personal || self.is_first_party,
        }
    }

    /// Sets the ETag of a 304 to that of the client's 200 (RFC 9110 §15.4.5).
    fn restore_tag(&self, fields: &mut HeaderMap) {
        let Some(tag) = fields.get(header::ETAG) else {
            return;
        };
        let coded = self
            .ranked
            .iter()
            .filter_map(|coding| coded_tag::coded(tag, *coding));
        let is_listed = |tag: &HeaderValue| {
            let mut lists = self.tags.iter();
            lists.any(|list| coded_tag::is_listed(tag, list))
        };
        if let Some(tag) = coded.into_iter().find(is_listed) {
            fields.insert(header::ETAG, tag);
        }
    }
}

/// Replaces tags of coded answers by plain ones; returns the replaced values of If-None-Match.
fn replace_coded_tags(fields: &mut HeaderMap, codings: &[Coding]) -> Vec<HeaderValue> {
    let mut before = Vec::new();
    for name in [header::IF_MATCH, header::IF_NONE_MATCH] {
        let is_shown = name == header::IF_NONE_MATCH;
        let http::header::Entry::Occupied(mut entry) = fields.entry(name) else {
            continue;
        };
        for value in entry.iter_mut() {
            if let Some(plain) = coded_tag::plain(value, codings) {
                let coded = std::mem::replace(value, plain);
                before.extend(is_shown.then_some(coded));
            }
        }
    }
    before
}

/// Sets the fields of content in a coding.
fn set_coding_fields(coding: Coding, fields: &mut HeaderMap) {
    let name = HeaderValue::from_static(coding.name());
    fields.insert(header::CONTENT_ENCODING, name);
    fields.remove(header::CONTENT_LENGTH);
    fields.remove(header::ACCEPT_RANGES);
    let tag = fields.get(header::ETAG);
    if let Some(tag) = tag.and_then(|tag| coded_tag::coded(tag, coding)) {
        fields.insert(header::ETAG, tag);
    }
}

/// Adds Accept-Encoding to Vary (RFC 9110 §12.5.5), once.
fn vary(fields: &mut HeaderMap) {
    const NAME: &str = "Accept-Encoding";
    let covers = |element: &str| element == "*" || element.eq_ignore_ascii_case(NAME);
    if elements(fields, header::VARY).any(covers) {
        return;
    }
    let known: Vec<_> = elements(fields, header::VARY).chain([NAME]).collect();
    if let Ok(value) = HeaderValue::from_str(&known.join(", ")) {
        fields.insert(header::VARY, value);
    }
}

/// Reports whether Cache-Control has one of these directives, with or without an argument.
fn has_directive(fields: &HeaderMap, directives: &[&str]) -> bool {
    elements(fields, header::CACHE_CONTROL).any(|element| {
        let name = element.split('=').next().unwrap_or_default().trim_end();
        directives
            .iter()
            .any(|known| name.eq_ignore_ascii_case(known))
    })
}

/// Reports whether a field of this name has a value: an empty Content-Encoding names no coding.
fn has_value(fields: &HeaderMap, name: &str) -> bool {
    let mut values = fields.get_all(name).iter();
    values.any(|value| !value.is_empty())
}

/// Returns the elements of a field that is a list of tokens.
fn elements(fields: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    let values = fields.get_all(name).into_iter();
    let texts = values.filter_map(|value| value.to_str().ok());
    let elements = texts.flat_map(|text| text.split(',')).map(str::trim);
    elements.filter(|element| !element.is_empty())
}
