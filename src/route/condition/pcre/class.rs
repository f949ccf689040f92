//! Character classes: `[a-z]`. In PCRE `[`, `&&`, `--` and `~~` are literal within them.

use super::{Refusal, Translator};

/// One parsed item of a class.
enum Item {
    /// One character, a possible bound of a range.
    Single(char),
    /// Several characters or none, in output syntax.
    Set(String),
}

impl Translator<'_> {
    /// Translates a class, after its `[`.
    pub(super) fn class(&mut self) -> Result<(), Refusal> {
        self.text.push('[');
        if self.eat("^") {
            self.text.push('^');
        }
        // A `]` in first position is literal.
        if self.eat("]") {
            self.item_from(Item::Single(']'))?;
        }
        loop {
            match self.next() {
                None => {
                    let message = "the class has no `]`: close it, or write `\\[` for a `[`";
                    return Err(self.refuse(message));
                }
                Some(']') => break,
                Some(first) => {
                    let item = self.item(first)?;
                    self.item_from(item)?;
                }
            }
        }
        self.text.push(']');
        Ok(())
    }

    /// Writes an item, with the range that it may start.
    fn item_from(&mut self, item: Item) -> Result<(), Refusal> {
        let ranged = self.rest.starts_with('-') && !self.rest.starts_with("-]");
        match item {
            Item::Set(text) => self.text.push_str(&text),
            Item::Single(from) if ranged => {
                self.eat("-");
                let Some(first) = self.next() else {
                    return Err(self.refuse("the class has no `]`"));
                };
                return self.range(from, first);
            }
            Item::Single(character) => self.text.push_str(&single(character)),
        }
        Ok(())
    }

    fn range(&mut self, from: char, first: char) -> Result<(), Refusal> {
        match self.item(first)? {
            // PCRE: a hyphen before a set is literal.
            Item::Set(set) => self.text.extend([&single(from), "\\-", &set]),
            Item::Single(to) if !from.is_ascii() || !to.is_ascii() => {
                return self.range_of_bytes(from, to);
            }
            Item::Single(to) if from > to => {
                return Err(self.refuse(format!("the range `{from}-{to}` is reversed")));
            }
            Item::Single(to) => self.text.extend([&single(from), "-", &single(to)]),
        }
        Ok(())
    }

    /// Writes `\x80-\xFF`; refuses letters of more than one byte as bounds.
    fn range_of_bytes(&mut self, from: char, to: char) -> Result<(), Refusal> {
        let escaped = |c: char| c.is_ascii() || is_byte(c);
        if !escaped(from) || !escaped(to) || from > to {
            let message =
                "a range of letters that are more than a byte: write them out, or \\x80-\\xFF";
            return Err(self.refuse(message));
        }
        self.text.extend([&single(from), "-", &single(to)]);
        Ok(())
    }

    fn item(&mut self, first: char) -> Result<Item, Refusal> {
        match first {
            '\\' => self.class_escape(),
            '[' if self.rest.starts_with(':') && self.rest.contains(":]") => self.posix(),
            '[' if self.rest.starts_with(['.', '=']) => {
                Err(self.refuse("`[.` and `[=` are not supported: write `\\[` for a `[`"))
            }
            other => Ok(Item::Single(wide(other))),
        }
    }

    /// Reads `[:alpha:]`, after its `[`.
    fn posix(&mut self) -> Result<Item, Refusal> {
        self.eat(":");
        let name = self.read_until(":]", "`[:`")?;
        if !POSIX.contains(&name.trim_start_matches('^')) {
            return Err(self.refuse(format!(
                "unknown class `[:{name}:]`: known classes are {}",
                POSIX.join(", ")
            )));
        }
        Ok(Item::Set(format!("[:{name}:]")))
    }

    fn class_escape(&mut self) -> Result<Item, Refusal> {
        let Some(escaped) = self.next() else {
            return Err(self.refuse("the class has no `]`"));
        };
        let set = |text: &str| Ok(Item::Set(text.to_owned()));
        match escaped {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => Ok(Item::Set(format!("\\{escaped}"))),
            'h' => set("\\t\\x20"),
            'H' => set("[^\\t\\x20]"),
            'v' => set("\\n\\x0B\\f\\r"),
            'V' => set("[^\\n\\x0B\\f\\r]"),
            'b' => Ok(Item::Single('\x08')),
            'E' => set(""),
            'Q' => {
                let inner = self.read_until("\\E", "`\\Q` in a class")?;
                Ok(Item::Set(inner.chars().map(|c| single(wide(c))).collect()))
            }
            other => self.character(other).map(|character| match other {
                // An escaped letter of more than one byte equals the letter.
                _ if !other.is_ascii() => Item::Single(wide(character)),
                _ => Item::Single(character),
            }),
        }
    }
}

/// Moves a letter of the pattern in U+0080 to U+00FF out of that range, to be written as its UTF-8: the
/// range represents the bytes that escapes name.
fn wide(character: char) -> char {
    let code = u32::from(character);
    let moved = (0x80..0x100).contains(&code).then_some(MOVED + code);
    moved.and_then(char::from_u32).unwrap_or(character)
}

/// Plane 16 is for private use (Unicode §23.5): no pattern contains it.
const MOVED: u32 = 0x10_0000;

fn is_byte(character: char) -> bool {
    u32::from(character) < 0x100
}

fn single(character: char) -> String {
    if character.is_ascii_alphanumeric() {
        return character.to_string();
    }
    let code = u32::from(character);
    let original = code.checked_sub(MOVED).and_then(char::from_u32);
    match original {
        Some(letter) if code >= MOVED => utf8(letter),
        Some(_) | None if is_byte(character) => bytes(character),
        Some(_) | None => utf8(character),
    }
}

/// Writes a byte by its number.
pub(super) fn bytes(character: char) -> String {
    match u8::try_from(character) {
        Ok(byte) => format!("\\x{byte:02X}"),
        Err(_) => character.to_string(),
    }
}

/// Writes each byte of a letter on its own, as PCRE without Unicode does.
fn utf8(letter: char) -> String {
    let mut buffer = [0; 4];
    let encoded = letter.encode_utf8(&mut buffer).bytes();
    encoded.map(|byte| format!("\\x{byte:02X}")).collect()
}

/// POSIX class names of PCRE.
const POSIX: [&str; 14] = [
    "alnum", "alpha", "ascii", "blank", "cntrl", "digit", "graph", "lower", "print", "punct",
    "space", "upper", "word", "xdigit",
];
