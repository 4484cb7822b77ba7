//! What the schema's formats ask of texts.

/// Is it an absolute URI of RFC 3986: a scheme, a colon, permitted characters, whole escapes?
pub(super) fn is_uri(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some(colon) = bytes.iter().position(|byte| !is_scheme(*byte)) else {
        return false;
    };
    if bytes[colon] != b':' || colon == 0 || !bytes[0].is_ascii_alphabetic() {
        return false;
    }
    let rest = &bytes[colon + 1..];
    if rest.iter().all(|byte| CLASS[*byte as usize] == PLAIN) {
        return true;
    }
    let whole_escapes = || {
        rest.iter().enumerate().all(|(at, byte)| {
            *byte != b'%'
                || rest
                    .get(at + 1..at + 3)
                    .is_some_and(|hex| hex.iter().all(u8::is_ascii_hexdigit))
        })
    };
    // Brackets stand around a host's address only.
    let in_place = |byte: u8| byte != b'[' && byte != b']' || rest.starts_with(b"//[");
    rest.iter()
        .all(|byte| CLASS[*byte as usize] != NEVER && in_place(*byte))
        && text.matches('#').nth(1).is_none()
        && whole_escapes()
}

const fn is_scheme(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.')
}

const NEVER: u8 = 0;
const PLAIN: u8 = 1;
const SPECIAL: u8 = 2;

const CLASS: [u8; 256] = {
    let mut class = [NEVER; 256];
    let mut byte = 0;
    while byte < 128 {
        class[byte] = match byte as u8 {
            b'%' | b'#' | b'[' | b']' => SPECIAL,
            b'!' | b'$' | b'&'..=b';' | b'=' | b'?' | b'@' | b'A'..=b'Z' | b'_' | b'a'..=b'z' | b'~' => PLAIN,
            _ => NEVER,
        };
        byte += 1;
    }
    class
};

/// `^[A-Z0-9]{2,3}$`: a code of UN/ECE Recommendation 20.
pub(super) fn is_unit(text: &str) -> bool {
    (2..=3).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
}

/// `^\d+(\.\d+)*$`.
pub(super) fn is_version(text: &str) -> bool {
    text.split('.')
        .all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uris_are_told_from_other_texts() {
        for text in [
            "a:",
            "example:foo",
            "urn:epc:idpat:sgtin:0614141.099999.*",
            "https://id.gs1.org/01/00614141999996?17=250101",
            "https://example.com/a%20b#part",
            "http://[::1]/x",
            "geo:41.67,-86.25",
            "ni:///sha-256;00ff?ver=CBV2.0",
        ] {
            assert!(is_uri(text), "{text}");
        }
        for text in [
            "",
            "receiving",
            ":x",
            "1a:x",
            "a_b:x",
            "a:b c",
            "a:<x>",
            "a:%2",
            "a:%zz",
            "a:#x#y",
            "a:b[0]",
            "a:é",
            "a:\"",
        ] {
            assert!(!is_uri(text), "{text}");
        }
    }
}
