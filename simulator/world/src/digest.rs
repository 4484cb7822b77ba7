//! A digest of everything that the sources write, which a stranger can check with `sha256sum`.
//!
//! The files are those that a generated folder holds: `tlog/S0001.tlog`, the 4690 receipts of a store as they are;
//! `poslog-6.0/S0001.xmll` and `poslog-2.2.1/S0001.xmll`, the documents of its other tills, one a line; `mq/W0001.bin`, the
//! records of a warehouse; `scans/S0001.jsonld`, the documents of a place, one a line. A source that writes nothing has no
//! file. The digest is that of `sha256sum tlog/* poslog-*/* mq/* scans/* | LC_ALL=C sort | sha256sum`.

use contracts::ids::LocationId;
use contracts::wire::{FORMAT_4690, FORMAT_COPYBOOK_037, FORMAT_EPCIS, FORMAT_POSLOG_2, FORMAT_POSLOG_6};
use sha2::{Digest, Sha256};

use crate::World;
use crate::events::{Place, Step};

/// Steps that an opening is taken apart in, so that it is never in memory as a whole.
const OPENING_PLACES: usize = 100;

/// What each format's file is called, between its folder and its end, and what stands behind each of its messages.
const FILES: [(&str, &str, &str, &[u8]); 5] = [
    (FORMAT_4690, "tlog", "tlog", b""),
    (FORMAT_POSLOG_6, "poslog-6.0", "xmll", b"\n"),
    (FORMAT_POSLOG_2, "poslog-2.2.1", "xmll", b"\n"),
    (FORMAT_COPYBOOK_037, "mq", "bin", b""),
    (FORMAT_EPCIS, "scans", "jsonld", b"\n"),
];

/// The folders of all files.
pub const FOLDERS: [&str; FILES.len()] = {
    let mut folders = [""; FILES.len()];
    let mut index = 0;
    while index < FILES.len() {
        folders[index] = FILES[index].1;
        index += 1;
    }
    folders
};

fn file_of(format: &str) -> usize {
    let known = FILES.iter().position(|(known, ..)| *known == format);
    known.expect("the world writes no other format")
}

/// The file that a place's messages of a format belong to.
pub fn file_name(location: LocationId, format: &str) -> String {
    let (_, folder, end, _) = FILES[file_of(format)];
    format!("{folder}/{location}.{end}")
}

/// What stands behind each message in its file.
pub fn message_end(format: &str) -> &'static [u8] {
    FILES[file_of(format)].3
}

/// Takes steps as they come and keeps a running hash of each file.
#[derive(Debug)]
pub struct DigestBuilder {
    locations: Vec<LocationId>,
    /// For each place, by file.
    hashes: Vec<[Option<Sha256>; FILES.len()]>,
}

impl DigestBuilder {
    pub fn new(places: &[Place]) -> Self {
        Self {
            locations: places.iter().map(|place| place.location).collect(),
            hashes: places.iter().map(|_| [const { None }; FILES.len()]).collect(),
        }
    }

    pub fn add(&mut self, step: &Step) {
        for (events, hashes) in step.places.iter().zip(&mut self.hashes) {
            for message in &events.messages {
                let hash = hashes[file_of(message.format)].get_or_insert_with(Sha256::new);
                hash.update(events.bytes_of(message));
                hash.update(message_end(message.format));
            }
        }
    }

    /// SHA-256 of the sorted lines `sha256  name`, in hexadecimal.
    pub fn finish(self) -> String {
        let mut lines = Vec::new();
        for (location, hashes) in self.locations.iter().zip(self.hashes) {
            for ((format, ..), hash) in FILES.iter().zip(hashes) {
                if let Some(hash) = hash {
                    lines.push(format!(
                        "{}  {}\n",
                        hex(&hash.finalize()),
                        file_name(*location, format)
                    ));
                }
            }
        }
        lines.sort_unstable();
        let mut whole = Sha256::new();
        for line in &lines {
            whole.update(line);
        }
        hex(&whole.finalize())
    }
}

/// Digest of a fresh world's opening and so many steps.
pub fn digest(world: &mut World, steps: u32, threads: usize) -> String {
    let mut builder = DigestBuilder::new(world.places());
    while let Some(part) = world.opening_part(OPENING_PLACES) {
        builder.add(&part);
        world.recycle(part);
    }
    for _ in 0..steps {
        let step = world.step(threads);
        builder.add(&step);
        world.recycle(step);
    }
    builder.finish()
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            write!(text, "{byte:02x}").expect("a String takes all text");
            text
        })
}
