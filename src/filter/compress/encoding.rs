//! An answer in a content coding: from the cache, coded at once, or coded while it is sent.

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderValue, Response, header};

use super::{Compress, set_coding_fields};
use crate::handler::Body;
use crate::handler::coded::{BudgetedEncoder, Encoders, Key, Source, code_whole};
use crate::handler::share::Share;
use crate::message::accept_encoding::Coding;
use crate::message::charged_bytes::charge_bytes;

/// The largest content, in bytes, that is coded before the answer begins, so that it has Content-Length.
const AT_ONCE: usize = 64 * 1024;

/// The source of memory for an answer's encoder.
#[derive(Clone, Copy, Debug)]
pub struct Memory<'a> {
    /// The encoders of all answers.
    pub encoders: &'a Encoders,
    /// The client's share of their budget.
    pub share: Share<'a>,
}

/// An answer and its coding.
#[derive(Debug)]
pub struct Encoding {
    pub(super) settings: Arc<Compress>,
    pub(super) coding: Coding,
    pub(super) refuses_identity: bool,
    pub(super) response: Response<Body>,
}

impl Encoding {
    /// Returns the answer in its coding; without one if there is no memory for it now.
    pub async fn run(mut self, memory: Memory<'_>) -> Response<Body> {
        // Content of an upstream is never cached.
        let is_kept = !self.response.body().maker().is_upstream();
        let key = if is_kept { self.key() } else { None };
        if let Some(kept) = key.as_ref().and_then(|key| self.settings.cache.get(key)) {
            return self.whole(kept);
        }
        let effort = self.settings.effort;
        let obtained = memory.encoders.obtain(self.coding, effort, &memory.share);
        let Some(holding) = obtained.await else {
            return self.response;
        };
        if let Some(bytes) = self.at_once().cloned() {
            return self.coded_at_once(&bytes, key, holding).await;
        }
        let keep = key.and_then(|key| self.settings.cache.begin_entry(key));
        set_coding_fields(self.coding, self.response.headers_mut());
        let body = self.response.body_mut();
        body.code(memory.encoders, holding, keep);
        self.response
    }

    /// Returns the content if it is coded before the answer begins.
    fn at_once(&self) -> Option<&Bytes> {
        let whole = self.response.body().whole();
        whole.filter(|bytes| bytes.len() <= AT_ONCE)
    }

    fn key(&self) -> Option<Key> {
        let source = match self.at_once() {
            Some(bytes) => Source::Bytes(bytes.clone()),
            None => Source::File(self.response.body().identity()?),
        };
        Some(Key {
            source,
            coding: self.coding,
            effort: self.settings.effort,
        })
    }

    async fn coded_at_once(
        self,
        bytes: &Bytes,
        key: Option<Key>,
        holding: BudgetedEncoder,
    ) -> Response<Body> {
        let Ok((whole, part)) = code_whole(holding, bytes).await else {
            return self.response;
        };
        let whole = match key {
            Some(key) => {
                self.settings.cache.put(key, whole.clone());
                whole
            }
            // Counted against the client until it is sent.
            None => charge_bytes(whole, part),
        };
        self.whole(whole)
    }

    /// Replaces the content by the coded one, unless that is no smaller and the client accepts identity.
    fn whole(mut self, whole: Bytes) -> Response<Body> {
        let before = self.response.body().whole().map_or(usize::MAX, Bytes::len);
        if whole.len() >= before && !self.refuses_identity {
            return self.response;
        }
        let fields = self.response.headers_mut();
        set_coding_fields(self.coding, fields);
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(whole.len()));
        self.response.body_mut().replace(whole);
        self.response
    }
}
