//! A digest of everything that the sources write, which a stranger can check with `sha256sum`.
//!
//! The files are those that a generated folder holds: `tlog/S0001.tlog`, the receipts of a store as they are;
//! `mq/W0001.bin`, the records of a warehouse; `scans/S0001.jsonld`, the documents of a place, one a line. A source that
//! writes nothing has no file. The digest is that of `sha256sum tlog/* mq/* scans/* | LC_ALL=C sort | sha256sum`.

use contracts::ids::LocationId;
use sha2::{Digest, Sha256};

use crate::World;
use crate::events::{Channel, Place, Step};

/// Steps that an opening is taken apart in, so that it is never in memory as a whole.
const OPENING_PLACES: usize = 100;

/// The file that a place's messages of a channel belong to.
pub fn file_name(location: LocationId, channel: Channel) -> String {
    match channel {
        Channel::Till => format!("tlog/{location}.tlog"),
        Channel::Queue => format!("mq/{location}.bin"),
        Channel::Scan => format!("scans/{location}.jsonld"),
    }
}

/// What stands behind each message in its file.
pub const fn message_end(channel: Channel) -> &'static [u8] {
    match channel {
        Channel::Till | Channel::Queue => b"",
        Channel::Scan => b"\n",
    }
}

/// Takes steps as they come and keeps a running hash of each file.
#[derive(Debug)]
pub struct DigestBuilder {
    locations: Vec<LocationId>,
    /// For each place, by channel.
    hashes: Vec<[Option<Sha256>; 3]>,
}

impl DigestBuilder {
    pub fn new(places: &[Place]) -> Self {
        Self {
            locations: places.iter().map(|place| place.location).collect(),
            hashes: places.iter().map(|_| [None, None, None]).collect(),
        }
    }

    pub fn add(&mut self, step: &Step) {
        for (events, hashes) in step.places.iter().zip(&mut self.hashes) {
            for message in &events.messages {
                let hash = hashes[message.channel as usize].get_or_insert_with(Sha256::new);
                hash.update(events.bytes_of(message));
                hash.update(message_end(message.channel));
            }
        }
    }

    /// SHA-256 of the sorted lines `sha256  name`, in hexadecimal.
    pub fn finish(self) -> String {
        let mut lines = Vec::new();
        for (location, hashes) in self.locations.iter().zip(self.hashes) {
            for (channel, hash) in [Channel::Till, Channel::Queue, Channel::Scan]
                .into_iter()
                .zip(hashes)
            {
                if let Some(hash) = hash {
                    lines.push(format!(
                        "{}  {}\n",
                        hex(&hash.finalize()),
                        file_name(*location, channel)
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
