//! Any bytes are a document of events or an error; what is read has an identity and effects.
#![no_main]

use contracts::wire::epcis::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(capture) = read(bytes) else { return };
    for event in &capture.events {
        std::hint::black_box(capture.content_id(event));
        std::hint::black_box(capture.correction(event));
        std::hint::black_box(capture.movements(event).count());
    }
});
