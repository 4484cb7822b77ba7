//! A pull parser over one document that enforces the bounds: depth, attributes, text, no DOCTYPE, no entities but the
//! five, namespaces.
//!
//! Invariant: every element that [`Cursor::child`] hands out is closed by exactly one of [`Cursor::child`] (to its
//! `None`), [`Cursor::text`], [`Cursor::first_text`] or [`Cursor::skip`].

use super::{
    ATTRIBUTES_MAX, DEPTH_MAX, DOCUMENT_BYTES_MAX, LINES_MAX, TEXT_BYTES_MAX,
    codes::Text,
    error::ParseError,
    namespaces::{Namespaces, Space},
    scanner::{Attributes, Scanner, Start, Token, is_blank},
    text::{resolve, trimmed},
};

/// Fewer bytes than this cannot hold more attributes than are allowed: each takes four at least.
const ATTRIBUTES_BYTES_SAFE: usize = ATTRIBUTES_MAX * 4;

/// On the heap, because it is rare and every result of this module would be as large.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Box<ParseError>);

impl From<ParseError> for Refusal {
    fn from(error: ParseError) -> Self {
        Self(Box::new(error))
    }
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Tag<'a> {
    /// Without prefix.
    pub(super) name: &'a str,
    attributes: &'a str,
}

pub(super) struct Cursor<'a> {
    scanner: Scanner<'a>,
    depth: usize,
    /// The element that was read last has no content.
    empty: bool,
    /// Of the element that was read last.
    space: Space,
    namespaces: Namespaces<'a>,
    lines: usize,
    /// Lines that room may still be made for before they are read.
    room: usize,
    /// See [`super::Document::unread`].
    pub(super) unread: u32,
    /// Which transaction and which of its lines is read, from 1: for errors.
    pub(super) transaction: usize,
    pub(super) line: usize,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Result<Self, Refusal> {
        if bytes.len() > DOCUMENT_BYTES_MAX {
            return Err(Refusal::from(ParseError::TooLong { bytes: bytes.len() }));
        }
        let document = std::str::from_utf8(bytes).map_err(|error| ParseError::Encoding {
            found: "a byte that is no UTF-8".to_owned(),
            offset: error.valid_up_to(),
        });
        let document = document.map_err(Refusal::from)?;
        let is_control = |byte: &u8| *byte < 0x20 && !matches!(byte, b'\t' | b'\n' | b'\r');
        // Without an early end, so that it is a few instructions for many bytes.
        if bytes.iter().fold(false, |found, byte| found | is_control(byte)) {
            let offset = bytes.iter().position(is_control).unwrap_or_default();
            return Err(Refusal::from(ParseError::Xml {
                reason: "a control character".to_owned(),
                offset,
            }));
        }
        let mark = if document.starts_with('\u{feff}') { 3 } else { 0 };
        Ok(Self {
            scanner: Scanner::new(document, mark),
            depth: 0,
            empty: false,
            space: Space::PosLog,
            namespaces: Namespaces::new(),
            lines: 0,
            room: LINES_MAX,
            unread: 0,
            transaction: 0,
            line: 0,
        })
    }

    /// The root element, in whatever namespace.
    pub(super) fn root(&mut self) -> Result<Tag<'a>, Refusal> {
        loop {
            match self.token()? {
                Token::Start(start) => return self.open(start),
                Token::Declaration(declaration) => self.check_encoding(declaration)?,
                other => self.between(other)?,
            }
        }
    }

    /// After the root element is closed: nothing but blanks and comments follows.
    pub(super) fn end(&mut self) -> Result<(), Refusal> {
        loop {
            match self.token()? {
                Token::Done => return Ok(()),
                Token::Start(_) => return Err(self.ill_formed("a second root element")),
                other => self.between(other)?,
            }
        }
    }

    fn check_encoding(&self, declaration: &str) -> Result<(), Refusal> {
        for attribute in Attributes(declaration) {
            let (name, encoding) = attribute.map_err(|reason| self.ill_formed(reason))?;
            let is_known = ["utf-8", "utf8", "us-ascii"]
                .iter()
                .any(|known| encoding.eq_ignore_ascii_case(known));
            if name == "encoding" && !is_known {
                return Err(Refusal::from(ParseError::Encoding {
                    found: encoding.chars().take(32).collect(),
                    offset: self.offset(),
                }));
            }
        }
        Ok(())
    }

    /// What stands outside of the root element.
    fn between(&self, token: Token<'_>) -> Result<(), Refusal> {
        match token {
            Token::Aside | Token::Declaration(_) => Ok(()),
            Token::Text(text) if text.bytes().all(is_blank) => Ok(()),
            Token::Doctype => Err(self.doctype()),
            Token::Done => Err(self.ill_formed("no root element")),
            _ => Err(self.ill_formed("text outside of the root element")),
        }
    }

    /// The next element of POSLog inside the current one; `None` closes the current one. All others are skipped.
    pub(super) fn child(&mut self) -> Result<Option<Tag<'a>>, Refusal> {
        loop {
            match self.child_or_kit()? {
                Some(_) if self.space == Space::Kit => self.skip()?,
                tag => return Ok(tag),
            }
        }
    }

    /// As [`Self::child`], with the elements of this kit.
    pub(super) fn child_or_kit(&mut self) -> Result<Option<Tag<'a>>, Refusal> {
        loop {
            if self.empty {
                self.close();
                return Ok(None);
            }
            let tag = match self.token()? {
                Token::Start(start) => self.open(start)?,
                Token::End => {
                    self.close();
                    return Ok(None);
                }
                Token::Text(_) => continue,
                other => {
                    self.inside(other)?;
                    continue;
                }
            };
            if self.space != Space::Foreign {
                return Ok(Some(tag));
            }
            self.skip()?;
        }
    }

    /// The text of the current element, without blanks around it and without elements inside; closes it.
    pub(super) fn text(&mut self) -> Result<Text<'a>, Refusal> {
        let mut text = Text::Borrowed("");
        loop {
            if self.empty {
                self.close();
                break;
            }
            match self.token()? {
                Token::End => {
                    self.close();
                    break;
                }
                Token::Start(start) => {
                    self.enter(start)?;
                    self.skip()?;
                }
                other => self.append(other, &mut text)?,
            }
        }
        Ok(trimmed(text))
    }

    /// The first text in the current element or in the elements inside; closes it. For feeds that wrap a value.
    pub(super) fn first_text(&mut self) -> Result<Text<'a>, Refusal> {
        let inside = self.depth;
        let (mut found, mut text) = (Text::Borrowed(""), Text::Borrowed(""));
        while self.depth >= inside {
            if self.empty {
                self.close();
            } else {
                match self.token()? {
                    Token::End => self.close(),
                    Token::Start(start) => self.enter(start)?,
                    other => {
                        self.append(other, &mut text)?;
                        continue;
                    }
                }
            }
            let whole = trimmed(std::mem::take(&mut text));
            if found.is_empty() {
                found = whole;
            }
        }
        Ok(found)
    }

    /// Closes the current element, whatever is in it.
    pub(super) fn skip(&mut self) -> Result<(), Refusal> {
        let inside = self.depth;
        while self.depth >= inside {
            if self.empty {
                self.close();
                continue;
            }
            match self.token()? {
                Token::End => self.close(),
                Token::Start(start) => self.enter(start)?,
                Token::Text(_) => {}
                other => self.inside(other)?,
            }
        }
        Ok(())
    }

    /// Calls back for each attribute, with its value without blanks around it.
    pub(super) fn attributes(
        &self,
        tag: &Tag<'a>,
        mut take: impl FnMut(&'a str, Text<'a>) -> Option<()>,
    ) -> Result<(), Refusal> {
        if tag.attributes.is_empty() {
            return Ok(());
        }
        for (count, attribute) in Attributes(tag.attributes).enumerate() {
            let (name, value) = attribute.map_err(|reason| self.ill_formed(reason))?;
            let is_second = Attributes(tag.attributes)
                .take(count)
                .any(|earlier| earlier.is_ok_and(|(earlier, _)| earlier == name));
            if is_second {
                return Err(self.ill_formed("an attribute that stands twice"));
            }
            let value = trimmed(self.resolved(value)?);
            if value.len() > TEXT_BYTES_MAX {
                return Err(self.bound("text"));
            }
            take(name, value).ok_or_else(|| self.unreadable(deciding(name)))?;
        }
        Ok(())
    }

    /// Counts what a document's memory is made of.
    pub(super) fn count_line(&mut self) -> Result<(), Refusal> {
        self.lines += 1;
        if self.lines > LINES_MAX {
            return Err(self.bound("lines"));
        }
        Ok(())
    }

    /// For how many of the lines that a document promises room is made: promises cost nothing, so all of them together
    /// get no more than a document can have.
    pub(super) fn room_for(&mut self, lines: usize) -> usize {
        let lines = lines.min(self.room);
        self.room -= lines;
        lines
    }

    pub(super) const fn offset(&self) -> usize {
        self.scanner.offset()
    }

    /// Something of the transaction or line that is being read.
    #[cold]
    pub(super) fn unreadable(&self, field: &'static str) -> Refusal {
        let (index, offset) = (self.transaction, self.offset());
        Refusal::from(if self.line == 0 {
            ParseError::Header { index, field, offset }
        } else {
            ParseError::Line {
                index,
                line: self.line,
                field,
                offset,
            }
        })
    }

    #[cold]
    pub(super) fn bound(&self, what: &'static str) -> Refusal {
        Refusal::from(ParseError::Bound {
            what,
            offset: self.offset(),
        })
    }

    #[cold]
    fn ill_formed(&self, reason: &str) -> Refusal {
        Refusal::from(ParseError::Xml {
            reason: reason.to_owned(),
            offset: self.offset(),
        })
    }

    #[cold]
    fn doctype(&self) -> Refusal {
        Refusal::from(ParseError::Forbidden {
            what: "a DOCTYPE",
            offset: self.offset(),
        })
    }

    #[inline]
    fn token(&mut self) -> Result<Token<'a>, Refusal> {
        match self.scanner.next() {
            Ok(token) => Ok(token),
            Err(reason) => Err(self.ill_formed(reason)),
        }
    }

    /// What stands inside of an element and is neither an element nor kept.
    fn inside(&self, token: Token<'_>) -> Result<(), Refusal> {
        match token {
            Token::Reference(name) => self.reference(name).map(|_| ()),
            Token::Doctype => Err(self.doctype()),
            Token::Done => Err(self.ill_formed("the document ends inside of an element")),
            _ => Ok(()),
        }
    }

    fn append(&self, token: Token<'a>, text: &mut Text<'a>) -> Result<(), Refusal> {
        let part = match token {
            Token::Text(part) | Token::CData(part) => part,
            Token::Reference(name) => {
                text.to_mut().push(self.reference(name)?);
                return Ok(());
            }
            other => return self.inside(other),
        };
        if text.len() + part.len() > TEXT_BYTES_MAX {
            return Err(self.bound("text"));
        }
        if text.is_empty() {
            *text = Text::Borrowed(part);
        } else {
            text.to_mut().push_str(part);
        }
        Ok(())
    }

    fn reference(&self, name: &str) -> Result<char, Refusal> {
        resolve(name).ok_or_else(|| {
            Refusal::from(ParseError::Forbidden {
                what: "a reference that is none of the five nor of a character",
                offset: self.offset(),
            })
        })
    }

    /// An attribute's value with its references resolved.
    fn resolved(&self, value: &'a str) -> Result<Text<'a>, Refusal> {
        if !value.as_bytes().contains(&b'&') {
            return Ok(Text::Borrowed(value));
        }
        let mut out = String::with_capacity(value.len());
        let mut rest = value;
        while let Some((before, after)) = rest.split_once('&') {
            out.push_str(before);
            let (name, behind) = after
                .split_once(';')
                .ok_or_else(|| self.ill_formed("a reference without its end"))?;
            out.push(self.reference(name)?);
            rest = behind;
        }
        out.push_str(rest);
        Ok(Text::Owned(out))
    }

    /// One level down, for an element whose name and attributes do not matter.
    #[inline]
    fn enter(&mut self, start: Start<'a>) -> Result<(), Refusal> {
        self.depth += 1;
        self.empty = self.scanner.is_empty();
        if self.depth > DEPTH_MAX {
            return Err(self.bound("depth"));
        }
        if start.attributes.len() > ATTRIBUTES_BYTES_SAFE
            && Attributes(start.attributes).nth(ATTRIBUTES_MAX).is_some()
        {
            return Err(self.bound("attributes"));
        }
        Ok(())
    }

    #[inline]
    fn open(&mut self, start: Start<'a>) -> Result<Tag<'a>, Refusal> {
        self.enter(start)?;
        let Start { name, attributes, .. } = start;
        if !attributes.is_empty() && attributes.contains("xmlns") {
            self.bind(attributes)?;
        }
        let name = match name.bytes().position(|byte| byte == b':') {
            None => {
                self.space = self.namespaces.default_space();
                name
            }
            Some(colon) => {
                self.space = self.namespaces.space_of(&name[..colon]);
                &name[colon + 1..]
            }
        };
        Ok(Tag { name, attributes })
    }

    /// Whose name the element has that [`Self::root`], [`Self::child`] or [`Self::child_or_kit`] gave last.
    pub(super) const fn space(&self) -> Space {
        self.space
    }

    #[inline]
    fn close(&mut self) {
        self.empty = false;
        self.namespaces.close(self.depth);
        self.depth -= 1;
    }

    #[cold]
    fn bind(&mut self, attributes: &'a str) -> Result<(), Refusal> {
        for attribute in Attributes(attributes) {
            let (name, value) = attribute.map_err(|reason| self.ill_formed(reason))?;
            let prefix = match name.strip_prefix("xmlns") {
                Some("") => "",
                Some(rest) => match rest.strip_prefix(':') {
                    Some(prefix) => prefix,
                    None => continue,
                },
                None => continue,
            };
            let uri = self.resolved(value)?;
            if !self.namespaces.bind(self.depth, prefix, &uri) {
                return Err(self.bound("namespaces"));
            }
        }
        Ok(())
    }
}

/// The attributes that decide about stock.
fn deciding(name: &str) -> &'static str {
    ["TrainingModeFlag", "CancelFlag", "VoidFlag", "Units"]
        .into_iter()
        .find(|known| *known == name)
        .unwrap_or("an attribute")
}
