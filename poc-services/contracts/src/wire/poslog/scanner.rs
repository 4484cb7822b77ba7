//! Tags and text of an XML document, cut out of it without copies: the part of XML that data needs.
//!
//! Invariants: every token is a part of the document; closing tags match; what is between quotes ends no tag. A DOCTYPE
//! is a token like any other and never read, so there are no entities to expand. Names and attributes are cut, not
//! judged: whether they stand where they may is the reader's business.
//!
//! By hand, because a reader of this format spends its time here: a general parser takes more than twice as long as all
//! of the rest. A test compares with one.

/// What stands at a place of the document.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Start(Start<'a>),
    End,
    Text(&'a str),
    CData(&'a str),
    /// What stands between `&` and `;`.
    Reference(&'a str),
    /// What stands between `<?xml` and `?>`.
    Declaration(&'a str),
    Doctype,
    /// Comment or processing instruction.
    Aside,
    /// The document is over.
    Done,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Start<'a> {
    pub(super) name: &'a str,
    /// Everything behind the name.
    pub(super) attributes: &'a str,
}

/// The longest reference is that of a character with leading zeros.
const REFERENCE_BYTES_MAX: usize = 16;

#[derive(Debug)]
pub(super) struct Scanner<'a> {
    document: &'a str,
    at: usize,
    open: Vec<&'a str>,
    is_empty: bool,
}

impl<'a> Scanner<'a> {
    /// From that byte on, where a character starts.
    pub(super) const fn new(document: &'a str, at: usize) -> Self {
        Self {
            document,
            at,
            open: Vec::new(),
            is_empty: false,
        }
    }

    /// Whether the tag that was read last is `<name/>`: it has no closing one. Not part of the token, which is whole
    /// words for speed.
    pub(super) const fn is_empty(&self) -> bool {
        self.is_empty
    }

    /// Behind the last token.
    pub(super) const fn offset(&self) -> usize {
        self.at
    }

    /// The next token, or what is wrong with it.
    #[inline]
    pub(super) fn next(&mut self) -> Result<Token<'a>, &'static str> {
        let rest = self.document.as_bytes().get(self.at..).unwrap_or_default();
        match rest {
            [] => Ok(Token::Done),
            [b'<', b'/', ..] => self.closing(&rest[2..]),
            [b'<', first, ..] if is_name_start(*first) => self.opening(rest),
            [b'<', ..] => self.markup(),
            [b'&', ..] => {
                let end = rest
                    .iter()
                    .take(REFERENCE_BYTES_MAX)
                    .position(|byte| *byte == b';')
                    .ok_or("a reference without its end")?;
                let name = &self.document[self.at + 1..self.at + end];
                self.at += end + 1;
                Ok(Token::Reference(name))
            }
            _ => {
                let end = rest
                    .iter()
                    .position(|byte| matches!(byte, b'<' | b'&'))
                    .unwrap_or(rest.len());
                let text = &self.document[self.at..self.at + end];
                self.at += end;
                Ok(Token::Text(text))
            }
        }
    }

    #[inline]
    fn closing(&mut self, rest: &[u8]) -> Result<Token<'a>, &'static str> {
        let name = self.open.pop().ok_or("a closing tag without its opening one")?;
        let behind = rest
            .strip_prefix(name.as_bytes())
            .ok_or("a closing tag of another element than the last one opened")?;
        let blanks = behind.iter().take_while(|byte| is_blank(**byte)).count();
        if behind.get(blanks) != Some(&b'>') {
            return Err("a closing tag of another element than the last one opened");
        }
        self.at += 2 + name.len() + blanks + 1;
        Ok(Token::End)
    }

    #[inline]
    fn opening(&mut self, rest: &[u8]) -> Result<Token<'a>, &'static str> {
        let name_end = rest
            .iter()
            .position(|byte| ends_name(*byte))
            .ok_or("a tag without its end")?;
        let mut end = name_end;
        loop {
            match rest.get(end) {
                Some(b'>') => break,
                Some(b'<') | None => return Err("a tag without its end"),
                Some(quote @ (b'"' | b'\'')) => {
                    let value = &rest[end + 1..];
                    let length = value
                        .iter()
                        .position(|byte| byte == quote)
                        .ok_or("an attribute without its end")?;
                    end += length + 2;
                }
                Some(_) => end += 1,
            }
        }
        self.is_empty = rest[end - 1] == b'/';
        let attributes_end = end - usize::from(self.is_empty);
        let start = Start {
            name: &self.document[self.at + 1..self.at + name_end],
            attributes: &self.document[self.at + name_end..self.at + attributes_end],
        };
        if !self.is_empty {
            self.open.push(start.name);
        }
        self.at += end + 1;
        Ok(Token::Start(start))
    }

    /// What starts with `<!` or `<?`.
    #[cold]
    fn markup(&mut self) -> Result<Token<'a>, &'static str> {
        let rest = &self.document[self.at..];
        let (token, open, end) = if rest.starts_with("<!--") {
            (Token::Aside, 4, "-->")
        } else if rest.starts_with("<![CDATA[") {
            (Token::CData(""), 9, "]]>")
        } else if rest.starts_with("<?xml") && rest.as_bytes().get(5).is_some_and(|byte| is_blank(*byte)) {
            (Token::Declaration(""), 5, "?>")
        } else if rest.starts_with("<?") {
            (Token::Aside, 2, "?>")
        } else if rest
            .get(..9)
            .is_some_and(|start| start.eq_ignore_ascii_case("<!DOCTYPE"))
        {
            self.at += 9;
            return Ok(Token::Doctype);
        } else {
            return Err("a `<` that starts nothing");
        };
        let length = rest[open..].find(end).ok_or("a part without its end")?;
        let content = &rest[open..open + length];
        self.at += open + length + end.len();
        Ok(match token {
            Token::CData(_) => Token::CData(content),
            Token::Declaration(_) => Token::Declaration(content),
            other => other,
        })
    }
}

/// Names and raw values of attributes; an error ends them.
#[derive(Clone, Debug)]
pub(super) struct Attributes<'a>(pub(super) &'a str);

impl<'a> Iterator for Attributes<'a> {
    type Item = Result<(&'a str, &'a str), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let text = self.0.trim_start_matches(is_blank_char);
        if text.is_empty() {
            return None;
        }
        self.0 = "";
        let bad = Some(Err("an attribute that is not name=\"value\""));
        let bytes = text.as_bytes();
        let Some(name_end) = bytes.iter().position(|byte| *byte == b'=' || is_blank(*byte)) else {
            return bad;
        };
        let value = text[name_end..].trim_start_matches(is_blank_char);
        let value = value.strip_prefix('=').unwrap_or_default();
        let value = value.trim_start_matches(is_blank_char);
        let Some(quote @ (b'"' | b'\'')) = value.as_bytes().first().copied() else {
            return bad;
        };
        let Some(length) = value.bytes().skip(1).position(|byte| byte == quote) else {
            return bad;
        };
        if name_end == 0 || value[1..=length].contains('<') {
            return bad;
        }
        self.0 = &value[length + 2..];
        Some(Ok((&text[..name_end], &value[1..=length])))
    }
}

pub(super) const fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

const fn is_blank_char(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

const fn is_name_start(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte == b'_' || byte == b':' || byte >= 0x80
}

/// The first byte of a tag is not asked.
const fn ends_name(byte: u8) -> bool {
    is_blank(byte) || matches!(byte, b'>' | b'/' | b'"' | b'\'' | b'=' | b'&')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use quick_xml::Reader;
    use quick_xml::events::Event;

    use super::*;

    /// The whole document as a list of what stands in it.
    fn ours(document: &str) -> Result<Vec<String>, &'static str> {
        let mut scanner = Scanner::new(document, 0);
        let mut out = Vec::new();
        loop {
            out.push(match scanner.next()? {
                Token::Start(start) => {
                    let kind = if scanner.is_empty() { "empty" } else { "start" };
                    let attributes = Attributes(start.attributes)
                        .map(|attribute| attribute.map(|(name, value)| format!(" {name}={value}")))
                        .collect::<Result<String, _>>()?;
                    format!("{kind} {}{attributes}", start.name)
                }
                Token::End => "end".to_owned(),
                Token::Text(text) => format!("text {text}"),
                Token::CData(text) => format!("cdata {text}"),
                Token::Reference(name) => format!("reference {name}"),
                Token::Doctype => return Err("a DOCTYPE"),
                Token::Declaration(_) | Token::Aside => "aside".to_owned(),
                Token::Done => return Ok(out),
            });
        }
    }

    /// The same by a parser of others; `None` for what it refuses.
    fn theirs(document: &str) -> Option<Vec<String>> {
        let mut reader = Reader::from_str(document);
        let mut out = Vec::new();
        loop {
            let event = reader.read_event().ok()?;
            out.push(match &event {
                Event::Start(start) | Event::Empty(start) => {
                    let kind = if matches!(event, Event::Empty(_)) {
                        "empty"
                    } else {
                        "start"
                    };
                    let mut attributes = String::new();
                    for attribute in start.attributes().with_checks(false) {
                        let attribute = attribute.ok()?;
                        let name = attribute.key.into_inner();
                        attributes.extend([" ", name, "=", &attribute.value]);
                    }
                    format!("{kind} {}{attributes}", start.name().into_inner())
                }
                Event::End(_) => "end".to_owned(),
                Event::Text(text) => format!("text {}", &**text),
                Event::CData(text) => format!("cdata {}", &**text),
                Event::GeneralRef(name) => format!("reference {}", &**name),
                Event::Decl(_) | Event::PI(_) | Event::Comment(_) => "aside".to_owned(),
                Event::DocType(_) => return None,
                Event::Eof => return Some(out),
            });
        }
    }

    #[test]
    fn tokens_are_those_of_a_general_parser() {
        for document in [
            "<a/>",
            "<a b='1>2' c = \"x\"><b/>t&amp;u<![CDATA[<&]]></a >",
            "<?xml version=\"1.0\"?><!-- <a> --><p:a xmlns:p='u'><é>1</é></p:a>",
            "<a><b></b><?pi x?></a>",
        ] {
            assert_eq!(ours(document).ok(), theirs(document), "{document}");
        }
    }

    #[test]
    fn what_is_not_well_formed_is_refused() {
        for document in [
            "<a></b>",
            "</a>",
            "<a",
            "<a b='",
            "<a><!-- </a>",
            "<a>&amp</a>",
            "< a/>",
            "<a b=1/>",
            "<a b/>",
            "<a b='<'/>",
            "<![CDATA[",
            "<!ELEMENT a>",
            "<a></aa>",
            "<a></a b>",
        ] {
            assert!(ours(document).is_err(), "{document}");
        }
        assert_eq!(ours("<!doctype a>"), Err("a DOCTYPE"));
    }

    proptest! {
        /// Pieces of markup in any order: what both take, both see alike.
        #[test]
        fn any_markup_is_seen_as_a_general_parser_sees_it(
            parts in proptest::collection::vec(
                prop_oneof![
                    Just("<a>"), Just("</a>"), Just("<b c='1'>"), Just("<b d=\"x>y\" e=''/>"), Just("</b>"),
                    Just("text"), Just(" "), Just("&lt;"), Just("&#65;"), Just("<!-- c -->"), Just("<![CDATA[d]]>"),
                    Just("<?p i?>"), Just("é"), Just("<é/>"), Just("</b >"), Just("\n"), Just("<"), Just(">"),
                ],
                0..24,
            ),
        ) {
            let document = parts.concat();
            if let (Ok(ours), Some(theirs)) = (ours(&document), theirs(&document)) {
                prop_assert_eq!(ours, theirs, "{}", document);
            }
        }

        #[test]
        fn any_text_gives_tokens_or_an_error(document in ".{0,200}") {
            let _ = ours(&document);
        }
    }
}
