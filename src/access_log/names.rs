//! Names of the directives: Apache's letters, and the member names of the JSON object, written
//! `%{NAME}x`. In Apache `%{NAME}x` is for mod_ssl's variables, whose upper case keeps the two kinds
//! of names apart.

use http::{HeaderName, header};

use super::capture::Capture;
use super::clock::TimeText;
use super::directive::{
    Address, Authority, Cookie, Directive, Field, Form, Moment, Size, Target, Tls, Unit, Wait,
};
use super::redact::Secrecy;

/// Values that a record must have captured for the directives of a format.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) capture: Capture,
    /// Without duplicates.
    pub(super) times: Vec<TimeText>,
}

/// Directives of `%{NAME}x`, in the order of the JSON object.
const NAMED: [(&str, Directive); 23] = [
    ("client", Directive::Address(Address::Client)),
    ("host", Directive::Authority(Authority::Whole)),
    ("scheme", Directive::Scheme),
    ("tls", Directive::Tls(Tls::Protocol)),
    ("cipher", Directive::Tls(Tls::Cipher)),
    ("method", Directive::Method),
    ("uri", Directive::Target(Target::Whole)),
    ("protocol", Directive::Protocol),
    ("status", Directive::Status),
    ("bytes", Directive::Size(Size::Content)),
    ("complete", Directive::Complete),
    ("duration_ms", Directive::Elapsed(Unit::Exact)),
    ("queue_ms", Directive::Wait(Wait::Queue)),
    ("connect_ms", Directive::Wait(Wait::Connect)),
    ("acknowledge_ms", Directive::Wait(Wait::Acknowledge)),
    ("first_byte_ms", Directive::Wait(Wait::FirstByte)),
    ("site", Directive::Site),
    ("handler", Directive::Handler),
    ("upstream", Directive::Upstream),
    ("cause", Directive::Cause),
    ("user", Directive::User),
    ("request_id", Directive::RequestId),
    ("trace_id", Directive::TraceId),
];

impl Needs {
    /// Returns the members of the JSON object.
    pub(super) fn object(&mut self) -> Vec<(&'static str, Directive)> {
        let mut members = vec![("time", self.rfc3339())];
        members.extend(NAMED);
        members.push(("referer", self.request_field(header::REFERER)));
        members.push(("user_agent", self.request_field(header::USER_AGENT)));
        self.capture.host = true;
        members
    }

    /// Returns the directive of `%letter` or `%{argument}letter`.
    pub(super) fn directive(
        &mut self,
        letter: char,
        argument: Option<&str>,
    ) -> Result<Directive, String> {
        let found = match argument {
            time if letter == 't' => Some(self.time(time.unwrap_or_default())?),
            None => plain(letter),
            Some(argument) => self.with_argument(letter, argument)?,
        };
        let directive = found.ok_or_else(|| unknown(letter, argument))?;
        self.note(&directive);
        Ok(directive)
    }

    fn with_argument(&mut self, letter: char, argument: &str) -> Result<Option<Directive>, String> {
        Ok(match (letter, argument) {
            ('i', name) => Some(self.request_field(field_name(name)?)),
            ('o', name) => Some(self.response_field(field_name(name)?)),
            ('C', name) => Some(self.cookie(name)),
            ('x', "time") => Some(self.rfc3339()),
            ('x', name) => named(name).or_else(|| mod_ssl(name)),
            ('e', "UNIQUE_ID" | "REQUEST_ID") => Some(Directive::RequestId),
            ('T', "s") => Some(Directive::Elapsed(Unit::Seconds)),
            ('T', "ms") => Some(Directive::Elapsed(Unit::Milliseconds)),
            ('T', "us") => Some(Directive::Elapsed(Unit::Microseconds)),
            ('p', "canonical") => plain('p'),
            ('p', "local") => Some(Directive::Address(Address::LocalPort)),
            ('p', "remote") => Some(Directive::Address(Address::ClientPort)),
            ('P', "pid") => plain('P'),
            _ => None,
        })
    }

    fn request_field(&mut self, name: HeaderName) -> Directive {
        let secrecy = Secrecy::of(&name);
        let index = self.capture.request_field(name);
        Directive::RequestField(Field { index, secrecy })
    }

    fn response_field(&mut self, name: HeaderName) -> Directive {
        let secrecy = Secrecy::of(&name);
        let index = self.capture.response_field(name);
        Directive::ResponseField(Field { index, secrecy })
    }

    fn cookie(&mut self, name: &str) -> Directive {
        let field = self.capture.request_field(header::COOKIE);
        let name = name.to_owned();
        Directive::Cookie(Cookie { field, name })
    }

    /// Returns the directive of Apache's `%t`, `%{format}t`, `%{begin:format}t` and `%{end:format}t`.
    fn time(&mut self, argument: &str) -> Result<Directive, String> {
        let end = argument.strip_prefix("end:");
        let format = end.or_else(|| argument.strip_prefix("begin:"));
        let form = match format.unwrap_or(argument) {
            "" => Form::Text(self.time_text(TimeText::common())),
            "sec" => Form::Seconds,
            "msec" => Form::Milliseconds,
            "usec" => Form::Microseconds,
            "msec_frac" => Form::MillisecondPart,
            "usec_frac" => Form::MicrosecondPart,
            format => Form::Text(self.time_text(TimeText::parse(format)?)),
        };
        let end = end.is_some();
        Ok(Directive::Time(Moment { end, form }))
    }

    fn rfc3339(&mut self) -> Directive {
        let form = Form::Fraction(self.time_text(TimeText::rfc3339()));
        Directive::Time(Moment { end: false, form })
    }

    fn time_text(&mut self, text: TimeText) -> usize {
        let known = self.times.iter().position(|known| *known == text);
        known.unwrap_or_else(|| {
            self.times.push(text);
            self.times.len() - 1
        })
    }

    fn note(&mut self, directive: &Directive) {
        let capture = &mut self.capture;
        capture.host |= matches!(directive, Directive::Authority(_));
        capture.head |= matches!(directive, Directive::Size(Size::HeadAndContent));
        capture.persistence |= matches!(directive, Directive::Persistence);
    }
}

/// Returns the directive of `%letter` without an argument.
fn plain(letter: char) -> Option<Directive> {
    Some(match letter {
        'a' | 'h' => Directive::Address(Address::Client),
        'A' => Directive::Address(Address::Local),
        'b' => Directive::Size(Size::ContentOrDash),
        'B' => Directive::Size(Size::Content),
        'D' => Directive::Elapsed(Unit::Microseconds),
        'H' => Directive::Protocol,
        // There is no identd look-up.
        'l' => Directive::Nothing,
        'L' => Directive::RequestId,
        'm' => Directive::Method,
        'O' => Directive::Size(Size::HeadAndContent),
        'p' => Directive::Authority(Authority::Port),
        'P' => Directive::Process,
        'q' => Directive::Target(Target::Query),
        'r' => Directive::RequestLine,
        'R' => Directive::Handler,
        's' => Directive::Status,
        'T' => Directive::Elapsed(Unit::Seconds),
        'u' => Directive::User,
        'U' => Directive::Target(Target::Path),
        'v' => Directive::Site,
        'V' => Directive::Authority(Authority::Name),
        'X' => Directive::Persistence,
        _ => return None,
    })
}

fn named(name: &str) -> Option<Directive> {
    let mut named = NAMED.into_iter();
    named
        .find(|(known, _)| *known == name)
        .map(|(_, directive)| directive)
}

/// Returns the directive of a mod_ssl variable.
fn mod_ssl(name: &str) -> Option<Directive> {
    Some(match name {
        "HTTPS" => Directive::Https,
        "SSL_PROTOCOL" => Directive::Tls(Tls::Protocol),
        "SSL_CIPHER" => Directive::Tls(Tls::Cipher),
        "SSL_TLS_SNI" => Directive::Tls(Tls::ServerName),
        "SSL_CLIENT_S_DN" => Directive::Tls(Tls::ClientSubject),
        _ => return None,
    })
}

fn field_name(name: &str) -> Result<HeaderName, String> {
    HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| format!("`{name}` is not the name of a field"))
}

/// Returns the message for an unknown directive.
fn unknown(letter: char, argument: Option<&str>) -> String {
    let Some(argument) = argument else {
        return match letter {
            'i' | 'o' | 'C' | 'e' | 'n' | 'x' => {
                format!("`%{letter}` needs a name: `%{{NAME}}{letter}`")
            }
            'f' | 'I' | 'k' | 'S' => {
                format!("`%{letter}` is not supported")
            }
            _ => format!("unknown directive `%{letter}`: write `%%` for a `%`"),
        };
    };
    let known = match letter {
        'x' => {
            let names: Vec<_> = NAMED.iter().map(|(name, _)| *name).collect();
            format!(
                "known names are time, {}, and mod_ssl's HTTPS, SSL_PROTOCOL, SSL_CIPHER, SSL_TLS_SNI and SSL_CLIENT_S_DN",
                names.join(", ")
            )
        }
        'e' => "known names are UNIQUE_ID and REQUEST_ID".to_owned(),
        'T' => "known units are s, ms and us".to_owned(),
        'p' => "known names are canonical, local and remote".to_owned(),
        'P' => "the only name is pid".to_owned(),
        _ if plain(letter).is_some() => format!("write `%{letter}`"),
        _ => format!("unknown directive `%{letter}`"),
    };
    format!("`%{{{argument}}}{letter}` is not known: {known}")
}
