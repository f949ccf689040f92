//! Groups in parentheses, and references to them.

use super::{Refusal, Translator};

impl Translator<'_> {
    /// Translates a group, after its `(`.
    pub(super) fn group(&mut self) -> Result<(), Refusal> {
        if self.rest.starts_with('*') {
            let verb = self.read_until(")", "`(*`")?.to_owned();
            return Err(self.refuse(format!("`({verb})` is not supported: remove it")));
        }
        if !self.eat("?") {
            self.groups += 1;
            self.text.push('(');
            return Ok(());
        }
        if self.eat("#") {
            return self.read_until(")", "the comment `(?#`").map(|_| ());
        }
        if self.eat(":") {
            self.text.push_str("(?:");
            return Ok(());
        }
        for look in ["=", "!", "<=", "<!", ">"] {
            if self.eat(look) {
                self.text.extend(["(?", look]);
                self.backtracks = true;
                return Ok(());
            }
        }
        self.named_or_refused()
    }

    fn named_or_refused(&mut self) -> Result<(), Refusal> {
        if self.eat("P=") {
            let name = self.read_until(")", "`(?P=`")?;
            return self.refer_to_name(name);
        }
        for (open, close) in [("P<", ">"), ("<", ">"), ("'", "'")] {
            if self.eat(open) {
                let name = self.read_until(close, "the name of the group")?;
                self.check_name(name)?;
                self.groups += 1;
                self.text.extend(["(?<", name, ">"]);
                return Ok(());
            }
        }
        for (start, what) in REFUSED {
            if self.eat(start) {
                return Err(self.refuse(format!("`(?{start}` ({what}) is not supported")));
            }
        }
        self.flags()
    }

    /// Translates `(?i)`, `(?i-s:`.
    fn flags(&mut self) -> Result<(), Refusal> {
        let flags = self.take_while(|c| c.is_ascii_alphabetic() || c == '-' || c == '^');
        if let Some(unknown) = flags.chars().find(|flag| !"imsU-".contains(*flag)) {
            return Err(self.refuse(format!(
                "the flag `{unknown}` is not supported: known flags are i, m, s and U"
            )));
        }
        match self.next() {
            Some(end @ (':' | ')')) if !flags.is_empty() => {
                self.text.extend(["(?", flags]);
                self.text.push(end);
                Ok(())
            }
            Some(_) | None => Err(self.refuse("`(?` begins no supported group")),
        }
    }

    /// Translates `\g1`, `\g{1}`, `\g{-1}`, `\g{name}`, `\k<name>`, `\k'name'`, `\k{name}`.
    pub(super) fn reference(&mut self, kind: char) -> Result<(), Refusal> {
        for (open, close) in [("{", "}"), ("<", ">"), ("'", "'")] {
            if !self.eat(open) {
                continue;
            }
            let inner = self.read_until(close, &format!("`\\{kind}{open}`"))?;
            if kind == 'g' && open != "{" {
                return Err(self.refuse("calls of groups are not supported"));
            }
            return match kind {
                'g' => self.refer_to(inner),
                _ => self.refer_to_name(inner),
            };
        }
        let number = self.take_while(|c| c.is_ascii_digit() || c == '-');
        if kind == 'k' || number.is_empty() {
            return Err(self.refuse(format!("`\\{kind}` needs a group: `\\{kind}{{name}}`")));
        }
        self.refer_to(number)
    }

    /// Translates `\1` and further; `\12` is the twelfth group.
    pub(super) fn numbered(&mut self, first: char) -> Result<(), Refusal> {
        let more = self.take_while(|c| c.is_ascii_digit());
        self.refer_to(&format!("{first}{more}"))
    }

    fn refer_to(&mut self, group: &str) -> Result<(), Refusal> {
        let back = group.strip_prefix('-').map(str::parse::<usize>);
        let number = match back {
            Some(Ok(back)) => (self.groups + 1).checked_sub(back).filter(|_| back > 0),
            Some(Err(_)) => None,
            None => match group.parse::<usize>() {
                Ok(number) => Some(number),
                Err(_) => return self.refer_to_name(group),
            },
        };
        match number.filter(|number| (1..=self.groups).contains(number)) {
            Some(number) => {
                // In a group of its own: a digit that follows would extend the number.
                self.text.push_str(&format!("(?:\\{number})"));
                self.backtracks = true;
                Ok(())
            }
            None => Err(self.refuse(format!(
                "there is no group `{group}` before this; a character by its octal number is `\\0…`"
            ))),
        }
    }

    fn refer_to_name(&mut self, name: &str) -> Result<(), Refusal> {
        self.check_name(name)?;
        self.text.extend(["\\k<", name, ">"]);
        self.backtracks = true;
        Ok(())
    }

    fn check_name(&self, name: &str) -> Result<(), Refusal> {
        let word = name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
        if !(word && begins) {
            return Err(self.refuse(format!(
                "`{name}` is not the name of a group: letters, digits and `_`, the first no digit"
            )));
        }
        Ok(())
    }
}

/// Starts after `(?` that neither engine supports.
const REFUSED: [(&str, &str); 10] = [
    ("|", "groups that share their numbers"),
    ("(", "a condition"),
    ("R", "recursion"),
    ("&", "a call of a group"),
    ("P>", "a call of a group"),
    ("0", "recursion"),
    ("1", "a call of a group"),
    ("2", "a call of a group"),
    ("+", "a call of a group"),
    ("C", "a callout"),
];
