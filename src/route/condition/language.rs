//! The language of a regular expression, read from its syntax: whether any path is in it, examples of its
//! texts, and their common beginning. Patterns that need backtracking are not analysed.

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind, Look, Repetition};

use super::pcre;

/// The text that a pattern is matched against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// The decoded, normalised path.
    Path,
    /// The name of a file, without its folder.
    Name,
}

/// The reason for which a pattern matches no subject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Contradiction {
    /// A `?` is required, which a path has only if a client percent-encodes it.
    Query,
    /// A first byte other than a slash is required.
    Slash,
    /// A sequence removed by normalisation is required: `//`, `/./`, `/../`.
    Normalised,
    /// A slash in a file name is required.
    Folder,
    /// Another reason.
    Other,
}

/// Returns the reason for which the pattern matches no subject; `None` if it can match one, or if that is
/// unknown.
pub(super) fn find_contradiction(pattern: &str, subject: Subject) -> Option<Contradiction> {
    let hir = parse(pattern)?;
    let matches = |ignored: Option<Contradiction>| {
        let reader = Reader { subject, ignored };
        !reader.search(&hir).is_empty()
    };
    if matches(None) {
        return None;
    }
    let mut reasons = match subject {
        Subject::Path => [
            Contradiction::Query,
            Contradiction::Slash,
            Contradiction::Normalised,
        ]
        .iter(),
        Subject::Name => [Contradiction::Folder].iter(),
    };
    let reason = reasons.find(|reason| matches(Some(**reason)));
    Some(reason.copied().unwrap_or(Contradiction::Other))
}

/// Returns some texts that the pattern matches, alone or within a longer text. Assertions are taken to
/// hold, so that some of the texts may not match.
pub(super) fn examples(pattern: &str) -> Vec<Vec<u8>> {
    parse(pattern).map_or_else(Vec::new, |hir| example_texts(&hir))
}

/// Returns the literal beginning of every text that the pattern matches; empty if it has none.
pub(super) fn literal_start(pattern: &str) -> Vec<u8> {
    parse(pattern).map_or_else(Vec::new, |hir| {
        let mut start = Vec::new();
        if let HirKind::Concat(parts) = hir.kind()
            && let Some((first, rest)) = parts.split_first()
            && matches!(first.kind(), HirKind::Look(Look::Start))
        {
            for part in rest {
                let HirKind::Literal(literal) = part.kind() else {
                    break;
                };
                start.extend_from_slice(&literal.0);
            }
        }
        start
    })
}

/// Parses the pattern as the linear engine does.
fn parse(pattern: &str) -> Option<Hir> {
    let translated = pcre::translate(pattern).ok()?;
    let mut builder = ParserBuilder::new();
    builder
        .unicode(false)
        .utf8(false)
        .dot_matches_new_line(true);
    builder.build().parse(&translated.text).ok()
}

/// Runs patterns over an automaton of all possible subjects: the product of the two is searched for a
/// match.
#[derive(Clone, Copy)]
struct Reader {
    subject: Subject,
    /// The one rule about subjects that is not applied.
    ignored: Option<Contradiction>,
}

/// A set of states of the automaton.
#[derive(Clone, Copy, PartialEq, Eq)]
struct States(u8);

/// No byte read.
const START: u8 = 1;
/// A slash read.
const SLASH: u8 = 2;
/// A segment that is `.` so far.
const DOT: u8 = 4;
/// A segment that is `..` so far.
const DOTS: u8 = 8;
/// A segment that has a name.
const NAME: u8 = 16;
/// End reached.
const ENDED: u8 = 32;

impl Reader {
    fn applies(self, rule: Contradiction) -> bool {
        self.ignored != Some(rule)
    }

    /// Returns the states in which a match can end that begins anywhere.
    fn search(self, hir: &Hir) -> States {
        self.read(hir, States(START | SLASH | DOT | DOTS | NAME))
    }

    fn read(self, hir: &Hir, from: States) -> States {
        if from.is_empty() {
            return from;
        }
        match hir.kind() {
            HirKind::Empty => from,
            HirKind::Literal(literal) => {
                let bytes = literal.0.iter();
                bytes.fold(from, |states, byte| self.step(states, *byte))
            }
            HirKind::Class(class) => {
                // All other bytes are equivalent.
                let is_other = |byte: &u8| !byte.is_ascii_control() && !b"/.?".contains(byte);
                let other = (0..=u8::MAX)
                    .filter(is_other)
                    .find(|byte| has(class, *byte));
                let special = b"/.?".iter().copied().filter(|byte| has(class, *byte));
                special
                    .chain(other)
                    .fold(States(0), |all, byte| all | self.step(from, byte))
            }
            HirKind::Look(look) => self.look(*look, from),
            HirKind::Repetition(repetition) => self.repeat(repetition, from),
            HirKind::Capture(capture) => self.read(&capture.sub, from),
            HirKind::Concat(parts) => parts
                .iter()
                .fold(from, |states, part| self.read(part, states)),
            HirKind::Alternation(parts) => {
                let parts = parts.iter();
                parts.fold(States(0), |all, part| all | self.read(part, from))
            }
        }
    }

    fn repeat(self, repetition: &Repetition, from: States) -> States {
        let mut least = from;
        for _ in 0..repetition.min.min(MANY) {
            let next = self.read(&repetition.sub, least);
            if next == least {
                break;
            }
            least = next;
        }
        let mut all = least;
        let more = repetition
            .max
            .map_or(MANY, |max| max - repetition.min.min(max));
        // After `MANY` repetitions, all states that further ones reach are taken.
        for _ in 0..more.max(repetition.min.saturating_sub(MANY)).min(MANY) {
            let next = all | self.read(&repetition.sub, all);
            if next == all {
                break;
            }
            all = next;
        }
        all
    }

    fn look(self, look: Look, from: States) -> States {
        match look {
            // A subject has no newline.
            Look::Start | Look::StartLF | Look::StartCRLF => States(from.0 & START),
            Look::End | Look::EndLF | Look::EndCRLF => {
                let whole = if self.applies(Contradiction::Normalised) {
                    SLASH | NAME | ENDED
                } else {
                    SLASH | DOT | DOTS | NAME | ENDED
                };
                States(if from.0 & whole == 0 { 0 } else { ENDED })
            }
            // Word boundaries are assumed to hold: that finds too many matches and never too few.
            Look::WordAscii
            | Look::WordAsciiNegate
            | Look::WordUnicode
            | Look::WordUnicodeNegate
            | Look::WordStartAscii
            | Look::WordEndAscii
            | Look::WordStartUnicode
            | Look::WordEndUnicode
            | Look::WordStartHalfAscii
            | Look::WordEndHalfAscii
            | Look::WordStartHalfUnicode
            | Look::WordEndHalfUnicode => from,
        }
    }

    fn step(self, from: States, byte: u8) -> States {
        if byte.is_ascii_control() {
            return States(0);
        }
        let to = |state: u8, next: u8| if from.0 & state == 0 { 0 } else { next };
        if self.subject == Subject::Name {
            let dead = byte == b'/' && self.applies(Contradiction::Folder);
            return States(if dead { 0 } else { to(START | NAME, NAME) });
        }
        let begin = if self.applies(Contradiction::Slash) {
            0
        } else {
            START
        };
        States(match byte {
            b'?' if self.applies(Contradiction::Query) => 0,
            b'/' if self.applies(Contradiction::Normalised) => to(START | NAME, SLASH),
            b'/' => to(START | SLASH | DOT | DOTS | NAME, SLASH),
            b'.' => to(SLASH, DOT) | to(DOT, DOTS) | to(DOTS | NAME | begin, NAME),
            _ => to(SLASH | DOT | DOTS | NAME | begin, NAME),
        })
    }
}

/// Repetitions followed one by one. With six states, later ones reach no new state.
const MANY: u32 = 64;

impl States {
    fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl std::ops::BitOr for States {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

fn has(class: &Class, byte: u8) -> bool {
    match class {
        Class::Bytes(class) => {
            let mut ranges = class.iter();
            ranges.any(|range| (range.start()..=range.end()).contains(&byte))
        }
        // A non-ASCII letter has only bytes above it.
        Class::Unicode(class) => {
            let wanted = if byte.is_ascii() {
                char::from(byte)
            } else {
                '\u{80}'
            };
            let above = !byte.is_ascii();
            let mut ranges = class.iter();
            ranges.any(|range| {
                (range.start()..=range.end()).contains(&wanted) || (above && range.end() >= wanted)
            })
        }
    }
}

/// Limit of the examples of a part.
const EXAMPLES: usize = 64;

fn example_texts(hir: &Hir) -> Vec<Vec<u8>> {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![Vec::new()],
        HirKind::Literal(literal) => vec![literal.0.to_vec()],
        HirKind::Class(class) => {
            // A lower-case letter first: the likeliest in practice.
            let letters = (b'x'..=b'z').chain(b'a'..=b'w');
            let mut bytes = letters.chain(b'0'..=b'9').chain(0..=u8::MAX);
            let found = bytes.find(|byte| has(class, *byte));
            found.map(|byte| vec![byte]).into_iter().collect()
        }
        HirKind::Repetition(repetition) => repeated(repetition),
        HirKind::Capture(capture) => example_texts(&capture.sub),
        HirKind::Concat(parts) => parts.iter().fold(vec![Vec::new()], |begun, part| {
            joined(&begun, &example_texts(part))
        }),
        HirKind::Alternation(parts) => {
            let each = EXAMPLES.div_ceil(parts.len().max(1));
            let parts = parts.iter();
            parts
                .flat_map(|part| example_texts(part).into_iter().take(each))
                .collect()
        }
    }
}

fn repeated(repetition: &Repetition) -> Vec<Vec<u8>> {
    let sub = example_texts(&repetition.sub);
    let least = repetition.min.max(1);
    let once = (0..least.min(MANY)).fold(vec![Vec::new()], |begun, _| joined(&begun, &sub));
    match repetition.min {
        0 => [once, vec![Vec::new()]].concat(),
        1..=MANY => once,
        _ => Vec::new(),
    }
}

fn joined(begun: &[Vec<u8>], ends: &[Vec<u8>]) -> Vec<Vec<u8>> {
    begun
        .iter()
        .flat_map(|begun| ends.iter().map(move |end| [&begun[..], end].concat()))
        .take(EXAMPLES)
        .collect()
}

#[cfg(test)]
mod tests;
