//! Query parameters and cookies as PHP parses them into `$_GET` and `$_COOKIE` (main/php_variables.c of
//! PHP 8): a condition that parses a name differently from the application is bypassed by another
//! spelling.

use std::collections::BTreeMap;

/// Levels of `[…]` beyond which PHP drops the whole variable: the default of max_input_nesting_level.
const MAX_DEPTH: usize = 64;

/// Number of variables after which PHP stops parsing: the default of max_input_vars.
const MAX_VARIABLES: usize = 1000;

/// Name of a PHP variable in a condition: `page`, `filter[from]`. A final `[]` matches every element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PhpName {
    top: Vec<u8>,
    keys: Vec<Vec<u8>>,
}

/// PHP's value of a name: one text, or the texts of a list.
#[derive(Debug, Default)]
pub(super) struct PhpValues {
    found: Option<Value>,
    /// Values beyond PHP's default limit: the pool's setting decides which of them count, so each does.
    beyond: Vec<Vec<u8>>,
    /// Number of variables parsed.
    count: usize,
}

impl PhpName {
    /// Parses an unencoded name; `None` for one that no variable has.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        match ParsedName::read(name) {
            ParsedName::Variable { top, keys } => Some(Self {
                top,
                keys: keys.into_iter().map_while(|key| key).collect(),
            }),
            ParsedName::TooDeep { .. } | ParsedName::Dropped => None,
        }
    }

    /// Returns the value of the name in `$_GET`, for a raw query.
    pub(super) fn in_query(&self, query: &str) -> PhpValues {
        let mut values = PhpValues::default();
        // php_strtok_r skips empty parts.
        for pair in query.as_bytes().split(|byte| *byte == b'&') {
            if pair.is_empty() {
                continue;
            }
            let (name, value) = split_pair(pair);
            values.count += 1;
            if self.may_be(Decoded::new(name, Plus::IsSpace)) {
                let name: Vec<u8> = Decoded::new(name, Plus::IsSpace).collect();
                let value = Decoded::new(value, Plus::IsSpace).collect();
                values.register(&self.top, &name, value, Repeated::LastWins);
            }
        }
        values.under(&self.keys)
    }

    /// Returns the value of the name in `$_COOKIE`, for all Cookie fields.
    pub(super) fn in_cookies<'a>(&self, fields: impl Iterator<Item = &'a [u8]>) -> PhpValues {
        let mut values = PhpValues::default();
        let pairs = fields.flat_map(|field| field.split(|byte| *byte == b';'));
        for pair in pairs {
            let start = pair.iter().position(|byte| !is_c_space(*byte));
            let pair = start.and_then(|start| pair.get(start..));
            let Some(pair) = pair.filter(|pair| !pair.starts_with(b"=")) else {
                continue;
            };
            let (name, value) = split_pair(pair);
            values.count += 1;
            // Cookie names are not decoded.
            if self.may_be(name.iter().copied()) {
                let value = Decoded::new(value, Plus::IsPlus).collect();
                values.register(&self.top, name, value, Repeated::FirstWins);
            }
        }
        values.under(&self.keys)
    }

    /// Reports whether a name may be this variable's, without allocating: most are not.
    fn may_be(&self, name: impl Iterator<Item = u8>) -> bool {
        let mut name = name.skip_while(|byte| *byte == b' ');
        let mut top = self.top.iter();
        loop {
            match (name.next(), top.next()) {
                (None | Some(0), None) | (Some(b'['), _) => return true,
                (Some(byte), Some(wanted)) if mangled(byte) == *wanted => {}
                _ => return false,
            }
        }
    }
}

impl PhpValues {
    /// Iterates over the texts.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        let mut texts = Vec::new();
        if let Some(found) = &self.found {
            found.add_texts(&mut texts);
        }
        texts
            .into_iter()
            .chain(self.beyond.iter().map(Vec::as_slice))
    }

    /// Registers a variable if it is called `top`: php_register_variable_ex.
    fn register(&mut self, top: &[u8], name: &[u8], value: Vec<u8>, repeated: Repeated) {
        let (found, keys) = match ParsedName::read(name) {
            ParsedName::Variable { top, keys } => (top, keys),
            ParsedName::TooDeep { top: found } => {
                if found == top {
                    self.found = None;
                }
                return;
            }
            ParsedName::Dropped => return,
        };
        if found != top {
            return;
        }
        if self.count > MAX_VARIABLES {
            self.beyond.push(value);
        } else if !keys.is_empty() || self.found.is_none() || repeated == Repeated::LastWins {
            self.found = Some(Value::at(self.found.take(), &keys, value));
        }
    }

    /// Keeps the element under these keys.
    fn under(mut self, keys: &[Vec<u8>]) -> Self {
        for key in keys {
            self.found = match self.found {
                Some(Value::List(mut list)) => list.elements.remove(key),
                Some(Value::Text(_)) | None => None,
            };
        }
        self
    }
}

/// Treatment of a second variable of the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    /// The last one replaces the first.
    LastWins,
    /// The first one stays. RFC 6265 §5.4: cookies with longer paths are listed first.
    FirstWins,
}

#[derive(Debug)]
enum Value {
    Text(Vec<u8>),
    List(List),
}

/// PHP array; integer keys matter only for the next index.
#[derive(Debug, Default)]
struct List {
    elements: BTreeMap<Vec<u8>, Value>,
    /// Index of the next element without a key.
    next: i64,
    /// No index is left.
    is_full: bool,
}

impl Value {
    /// Returns `old` with a text under `keys`; replaces an element there that is no list.
    fn at(old: Option<Self>, keys: &[Option<Vec<u8>>], text: Vec<u8>) -> Self {
        let Some((key, deeper)) = keys.split_first() else {
            return Self::Text(text);
        };
        let mut list = match old {
            Some(Self::List(list)) => list,
            Some(Self::Text(_)) | None => List::default(),
        };
        if let Some(key) = key.clone().or_else(|| list.next_key()) {
            let old = list.elements.remove(&key);
            list.put(key, Self::at(old, deeper, text));
        }
        Self::List(list)
    }

    fn add_texts<'a>(&'a self, texts: &mut Vec<&'a [u8]>) {
        match self {
            Self::Text(text) => texts.push(text),
            Self::List(list) => list
                .elements
                .values()
                .for_each(|element| element.add_texts(texts)),
        }
    }
}

impl List {
    fn next_key(&self) -> Option<Vec<u8>> {
        (!self.is_full).then(|| self.next.to_string().into_bytes())
    }

    fn put(&mut self, key: Vec<u8>, value: Value) {
        let number: Option<i64> = str::from_utf8(&key).ok().and_then(|text| text.parse().ok());
        let index = number.filter(|number| number.to_string().as_bytes() == key);
        if let Some(index) = index.filter(|index| *index >= self.next) {
            self.next = index.saturating_add(1);
            self.is_full = index == i64::MAX;
        }
        self.elements.insert(key, value);
    }
}

/// A variable's name after PHP's parsing.
#[derive(Debug, PartialEq, Eq)]
enum ParsedName {
    /// A variable with its array keys; `None` is the next index.
    Variable {
        top: Vec<u8>,
        keys: Vec<Option<Vec<u8>>>,
    },
    /// An array with too many levels, which removes the variable.
    TooDeep { top: Vec<u8> },
    /// No variable.
    Dropped,
}

impl ParsedName {
    fn read(name: &[u8]) -> Self {
        // A C string ends at NUL.
        let end = name.iter().position(|byte| *byte == 0);
        let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
        let start = name.iter().position(|byte| *byte != b' ');
        let name = start
            .and_then(|start| name.get(start..))
            .unwrap_or_default();
        let (head, mut rest) = split_at_byte(name, b'[');
        let top: Vec<u8> = head.iter().copied().map(mangled).collect();
        // PHP does not derive the prefixes that browsers protect (RFC 6265bis §4.1.3) from other names.
        let is_forged = |prefix: &&[u8]| top.starts_with(prefix) && !name.starts_with(prefix);
        if top.is_empty() || PROTECTED.iter().any(is_forged) {
            return Self::Dropped;
        }
        let mut keys = Vec::new();
        while let Some(inside) = rest {
            if keys.len() == MAX_DEPTH {
                return Self::TooDeep { top };
            }
            let Some((key, after)) = split_key(inside) else {
                // Without its `]` the first `[` is a byte of the name, and a later one ends it.
                let top = if keys.is_empty() {
                    name.iter().copied().map(mangled).collect()
                } else {
                    top
                };
                return Self::Variable { top, keys };
            };
            keys.push(key.map(<[u8]>::to_vec));
            rest = after.strip_prefix(b"[");
        }
        Self::Variable { top, keys }
    }
}

const PROTECTED: [&[u8]; 2] = [b"__Host-", b"__Secure-"];

/// Splits the text after a `[` at its `]`: the key, `None` for the next index, and the rest.
fn split_key(inside: &[u8]) -> Option<(Option<&[u8]>, &[u8])> {
    let space = inside.first().is_some_and(|byte| is_c_space(*byte));
    let (_, seen) = inside.split_at_checked(usize::from(space))?;
    if let Some(after) = seen.strip_prefix(b"]") {
        return Some((None, after));
    }
    match split_at_byte(inside, b']') {
        (key, Some(after)) => Some((Some(key), after)),
        (_, None) => None,
    }
}

fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], Option<&[u8]>) {
    let mut parts = text.splitn(2, |other| *other == byte);
    (parts.next().unwrap_or_default(), parts.next())
}

fn split_pair(pair: &[u8]) -> (&[u8], &[u8]) {
    let (name, value) = split_at_byte(pair, b'=');
    (name, value.unwrap_or_default())
}

/// Replaces the bytes that no PHP variable has in its name.
fn mangled(byte: u8) -> u8 {
    match byte {
        b' ' | b'.' | b'[' => b'_',
        other => other,
    }
}

/// Reports isspace(3) in the locale "C".
fn is_c_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// Meaning of a `+`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plus {
    /// php_url_decode.
    IsSpace,
    /// php_raw_url_decode.
    IsPlus,
}

/// Decoder of percent-encoded bytes; a `%` without its digits is literal.
struct Decoded<'a> {
    rest: &'a [u8],
    plus: Plus,
}

impl<'a> Decoded<'a> {
    fn new(text: &'a [u8], plus: Plus) -> Self {
        Self { rest: text, plus }
    }
}

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (first, after) = self.rest.split_first()?;
        let octet = match (first, after) {
            (b'%', [high, low, rest @ ..]) => {
                let digits = hexadecimal(*high).zip(hexadecimal(*low));
                digits.map(|(high, low)| (high << 4 | low, rest))
            }
            _ => None,
        };
        let (byte, rest) = match (octet, first) {
            (Some(octet), _) => octet,
            (None, b'+') if self.plus == Plus::IsSpace => (b' ', after),
            (None, other) => (*other, after),
        };
        self.rest = rest;
        Some(byte)
    }
}

fn hexadecimal(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests;
