//! GS1 keys of every kind as the Digital Link that the standard's content hash is made of.
//!
//! Looser than [`crate::wire::gs1`], and of more kinds: a hash is made of what stands there, right or wrong.

use std::fmt::Write as _;

/// A GS1 key in any spelling as the Digital Link of its finest part; `None` for every other text.
pub(super) fn canonical_uri(text: &str) -> Option<String> {
    if let Some(rest) = text.strip_prefix("urn:epc:") {
        return of_urn(rest);
    }
    of_link(text)
}

/// How a URN's number becomes a key's: its digits, whether the first of the reference comes first, what is in front.
struct Scheme {
    name: &'static str,
    ai: &'static str,
    digits: usize,
    indicator: bool,
    leading_zero: bool,
    /// What becomes of the part behind the number.
    tail: Tail,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Tail {
    None,
    /// A `*`: every serial.
    Any,
    /// A step of its own with this identifier.
    Step(&'static str),
    /// The same, but 0 stands for none.
    StepUnlessZero(&'static str),
    /// Follows the check digit.
    Joined,
}

const fn scheme(name: &'static str, ai: &'static str, digits: usize, indicator: bool, tail: Tail) -> Scheme {
    Scheme {
        name,
        ai,
        digits,
        indicator,
        leading_zero: false,
        tail,
    }
}

const SCHEMES: [Scheme; 16] = [
    scheme("id:sgtin:", "01", 13, true, Tail::Step("21")),
    scheme("idpat:sgtin:", "01", 13, true, Tail::Any),
    scheme("class:lgtin:", "01", 13, true, Tail::Step("10")),
    scheme("id:upui:", "01", 13, true, Tail::Step("235")),
    scheme("idpat:upui:", "01", 13, true, Tail::Any),
    scheme("id:sscc:", "00", 17, true, Tail::None),
    scheme("id:sgln:", "414", 12, false, Tail::StepUnlessZero("254")),
    scheme("id:pgln:", "417", 12, false, Tail::None),
    scheme("id:gsrn:", "8018", 17, false, Tail::None),
    scheme("id:gsrnp:", "8017", 17, false, Tail::None),
    scheme("id:gsin:", "402", 16, false, Tail::None),
    scheme("id:sgcn:", "255", 12, false, Tail::Joined),
    scheme("id:gdti:", "253", 12, false, Tail::Joined),
    scheme("idpat:gdti:", "253", 12, false, Tail::Any),
    Scheme {
        leading_zero: true,
        ..scheme("id:grai:", "8003", 12, false, Tail::Joined)
    },
    Scheme {
        leading_zero: true,
        ..scheme("idpat:grai:", "8003", 12, false, Tail::Any)
    },
];

fn of_urn(rest: &str) -> Option<String> {
    for (name, ai) in [("id:giai:", "8004"), ("id:ginc:", "401")] {
        if let Some(rest) = rest.strip_prefix(name) {
            let (prefix, reference) = rest.split_once('.')?;
            let valid = is_prefix(prefix) && is_part(reference, 30 - prefix.len());
            return valid.then(|| format!("https://id.gs1.org/{ai}/{prefix}{}", step(reference)));
        }
    }
    if let Some(rest) = rest.strip_prefix("id:itip:") {
        return of_pieces(rest);
    }
    let (scheme, rest) = SCHEMES
        .iter()
        .find_map(|scheme| Some((scheme, rest.strip_prefix(scheme.name)?)))?;
    let (prefix, rest) = rest.split_once('.')?;
    let (reference, tail) = match scheme.tail {
        Tail::None => (
            rest.strip_suffix('.')
                .filter(|_| prefix.len() == 12)
                .unwrap_or(rest),
            None,
        ),
        _ => rest
            .split_once('.')
            .map(|(reference, tail)| (reference, Some(tail)))?,
    };
    if !is_prefix(prefix)
        || prefix.len() + reference.len() != scheme.digits
        || !reference.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    let mut body = if scheme.indicator {
        format!("{}{prefix}{}", &reference[..1], &reference[1..])
    } else {
        format!("{prefix}{reference}")
    };
    if scheme.leading_zero {
        body.insert(0, '0');
    }
    let check = crate::ids::check_digit(body.parse().ok()?);
    let key = format!("https://id.gs1.org/{}/{body}{check}", scheme.ai);
    Some(match (scheme.tail, tail) {
        (Tail::None, _) | (Tail::Any, Some("*")) | (Tail::StepUnlessZero(_), Some("0")) => key,
        (Tail::Step(ai) | Tail::StepUnlessZero(ai), Some(tail)) if is_part(tail, longest(ai)) => {
            format!("{key}/{ai}/{}", step(tail))
        }
        (Tail::Joined, Some(tail)) if is_part(tail, 16) => format!("{key}{}", step(tail)),
        _ => return None,
    })
}

/// One of several pieces of an article: piece and total stand behind its number.
fn of_pieces(rest: &str) -> Option<String> {
    let parts: Vec<&str> = rest.splitn(5, '.').collect();
    let [prefix, reference, piece, total, serial] = *parts else {
        return None;
    };
    let two = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    let article = of_urn(&format!("idpat:sgtin:{prefix}.{reference}.*"))?;
    let number = article.rsplit('/').next()?;
    (two(piece) && two(total) && is_part(serial, 20)).then(|| {
        format!(
            "https://id.gs1.org/8006/{number}{piece}{total}/21/{}",
            step(serial)
        )
    })
}

const fn longest(ai: &str) -> usize {
    if ai.len() == 3 && ai.as_bytes()[1] == b'3' {
        28
    } else {
        20
    }
}

fn is_prefix(text: &str) -> bool {
    (6..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A serial or lot in a URN: permitted characters and escapes, an escape counting as one.
fn is_part(text: &str, longest: usize) -> bool {
    let mut bytes = text.bytes();
    let mut count = 0;
    while let Some(byte) = bytes.next() {
        count += 1;
        let valid = match byte {
            b'%' => {
                bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit())
                    && bytes.next().is_some_and(|byte| byte.is_ascii_hexdigit())
            }
            b'!' | b'\''..=b'.' | b'0'..=b';' | b'=' | b'A'..=b'Z' | b'_' | b'a'..=b'z' => true,
            _ => false,
        };
        if !valid {
            return false;
        }
    }
    (1..=longest).contains(&count)
}

/// What a web address cannot have as it is in a URN.
fn step(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '!' | '(' | ')' | '*' | '+' | ',' | ':' => {
                let _ = write!(out, "%{:02X}", character as u32);
            }
            _ => out.push(character),
        }
    }
    out
}

/// Keys of links: the identifier, its older short word, how many digits it begins with, how much may follow.
const KEYS: [(&str, &str, usize, usize); 14] = [
    ("00", "sscc", 18, 0),
    ("01", "gtin", 14, 0),
    ("253", "gdti", 13, 17),
    ("255", "gcn", 13, 12),
    ("401", "ginc", 4, 26),
    ("402", "gsin", 17, 0),
    ("414", "gln", 13, 0),
    ("417", "party", 13, 0),
    ("8003", "grai", 14, 16),
    ("8004", "giai", 4, 26),
    ("8006", "itip", 18, 0),
    ("8010", "cpid", 4, 26),
    ("8017", "gsrnp", 18, 0),
    ("8018", "gsrn", 18, 0),
];

/// A Digital Link at `https://id.gs1.org`, without query, variant, and lot where there is a serial. What has an escape or a
/// form that the standard does not know is left alone, and check digits are not looked at, as in the public generator.
fn of_link(text: &str) -> Option<String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"))?;
    let path = rest.split('?').next()?;
    let steps: Vec<&str> = path.split('/').skip(1).collect();
    let (index, (ai, _, digits, more)) = KEYS.iter().find_map(|key| {
        let index = steps.iter().position(|step| *step == key.0 || *step == key.1)?;
        Some((index, key))
    })?;
    let mut value = (*steps.get(index + 1)?).to_owned();
    if *ai == "01" && matches!(value.len(), 8 | 12 | 13) {
        value = format!("{value:0>14}");
    }
    let (number, tail) = value.split_at_checked(*digits)?;
    let valid = number.bytes().all(|byte| byte.is_ascii_digit())
        && tail.len() <= *more
        && tail.bytes().all(is_link_part);
    if !valid {
        return None;
    }
    let mut finest: Option<(&str, &str)> = None;
    for pair in steps[index + 2..].chunks(2) {
        let [name, part] = pair else { return None };
        if part.len() > 28 || !part.bytes().all(is_link_part) {
            return None;
        }
        let name = match (*ai, *name) {
            ("01" | "8006", "22" | "cpv") => continue,
            ("01" | "8006", "10" | "lot") if finest.is_none() => "10",
            ("01" | "8006", "21" | "ser") => "21",
            ("01", "235") if finest.is_none() => "235",
            ("414", "254") if finest.is_none() => "254",
            ("8010", "8011") if finest.is_none() => "8011",
            _ => return None,
        };
        finest = Some((name, part));
    }
    let key = format!("https://id.gs1.org/{ai}/{value}");
    Some(match finest {
        Some((name, part)) => format!("{key}/{name}/{part}"),
        None => key,
    })
}

/// What stands in a link without an escape.
const fn is_link_part(byte: u8) -> bool {
    matches!(byte, b'"' | b'\'' | b'-' | b'.' | b'0'..=b'9' | b';'..=b'?' | b'A'..=b'Z' | b'_' | b'a'..=b'z')
}
