//! Acme's places, and words and papers in their spellings.

use super::{GLN_PREFIX, GTIN_URI, Site, SubLocation};
use crate::ids::{Gtin, LocationId};
use crate::wire::gs1::{Key, decimal};

/// A bare word of the vocabulary, from its URN, its web address or itself.
pub(super) fn word<'a>(text: &'a str, web_prefix: &str) -> &'a str {
    let last = text.rsplit([':', '/']).next().unwrap_or(text);
    last.strip_prefix(web_prefix).unwrap_or(last)
}

/// The article of `https://id.gs1.org/01/` and 14 digits: how nearly all are written, and by us all.
pub(super) fn plain_article(text: &str) -> Option<Gtin> {
    let digits = text.strip_prefix(GTIN_URI)?;
    (digits.len() == 14)
        .then(|| decimal(digits))
        .flatten()
        .and_then(Gtin::new)
}

/// A place of ours: `https://id.gs1.org/414/GLN/254/PART` or `urn:epc:id:sgln:PREFIX.PLACE.PART`.
pub(super) fn place(text: &str) -> Option<Site> {
    let Key::Place { gln, extension } = Key::from_uri(text)? else {
        return None;
    };
    let number = gln
        .body()
        .checked_sub(GLN_PREFIX)
        .filter(|number| *number < 100_000)?;
    Some(Site {
        location: LocationId::from_copybook_number(number as u32)?,
        sub_location: extension
            .and_then(|part| decimal(&part))
            .and_then(SubLocation::from_extension),
    })
}

/// The number of a despatch advice: what stands behind the last `:` or `/`.
pub(super) fn despatch_advice(text: &str) -> Option<u64> {
    decimal(text.rsplit([':', '/']).next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_place_is_found_in_both_its_spellings() {
        for text in [
            "https://id.gs1.org/414/0614141000425/254/3",
            "urn:epc:id:sgln:0614141.00042.3",
        ] {
            let site = place(text).expect("a place");
            assert_eq!(
                (site.location, site.sub_location),
                (LocationId::store(42), Some(SubLocation::Door)),
                "{text}"
            );
        }
        let whole = place("urn:epc:id:sgln:0614141.00042.0").expect("a place");
        assert!(whole.sub_location.is_none());
        for text in [
            "",
            "https://id.gs1.org/414/0614141000424",
            "https://id.gs1.org/414/9999999000429",
            "urn:epc:id:sgln:0614141.70000.0",
        ] {
            assert!(place(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_word_is_found_in_all_its_spellings() {
        for text in [
            "receiving",
            "urn:epcglobal:cbv:bizstep:receiving",
            "https://ref.gs1.org/cbv/BizStep-receiving",
            "cbv:BizStep-receiving",
        ] {
            assert_eq!(word(text, "BizStep-"), "receiving");
        }
    }
}
