//! The variables of a call, without calling the script.

use super::Call;
use crate::failure::Failure;
use crate::fastcgi::params::{Pair, ParamsEncoder, decode_pairs};
use crate::message::Request;

impl Call {
    /// Returns the variables, in their order, that [`Self::perform`] sends for `request` with `length` bytes of
    /// content. Fails where it would refuse that much content, or a variable as too long.
    pub fn list_variables(&self, request: &mut Request, length: u64) -> Result<Vec<Pair>, Failure> {
        if let Some(edits) = &request.edits {
            edits.apply_to_request(&mut request.fields);
        }
        let limit = self.spool_settings(request).limit;
        if length > limit {
            return Err(Failure::BodyTooLarge { length, limit });
        }
        let mut record = Vec::new();
        let mut params = ParamsEncoder::new(&mut record);
        self.encode(&mut params, request, Some(length))?;
        decode_pairs(params.pairs())
            .map_err(|_| Failure::Internal("the variables cannot be read back"))
    }
}
