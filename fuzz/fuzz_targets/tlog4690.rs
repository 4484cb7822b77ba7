//! Any bytes are a receipt or an error.
#![no_main]

use contracts::wire::tlog4690::parse;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(receipt) = parse(bytes) {
        std::hint::black_box(receipt.stock_lines().count());
    }
});
