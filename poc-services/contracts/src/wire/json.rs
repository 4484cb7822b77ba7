//! A pull reader of JSON (RFC 8259): one pass, nothing built, numbers left as their text.
//!
//! Why not serde: an error has to say where in the document it is, and numbers must never become floats. What it takes
//! and refuses is held equal to `serde_json` by a property test, but for the bound on the depth.
//!
//! Invariant: no panic on any text, no recursion deeper than [`DEPTH_MAX`].

use std::borrow::Cow;
use std::fmt::Write as _;

/// Objects and lists within one another.
pub const DEPTH_MAX: u32 = 64;

/// What a value is, told by its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Object,
    List,
    Text,
    Number,
    True,
    False,
    Null,
}

/// Why reading stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("expected {expected} at byte {at}")]
    Expected { expected: &'static str, at: usize },
    #[error("more than {DEPTH_MAX} objects and lists within one another at byte {at}")]
    TooDeep { at: usize },
}

/// The way to a value, made only where something is wrong: `epcisBody.eventList[3].bizStep`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl Path {
    /// Names of strangers are shortened.
    pub fn enter_key(&mut self, key: &str) {
        self.0.push(Step::Key(key.chars().take(60).collect()));
    }

    pub fn enter_index(&mut self, index: usize) {
        self.0.push(Step::Index(index));
    }

    /// Does it lead through a list?
    pub fn has_index(&self) -> bool {
        self.0.iter().any(|step| matches!(step, Step::Index(_)))
    }
}

impl std::fmt::Display for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The innermost step was noted first.
        for (position, step) in self.0.iter().rev().enumerate() {
            match step {
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => {
                    f.write_char('.')?;
                    f.write_str(key)?;
                }
                Step::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// An error that knows where it is: filled on the way out of nested values.
pub trait Located: From<Fault> {
    fn path(&mut self) -> &mut Path;
}

/// Reads one text.
#[derive(Debug)]
pub struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    pub const fn new(text: &'a str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
        }
    }

    /// What comes next.
    pub fn kind(&mut self) -> Result<Kind, Fault> {
        Ok(match self.next_byte() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::List,
            Some(b'"') => Kind::Text,
            Some(b'-' | b'0'..=b'9') => Kind::Number,
            Some(b't') => Kind::True,
            Some(b'f') => Kind::False,
            Some(b'n') => Kind::Null,
            _ => return Err(self.expected("a value")),
        })
    }

    /// Where the next value begins, for [`Self::since`].
    pub fn offset(&mut self) -> usize {
        self.next_byte();
        self.at
    }

    /// The text from there to here.
    pub fn since(&self, offset: usize) -> &'a str {
        &self.text[offset..self.at]
    }

    /// Nothing but white space is left.
    pub fn end(&mut self) -> Result<(), Fault> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.expected("the end of the document")),
        }
    }

    /// Calls `member` for each, which has to read or skip its value.
    pub fn object<E: Located>(
        &mut self,
        mut member: impl FnMut(&mut Self, &str) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(b'{', "an object")?;
        if self.next_byte() == Some(b'}') {
            self.close();
            return Ok(());
        }
        loop {
            if self.next_byte() != Some(b'"') {
                return Err(self.expected("a name in quotes").into());
            }
            let key = self.text_value()?;
            self.take(b':', "a colon")?;
            member(self, &key).map_err(|mut error| {
                error.path().enter_key(&key);
                error
            })?;
            match self.next_byte() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.expected("a comma or the end of the object").into()),
            }
        }
        self.close();
        Ok(())
    }

    /// Calls `element` for each with its index from 0, which has to read or skip it. Returns how many there were.
    pub fn list<E: Located>(
        &mut self,
        mut element: impl FnMut(&mut Self, usize) -> Result<(), E>,
    ) -> Result<usize, E> {
        self.open(b'[', "a list")?;
        let mut count = 0;
        if self.next_byte() == Some(b']') {
            self.close();
            return Ok(count);
        }
        loop {
            element(self, count).map_err(|mut error| {
                error.path().enter_index(count);
                error
            })?;
            count += 1;
            match self.next_byte() {
                Some(b',') => self.at += 1,
                Some(b']') => break,
                _ => return Err(self.expected("a comma or the end of the list").into()),
            }
        }
        self.close();
        Ok(count)
    }

    /// A text, borrowed where it has no escapes.
    pub fn string(&mut self) -> Result<Cow<'a, str>, Fault> {
        if self.next_byte() != Some(b'"') {
            return Err(self.expected("a text in quotes"));
        }
        self.text_value()
    }

    /// A number as it stands.
    pub fn number(&mut self) -> Result<&'a str, Fault> {
        if !matches!(self.next_byte(), Some(b'-' | b'0'..=b'9')) {
            return Err(self.expected("a number"));
        }
        let start = self.at;
        if self.byte() == Some(b'-') {
            self.at += 1;
        }
        match self.byte() {
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.byte(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(&self.text[start..self.at])
    }

    /// Reads over any value and returns its text.
    pub fn skip(&mut self) -> Result<&'a str, Fault> {
        let kind = self.kind()?;
        let start = self.at;
        match kind {
            Kind::Object => self
                .object(|reader, _| Ok(reader.skip().map(|_| ())?))
                .map_err(|Unlocated(fault, _)| fault)?,
            Kind::List => self
                .list(|reader, _| Ok(reader.skip().map(|_| ())?))
                .map(|_| ())
                .map_err(|Unlocated(fault, _)| fault)?,
            Kind::Text => self.skip_text()?,
            Kind::Number => {
                self.number()?;
            }
            Kind::True => self.word("true")?,
            Kind::False => self.word("false")?,
            Kind::Null => self.word("null")?,
        }
        Ok(&self.text[start..self.at])
    }

    pub fn expected(&self, expected: &'static str) -> Fault {
        Fault::Expected {
            expected,
            at: self.at,
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// The next byte that is no white space; the reader stands on it.
    fn next_byte(&mut self) -> Option<u8> {
        loop {
            let byte = self.byte()?;
            if !matches!(byte, b' ' | b'\t' | b'\n' | b'\r') {
                return Some(byte);
            }
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        if self.next_byte() != Some(byte) {
            return Err(self.expected(expected));
        }
        self.at += 1;
        Ok(())
    }

    fn open(&mut self, byte: u8, expected: &'static str) -> Result<(), Fault> {
        self.take(byte, expected)?;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(Fault::TooDeep { at: self.at });
        }
        Ok(())
    }

    const fn close(&mut self) {
        self.at += 1;
        self.depth -= 1;
    }

    fn digits(&mut self) -> Result<(), Fault> {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        if self.at == start {
            return Err(self.expected("a digit"));
        }
        Ok(())
    }

    fn word(&mut self, word: &'static str) -> Result<(), Fault> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return Err(self.expected(word));
        }
        self.at += word.len();
        Ok(())
    }

    /// From the opening quote on.
    fn text_value(&mut self) -> Result<Cow<'a, str>, Fault> {
        let start = self.at + 1;
        self.at = start + plain_length(&self.text.as_bytes()[start..]);
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        self.escaped_text(start).map(Cow::Owned)
    }

    fn skip_text(&mut self) -> Result<(), Fault> {
        self.text_value().map(|_| ())
    }

    fn escaped_text(&mut self, start: usize) -> Result<String, Fault> {
        let mut out = self.text[start..self.at].to_owned();
        loop {
            match self.byte() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => {
                    self.at += 1;
                    out.push(self.escape()?);
                }
                _ => return Err(self.expected("a text without control characters that ends with a quote")),
            }
            let start = self.at;
            self.at += plain_length(&self.text.as_bytes()[start..]);
            out.push_str(&self.text[start..self.at]);
        }
    }

    /// From behind the backslash on.
    fn escape(&mut self) -> Result<char, Fault> {
        let Some(byte) = self.byte() else {
            return Err(self.expected("an escape"));
        };
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                let code = match high {
                    0xd800..=0xdbff => {
                        let low = if self.text.as_bytes()[self.at..].starts_with(b"\\u") {
                            self.at += 2;
                            self.hex()?
                        } else {
                            0
                        };
                        if !(0xdc00..=0xdfff).contains(&low) {
                            return Err(self.expected("the second half of a surrogate pair"));
                        }
                        0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)
                    }
                    code => code,
                };
                char::from_u32(code).ok_or_else(|| self.expected("the first half of a surrogate pair"))?
            }
            _ => {
                self.at -= 1;
                return Err(self.expected("an escape"));
            }
        })
    }

    fn hex(&mut self) -> Result<u32, Fault> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.byte().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.expected("four hexadecimal digits"))?;
            self.at += 1;
        }
        Ok(code)
    }
}

/// How many bytes stand before the next quote, backslash or control character: eight at a time.
fn plain_length(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGHS: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let zero = |word: u64| word.wrapping_sub(ONES) & !word;
        let found = (zero(word ^ (ONES * u64::from(b'"')))
            | zero(word ^ (ONES * u64::from(b'\\')))
            | (word.wrapping_sub(ONES * 0x20) & !word))
            & HIGHS;
        if found != 0 {
            return index * 8 + found.trailing_zeros() as usize / 8;
        }
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
    words.len() * 8 + rest.iter().position(special).unwrap_or(rest.len())
}

/// For values that nobody looks into: where in them a fault lies is told by its byte.
struct Unlocated(Fault, Path);

impl From<Fault> for Unlocated {
    fn from(fault: Fault) -> Self {
        Self(fault, Path::default())
    }
}

impl Located for Unlocated {
    fn path(&mut self) -> &mut Path {
        &mut self.1
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn skipped(text: &str) -> Result<&str, Fault> {
        let mut reader = Reader::new(text);
        let value = reader.skip()?;
        reader.end()?;
        Ok(value)
    }

    /// What `serde_json` says; nothing where it stopped at a number that fits no double, for it did not read the rest.
    fn accepted(text: &str) -> Option<bool> {
        match serde_json::from_str::<serde_json::Value>(text) {
            Ok(_) => Some(true),
            Err(error) if error.to_string().contains("number out of range") => None,
            Err(_) => Some(false),
        }
    }

    #[test]
    fn values_are_skipped_and_texts_unescaped() {
        for text in [
            "{}",
            "[]",
            "-0.5e+10",
            "true",
            "null",
            r#"{"a":[1,{"b":"\u00e9\ud83d\ude00\n\/"}],"c":{}}"#,
        ] {
            assert_eq!(skipped(&format!(" {text}\n")), Ok(text));
        }
        for text in [
            "",
            "{",
            "[1,]",
            "{\"a\":}",
            "01",
            "1.",
            "-",
            "\"a",
            "\"\\x\"",
            "\"\\ud800\"",
            "\"\n\"",
            "tru",
            "1 2",
        ] {
            assert!(skipped(text).is_err(), "{text}");
            assert_eq!(accepted(text), Some(false), "{text}");
        }
        // Numbers stay text: how large they are is for whoever reads them.
        assert_eq!(skipped("[-1e400]"), Ok("[-1e400]"));
        assert!(skipped("[-1e400e]").is_err());
        let mut reader = Reader::new(r#""a\u00e9\ud83d\ude00\\""#);
        assert_eq!(reader.string().as_deref(), Ok("aé😀\\"));
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(skipped(&nested(DEPTH_MAX as usize)).is_ok());
        assert_eq!(
            skipped(&nested(DEPTH_MAX as usize + 1)),
            Err(Fault::TooDeep {
                at: DEPTH_MAX as usize + 1
            })
        );
        assert!(skipped(&"[".repeat(1_000_000)).is_err());
    }

    fn any_json() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            Just("true".to_owned()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,3})?([eE][+-]?[0-9]{1,2})?",
            any::<String>().prop_map(|text| serde_json::to_string(&text).unwrap_or_default()),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(|all| format!("[{}]", all.join(" , "))),
                prop::collection::vec((any::<String>(), inner), 0..5).prop_map(|all| {
                    let members: Vec<_> = all
                        .iter()
                        .map(|(key, value)| {
                            format!("{}: {value}", serde_json::to_string(key).unwrap_or_default())
                        })
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_takes_what_serde_json_takes(
            text in any_json(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), "[\\[\\]{}\",:\\\\u0-9eE.+\u{1}é-]{0,2}"), 0..3),
        ) {
            prop_assert_eq!(skipped(&text), Ok(text.as_str()));
            let mut damaged: Vec<char> = text.chars().collect();
            for (index, by) in changes {
                let at = index.index(damaged.len());
                damaged.splice(at..=at, by.chars());
                if damaged.is_empty() {
                    damaged.push('0');
                }
            }
            let damaged: String = damaged.into_iter().collect();
            if let Some(accepted) = accepted(&damaged) {
                prop_assert_eq!(skipped(&damaged).is_ok(), accepted, "{}", damaged);
            }
        }

        #[test]
        fn texts_are_those_of_serde_json(text in any::<String>()) {
            let written = serde_json::to_string(&text).unwrap_or_default();
            prop_assert_eq!(Reader::new(&written).string().ok().map(Cow::into_owned), Some(text));
        }
    }
}
