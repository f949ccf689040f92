//! The parameters of a query and cookies as PHP reads them into `$_GET` and `$_COOKIE`
//! (main/php_variables.c of PHP 8): a condition that reads a name otherwise than the application is
//! got past by spelling it otherwise.

use std::collections::BTreeMap;

/// Levels of `[…]` beyond which PHP drops the whole variable: its default of max_input_nesting_level.
const MAX_DEPTH: usize = 64;

/// Variables after which PHP stops reading: its default of max_input_vars.
const MAX_VARIABLES: usize = 1000;

/// The name of a variable, as a condition has it: `page`, `filter[from]`. A `[]` ends it: it stands for
/// every element.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PhpName {
    top: Vec<u8>,
    keys: Vec<Vec<u8>>,
}

/// What PHP has under a name: one text, or the texts of a list.
#[derive(Debug, Default)]
pub(super) struct PhpValues {
    found: Option<Value>,
    /// Values after those that PHP reads by default: which of them counts is the pool's setting, so
    /// each does.
    beyond: Vec<Vec<u8>>,
    /// How many variables were read.
    count: usize,
}

impl PhpName {
    /// Reads a name as it is written, without any encoding; `None` for one that no variable has.
    pub(super) fn parse(name: &[u8]) -> Option<Self> {
        match Spelled::read(name) {
            Spelled::Variable { top, keys } => Some(Self {
                top,
                keys: keys.into_iter().map_while(|key| key).collect(),
            }),
            Spelled::TooDeep { .. } | Spelled::Dropped => None,
        }
    }

    /// Returns what `$_GET` has under the name, of a raw query.
    pub(super) fn in_query(&self, query: &str) -> PhpValues {
        let mut values = PhpValues::default();
        // php_strtok_r passes over empty parts.
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

    /// Returns what `$_COOKIE` has under the name, of all Cookie fields.
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
            // The name of a cookie is not decoded.
            if self.may_be(name.iter().copied()) {
                let value = Decoded::new(value, Plus::IsPlus).collect();
                values.register(&self.top, name, value, Repeated::FirstWins);
            }
        }
        values.under(&self.keys)
    }

    /// Reports whether a name may be that of this variable, without allocating: most are not.
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

    /// php_register_variable_ex, of variables called `top`.
    fn register(&mut self, top: &[u8], name: &[u8], value: Vec<u8>, repeated: Repeated) {
        let (found, keys) = match Spelled::read(name) {
            Spelled::Variable { top, keys } => (top, keys),
            Spelled::TooDeep { top: found } => {
                if found == top {
                    self.found = None;
                }
                return;
            }
            Spelled::Dropped => return,
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

    /// Keeps what stands under these keys.
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

/// What becomes of a second variable of a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Repeated {
    /// It replaces the first.
    LastWins,
    /// It is dropped. RFC 6265 §5.4: cookies with longer paths are listed first.
    FirstWins,
}

#[derive(Debug)]
enum Value {
    Text(Vec<u8>),
    List(List),
}

/// An array of PHP; which of its keys are numbers matters for the next one alone.
#[derive(Debug, Default)]
struct List {
    elements: BTreeMap<Vec<u8>, Value>,
    /// The index of the next element without a key.
    next: i64,
    /// Whether there is no next index.
    is_full: bool,
}

impl Value {
    /// Returns `old` with a text under `keys`, which replaces what stands there and is no list.
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
        let index = str::from_utf8(&key).ok().and_then(|text| text.parse().ok());
        let index = index.filter(|index: &i64| index.to_string().as_bytes() == key);
        if let Some(index) = index.filter(|index| *index >= self.next) {
            self.next = index.saturating_add(1);
            self.is_full = index == i64::MAX;
        }
        self.elements.insert(key, value);
    }
}

/// What PHP makes of the name of a variable.
#[derive(Debug, PartialEq, Eq)]
enum Spelled {
    /// A variable, and the keys of what it is an array of; `None` is the next index.
    Variable {
        top: Vec<u8>,
        keys: Vec<Option<Vec<u8>>>,
    },
    /// An array with too many levels, which removes the variable.
    TooDeep { top: Vec<u8> },
    /// Nothing.
    Dropped,
}

impl Spelled {
    fn read(name: &[u8]) -> Self {
        // It is a text of C: it ends at NUL.
        let end = name.iter().position(|byte| *byte == 0);
        let name = name.get(..end.unwrap_or(name.len())).unwrap_or_default();
        let start = name.iter().position(|byte| *byte != b' ');
        let name = start
            .and_then(|start| name.get(start..))
            .unwrap_or_default();
        let (head, mut rest) = split_at_byte(name, b'[');
        let top: Vec<u8> = head.iter().copied().map(mangled).collect();
        // The prefixes that browsers protect (RFC 6265bis §4.1.3) are not made of other names.
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
                let top = match keys.is_empty() {
                    true => name.iter().copied().map(mangled).collect(),
                    false => top,
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

/// Splits what follows a `[`: the key, `None` for the next index, and what follows the `]`.
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

/// No variable of PHP has these bytes in its name.
fn mangled(byte: u8) -> u8 {
    match byte {
        b' ' | b'.' | b'[' => b'_',
        other => other,
    }
}

/// isspace(3) in the locale "C".
fn is_c_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t'..=b'\r')
}

/// What a `+` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plus {
    /// php_url_decode.
    IsSpace,
    /// php_raw_url_decode.
    IsPlus,
}

/// The bytes of a percent-encoded text; a `%` without its digits is a `%`.
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
