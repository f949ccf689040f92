//! Translates PCRE syntax, familiar to httpd's administrators, to that of the regex crates. Syntax with
//! a different meaning is rewritten; unsupported syntax is refused with its place. Nothing is silently
//! misread.

mod class;
mod group;

use std::ops::Range;

/// A pattern in the syntax of the regex crates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Translated {
    /// The pattern.
    pub(super) text: String,
    /// The pattern needs a backtracking engine.
    pub(super) backtracks: bool,
}

/// Reason why a pattern cannot be translated.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    /// One phrase, with the fix.
    pub(super) message: String,
    /// Byte range in the pattern.
    pub(super) range: Range<usize>,
}

/// Translates a pattern from PCRE.
pub(super) fn translate(pattern: &str) -> Result<Translated, Refusal> {
    let mut translator = Translator {
        rest: pattern,
        length: pattern.len(),
        token: 0,
        text: String::with_capacity(pattern.len()),
        backtracks: false,
        groups: 0,
    };
    while let Some(first) = translator.begin_token() {
        translator.translate_token(first)?;
    }
    Ok(Translated {
        text: translator.text,
        backtracks: translator.backtracks,
    })
}

struct Translator<'a> {
    /// Unread rest of the pattern.
    rest: &'a str,
    length: usize,
    /// Offset of the current token.
    token: usize,
    /// Output.
    text: String,
    backtracks: bool,
    /// Number of groups opened so far.
    groups: usize,
}

impl<'a> Translator<'a> {
    fn begin_token(&mut self) -> Option<char> {
        self.token = self.length - self.rest.len();
        self.next()
    }

    fn next(&mut self) -> Option<char> {
        let mut characters = self.rest.chars();
        let first = characters.next();
        self.rest = characters.as_str();
        first
    }

    fn eat(&mut self, text: &str) -> bool {
        let after = self.rest.strip_prefix(text);
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn take_while(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !wanted(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Reads up to `end` and consumes it; returns the text before it.
    fn read_until(&mut self, end: &str, what: &str) -> Result<&'a str, Refusal> {
        let Some((inner, rest)) = self.rest.split_once(end) else {
            return Err(self.refuse(format!("{what} has no `{end}`")));
        };
        self.rest = rest;
        Ok(inner)
    }

    /// Builds a refusal of the current token, as far as it was read.
    fn refuse(&self, message: impl Into<String>) -> Refusal {
        Refusal {
            message: message.into(),
            range: self.token..self.length - self.rest.len(),
        }
    }

    fn translate_token(&mut self, first: char) -> Result<(), Refusal> {
        match first {
            '\\' => self.escape()?,
            '[' => self.class()?,
            '(' => self.group()?,
            '{' => self.brace(),
            '*' | '+' | '?' => {
                self.text.push(first);
                self.quantifier_suffix();
            }
            '}' => self.text.push_str("\\}"),
            other => self.text.push(other),
        }
        Ok(())
    }

    /// Translates the suffix of a quantifier: `?` for lazy, `+` for possessive, which the linear engine
    /// would take for a second quantifier.
    fn quantifier_suffix(&mut self) {
        if self.eat("?") {
            self.text.push('?');
        } else if self.eat("+") {
            self.text.push('+');
            self.backtracks = true;
        }
    }

    /// Translates a brace: `{2}`, `{2,}` and `{2,3}` are quantifiers; any other, `{,3}` too, is literal.
    fn brace(&mut self) {
        let quantifier = self.rest.split_once('}').filter(|(inner, _)| {
            let (least, most) = inner.split_once(',').unwrap_or((inner, ""));
            let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
            !least.is_empty() && digits(least) && digits(most)
        });
        let Some((inner, rest)) = quantifier else {
            self.text.push_str("\\{");
            return;
        };
        self.rest = rest;
        self.text.extend(["{", inner, "}"]);
        self.quantifier_suffix();
    }

    fn escape(&mut self) -> Result<(), Refusal> {
        let Some(escaped) = self.next() else {
            return Err(self.refuse("the pattern ends with a lone `\\`: write `\\\\`"));
        };
        match escaped {
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'b' | 'B' | 'A' | 'z' => {
                self.text.extend(['\\', escaped]);
            }
            // Neither a path nor a field has a newline: `\Z`, before a last one, is the end.
            'Z' => self.text.push_str("\\z"),
            'G' => self.text.push_str("\\A"),
            'h' => self.text.push_str("[\\t ]"),
            'H' => self.text.push_str("[^\\t ]"),
            'v' => self.text.push_str("[\\n\\x0B\\f\\r]"),
            'V' => self.text.push_str("[^\\n\\x0B\\f\\r]"),
            'R' => self.text.push_str("(?:\\r\\n|[\\n\\x0B\\f\\r])"),
            'N' => self.text.push_str("[^\\n]"),
            'Q' => self.quoted(),
            'E' => {}
            'g' | 'k' => self.reference(escaped)?,
            '1'..='9' => self.numbered(escaped)?,
            letter if !letter.is_ascii() => self.text.push(letter),
            other => {
                let code = self.character(other)?;
                self.literal(code);
            }
        }
        Ok(())
    }

    /// Returns the one character of an escape, inside or outside of classes.
    fn character(&mut self, escaped: char) -> Result<char, Refusal> {
        match escaped {
            'n' => Ok('\n'),
            'r' => Ok('\r'),
            't' => Ok('\t'),
            'f' => Ok('\x0c'),
            'a' => Ok('\x07'),
            'e' => Ok('\x1b'),
            'c' => self.control(),
            'x' => self.hexadecimal(),
            'o' => self.octal_in_braces(),
            '0'..='7' => self.octal(escaped),
            'K' => Err(self.refuse("`\\K` has no meaning without a replacement: use a group")),
            'p' | 'P' | 'X' => Err(self
                .refuse("paths are bytes, which have no Unicode properties: write the class out")),
            other if other.is_ascii_alphanumeric() => Err(self.refuse(format!(
                "`\\{other}` is unknown: write `{other}` for the letter"
            ))),
            other => Ok(other),
        }
    }

    fn control(&mut self) -> Result<char, Refusal> {
        let letter = self.next().map(|c| c.to_ascii_uppercase());
        let code = letter.and_then(|c| u8::try_from(c).ok());
        match code.filter(u8::is_ascii_graphic) {
            Some(code) => Ok(char::from(code ^ 0x40)),
            None => Err(self.refuse("`\\c` needs a letter: `\\cA`")),
        }
    }

    /// Reads `\xA`, `\xAB`, `\x{AB}`.
    fn hexadecimal(&mut self) -> Result<char, Refusal> {
        if self.eat("{") {
            let digits = self.read_until("}", "`\\x{`")?;
            return self.byte(digits, 16);
        }
        let all = self.rest;
        let count = all
            .bytes()
            .take(2)
            .take_while(u8::is_ascii_hexdigit)
            .count();
        let (digits, rest) = all.split_at_checked(count).unwrap_or(("", all));
        self.rest = rest;
        // PCRE: without digits it is byte 0.
        self.byte(if digits.is_empty() { "0" } else { digits }, 16)
    }

    fn octal_in_braces(&mut self) -> Result<char, Refusal> {
        if !self.eat("{") {
            return Err(self.refuse("`\\o` needs braces: `\\o{101}`"));
        }
        let digits = self.read_until("}", "`\\o{`")?;
        self.byte(digits, 8)
    }

    /// Reads up to three octal digits, the first already consumed.
    fn octal(&mut self, first: char) -> Result<char, Refusal> {
        let mut digits = String::from(first);
        while let Some(digit) = self.rest.chars().next().filter(|c| c.is_digit(8))
            && digits.len() < 3
        {
            digits.push(digit);
            self.next();
        }
        self.byte(&digits, 8)
    }

    fn byte(&self, digits: &str, radix: u32) -> Result<char, Refusal> {
        match u8::from_str_radix(digits, radix) {
            Ok(byte) => Ok(char::from(byte)),
            Err(_) => Err(self.refuse(format!(
                "`{digits}` is not the number of a byte: paths are bytes, up to \\xFF"
            ))),
        }
    }

    /// Writes a character that an escape named: one byte.
    fn literal(&mut self, character: char) {
        if character.is_ascii_graphic() || character == ' ' {
            if META.contains(character) {
                self.text.push('\\');
            }
            self.text.push(character);
        } else {
            self.text.push_str(&class::bytes(character));
        }
    }

    /// Translates `\Q…\E`; without `\E` it extends to the end.
    fn quoted(&mut self) {
        let (inner, rest) = self.rest.split_once("\\E").unwrap_or((self.rest, ""));
        self.rest = rest;
        for character in inner.chars() {
            if character.is_ascii() {
                self.literal(character);
            } else {
                self.text.push(character);
            }
        }
    }
}

/// Metacharacters outside of a class.
const META: &str = "\\.+*?()|[]{}^$";

#[cfg(test)]
mod tests;
