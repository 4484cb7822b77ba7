//! Any bytes are a message of a queue or an error; what is opened is part of it.
#![no_main]

use contracts::wire::queue_message::open;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(opened) = open(bytes) {
        assert!(bytes.ends_with(opened.record));
    }
});
