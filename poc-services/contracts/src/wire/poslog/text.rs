//! Characters, references and blanks, as XML has them.

use super::{codes::Text, scanner::is_blank};

/// Without blanks around it.
#[inline]
pub(super) fn trimmed(text: Text<'_>) -> Text<'_> {
    let ends = [text.as_bytes().first(), text.as_bytes().last()];
    if !ends.into_iter().flatten().any(|byte| is_blank(*byte)) {
        return text;
    }
    let is_blank = |c: char| matches!(c, ' ' | '\t' | '\r' | '\n');
    match text {
        Text::Borrowed(text) => Text::Borrowed(text.trim_matches(is_blank)),
        Text::Owned(text) => Text::Owned(text.trim_matches(is_blank).to_owned()),
    }
}

/// The character of a reference, which stands between `&` and `;`.
pub(super) fn resolve(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        _ => {
            let number = name.strip_prefix('#')?;
            let (digits, radix) = number.strip_prefix('x').map_or((number, 10), |hex| (hex, 16));
            if digits.is_empty() || digits.starts_with('+') {
                return None;
            }
            char::from_u32(u32::from_str_radix(digits, radix).ok()?).filter(|c| is_xml_char(*c))
        }
    }
}

pub(super) const fn is_xml_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..)
}
