//! Accept-Encoding (RFC 9110 §12.5.3): in which codings a client takes an answer, and which of
//! those it likes best.

use http::{HeaderMap, header};

use super::list;

/// A content coding that we speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Coding {
    /// RFC 7932.
    Brotli,
    /// RFC 8878.
    Zstd,
    /// RFC 1952.
    Gzip,
}

/// What a client said of the codings, in thousandths: 0 is refused, `None` not mentioned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    brotli: Option<u16>,
    zstd: Option<u16>,
    gzip: Option<u16>,
    identity: Option<u16>,
    /// `*`: all that is not mentioned.
    any: Option<u16>,
}

impl Coding {
    /// All of them, the best first.
    pub const ALL: [Self; 3] = [Self::Brotli, Self::Zstd, Self::Gzip];

    /// Its name in the registry of HTTP content codings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Brotli => "br",
            Self::Zstd => "zstd",
            Self::Gzip => "gzip",
        }
    }

    /// What the name of a file ends in that has the coding, with its dot.
    pub fn extension(self) -> &'static str {
        match self {
            Self::Brotli => ".br",
            Self::Zstd => ".zst",
            Self::Gzip => ".gz",
        }
    }
}

impl Accepted {
    /// What the Accept-Encoding fields of a request say. Without one nothing is accepted: RFC 9110
    /// would have any coding acceptable then, but who does not ask may not know how to read it.
    pub fn of(fields: &HeaderMap) -> Self {
        let mut accepted = Self::default();
        for member in list::members(fields, &header::ACCEPT_ENCODING) {
            accepted.note(member);
        }
        accepted
    }

    /// Those of `offered` that the client takes and does not like less than no coding, the most
    /// wanted first; what it wants equally is in the order of `offered`.
    pub fn ranked(&self, offered: &[Coding]) -> Vec<Coding> {
        let least = self.identity.unwrap_or(0).max(1);
        let wanted = |coding: &Coding| self.weight(*coding) >= least;
        let mut ranked: Vec<_> = offered.iter().copied().filter(wanted).collect();
        ranked.sort_by_key(|coding| std::cmp::Reverse(self.weight(*coding)));
        ranked
    }

    /// RFC 9110 §12.5.3: whether content without a coding is excluded, by `identity;q=0`, or by
    /// `*;q=0` without another word about identity.
    pub fn refuses_identity(&self) -> bool {
        self.identity.or(self.any) == Some(0)
    }

    fn weight(&self, coding: Coding) -> u16 {
        let said = match coding {
            Coding::Brotli => self.brotli,
            Coding::Zstd => self.zstd,
            Coding::Gzip => self.gzip,
        };
        said.or(self.any).unwrap_or(0)
    }

    /// One member, `codings [ weight ]`. One that is malformed says nothing; of one that is there
    /// twice the lower weight counts.
    fn note(&mut self, member: &[u8]) {
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

/// RFC 9110 §12.4.2: the weight among these parameters, 1 without any.
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

/// `( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] )`
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
