//! Any bytes are a record or an error, and a movement that is read is written as it was, but for signs and blanks.
#![no_main]

use contracts::wire::copybook::{Record, is_status, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let is_status = is_status(bytes);
    if let Ok(record) = read(bytes) {
        assert_eq!(is_status, !matches!(record, Record::Move(_)));
    }
});
