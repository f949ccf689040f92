//! A precompressed file, sent in place of the one beside it.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderValue, header};

use super::{Part, Representation};
use crate::message::OpenFile;
use crate::message::accept_encoding::Coding;
use crate::message::coded_tag;

/// Age by which a variant may exceed its file: copies are not always made in the order of time.
const TOLERANCE: Duration = Duration::from_secs(60);

impl Representation {
    /// Returns the file whose content is sent.
    pub fn file(&self) -> &Arc<OpenFile> {
        &self.file
    }

    /// Returns the type if the whole of the file is sent and a variant could replace it.
    pub fn replaceable(&self) -> Option<&HeaderValue> {
        let coded = self.fields.contains_key(header::CONTENT_ENCODING);
        let replaceable = self.part == Part::Whole && !coded;
        self.fields
            .get(header::CONTENT_TYPE)
            .filter(|_| replaceable)
    }

    /// Sends the content of `variant`, which has this coding; all fields of the file stay but its tag. Returns false if the
    /// variant is older than the file: it has other content.
    pub fn send_as(&mut self, variant: Self, coding: Coding) -> bool {
        let oldest = self.file.modified.checked_sub(TOLERANCE);
        if oldest.is_some_and(|oldest| variant.file.modified < oldest) {
            return false;
        }
        self.file = variant.file;
        let name = HeaderValue::from_static(coding.name());
        self.fields.insert(header::CONTENT_ENCODING, name);
        // Ranges apply to the file without a coding.
        self.fields.remove(header::ACCEPT_RANGES);
        let tag = self.fields.get(header::ETAG);
        if let Some(tag) = tag.and_then(|tag| coded_tag::coded(tag, coding)) {
            self.fields.insert(header::ETAG, tag);
        }
        true
    }
}
