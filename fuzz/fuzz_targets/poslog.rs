//! Any bytes are a document of transactions or an error; what is read has effects, and an error is told within a line.
#![no_main]

use contracts::wire::poslog::{parse, stock_lines};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    match parse(bytes) {
        Ok(document) => {
            let mut lines = Vec::new();
            for transaction in &document.transactions {
                lines.clear();
                let _ = std::hint::black_box(stock_lines(transaction, &mut lines));
            }
        }
        Err(error) => assert!(error.to_string().len() < 1_000),
    }
});
