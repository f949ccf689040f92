//! Accept-Encoding (RFC 9110 §12.5.3): the content codings that a client accepts, and their
//! weights.

use http::{HeaderMap, header};

use super::list;

/// A supported content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

/// Weights of the codings in a request, in thousandths: 0 is refused, `None` not mentioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    brotli: Option<u16>,
    zstd: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    /// `*`: all codings that are not mentioned.
    any: Option<u16>,
}

impl Coding {
    /// All codings, the best first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Returns the name in the registry of HTTP content codings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// Returns the file name extension of the coding, with its dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

impl Accepted {
    /// Parses the Accept-Encoding fields of a request. Without one nothing is accepted: RFC 9110
    /// makes any coding acceptable then, but a client that does not ask may not be able to decode.
    pub fn of(fields: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        for member in list::members(fields, &header::ACCEPT_ENCODING) {
            accepted.add_member(member);
        }
        accepted
    }

    /// Returns those of `offered` that the client accepts with at least the weight of identity, by
    /// descending weight; codings of equal weight keep the order of `offered`.
    pub fn ranked(&self, offered: &[Coding]) -> Vec<Coding> {
        let least = self.identity.unwrap_or(0).max(1);
        let wanted = |coding: &Coding| self.weight(*coding) >= least;
        let mut ranked: Vec<_> = offered.iter().copied().filter(wanted).collect();
        ranked.sort_by_key(|coding| std::cmp::Reverse(self.weight(*coding)));
        ranked
    }

    /// Reports whether content without a coding is excluded (RFC 9110 §12.5.3): by `identity;q=0`,
    /// or by `*;q=0` without a member for identity.
    pub fn refuses_identity(&self) -> bool {
        self.identity.or(self.any) == Some(0)
    }

    fn weight(&self, coding: Coding) -> u16 {
        let weight = match coding {
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        };
        weight.or(self.any).unwrap_or(0)
    }

    /// Records one member, `codings [ weight ]`. A malformed one is ignored; of a repeated one the
    /// lower weight counts.
    fn add_member(&mut self, member: &[u8]) {
        let mut parts = member.split(|byte| *byte == b';').map(<[u8]>::trim_ascii);
        let name = parts.next().unwrap_or_default().to_ascii_lowercase();
        let Some(weight) = weight_of(parts) else {
            return;
        };
        let place = match name.as_slice() {
            b"br" => &mut self.brotli,
            b"zstd" => &mut self.zstd,
            // RFC 9110 §8.4.1.3: a recipient treats x-gzip as gzip.
            b"gzip" | b"x-gzip" => &mut self.gzip,
            b"identity" => &mut self.identity,
            b"*" => &mut self.any,
            _ => return,
        };
        *place = Some(place.map_or(weight, |known| known.min(weight)));
    }
}

/// Returns the weight among these parameters (RFC 9110 §12.4.2), 1 without any.
fn weight_of<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
    let mut weight = 1000;
    for parameter in parameters {
        let (name, value) = parameter.split_at_checked(2)?;
        if !name.eq_ignore_ascii_case(b"q=") {
            return None;
        }
        weight = qvalue(value)?;
    }
    Some(weight)
}

/// Parses `( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`.
fn qvalue(text: &[u8]) -> Option<u16> {
    let (whole, fraction) = match text {
        [whole @ (b'0' | b'1')] => (*whole, &b""[..]),
        [whole @ (b'0' | b'1'), b'.', fraction @ ..] => (*whole, fraction),
        _ => return None,
    };
    if fraction.len() > 3 || !fraction.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = fraction.iter().copied().chain(std::iter::repeat(b'0'));
    let thousandths = digits
        .take(3)
        .fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0'));
    let weight = u16::from(whole - b'0') * 1000 + thousandths;
    (weight <= 1000).then_some(weight)
}

#[cfg(test)]
mod tests;
