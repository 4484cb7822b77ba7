//! Any bytes are a mark of a store's server or an error.
#![no_main]

use contracts::wire::source_mark::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = std::hint::black_box(parse(bytes));
});
