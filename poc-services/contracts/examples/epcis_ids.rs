//! Content hashes of the events in EPCIS documents, one a line: `cargo run -p contracts --example epcis_ids -- FILE…`.
//! To be compared with what PyPI `epcis-event-hash-generator` prints for the same files.

use contracts::wire::epcis;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for path in std::env::args().skip(1) {
        let bytes = std::fs::read(&path)?;
        match epcis::read(&bytes) {
            Ok(capture) => {
                for event in &capture.events {
                    println!("{path}\t{}", capture.content_id(event));
                }
            }
            Err(error) => println!("{path}\t{}: {error}", error.class()),
        }
    }
    Ok(())
}
