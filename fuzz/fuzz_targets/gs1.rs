//! Any text is a key or none, and a key that is written is read again.
#![no_main]

use contracts::wire::gs1::{Key, barcode, in_store};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = std::hint::black_box(barcode::read(bytes, &in_store::Rules::default()));
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Some(key) = Key::from_uri(text) {
        let link = key.to_link();
        assert_eq!(Key::from_link(&link).as_ref(), Some(&key), "{link}");
    }
    if let Some(key) = Key::from_elements(text) {
        let elements = key.to_elements();
        // A bracket is a character of values too, and as text for people such a key reads in two ways.
        if elements.matches('(').count() > 2 {
            return;
        }
        assert_eq!(Key::from_elements(&elements).as_ref(), Some(&key), "{elements}");
    }
});
