//! Poison: messages like good ones that nobody can understand, though whoever carries them has nothing to complain of. Frame,
//! length and place are right.
//!
//! A kind is a function and a line of the table. Invariant: readers refuse each kind with its own class, so that kinds can be
//! counted apart where they are seen. Pure.

use std::ops::Range;

use contracts::wire::{
    FORMAT_4690, FORMAT_COPYBOOK_037, FORMAT_EPCIS, FORMAT_POSLOG_2, FORMAT_POSLOG_6, queue_message,
};

/// The formats that a message of poison can be in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Poison {
    Ibm4690,
    Poslog6,
    Poslog2,
    Queue,
    Scan,
}

impl Poison {
    pub const ALL: [Self; 5] = [
        Self::Ibm4690,
        Self::Poslog6,
        Self::Poslog2,
        Self::Queue,
        Self::Scan,
    ];

    /// The header `format` of such a message.
    pub const fn format(self) -> &'static str {
        match self {
            Self::Ibm4690 => FORMAT_4690,
            Self::Poslog6 => FORMAT_POSLOG_6,
            Self::Poslog2 => FORMAT_POSLOG_2,
            Self::Queue => FORMAT_COPYBOOK_037,
            Self::Scan => FORMAT_EPCIS,
        }
    }

    pub fn of(format: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|poison| poison.format() == format)
    }

    /// Indices of its kinds in [`KINDS`].
    pub fn kinds(self) -> Range<usize> {
        let is_of = |kind: &Kind| kind.of == self;
        let first = KINDS.iter().position(is_of).unwrap_or(KINDS.len());
        first..first + KINDS[first..].iter().take_while(|kind| is_of(kind)).count()
    }
}

/// One way of being poison.
#[derive(Debug)]
pub struct Kind {
    pub of: Poison,
    pub name: &'static str,
    /// What readers call it.
    pub class: &'static str,
    /// `None` where the message has nothing to break.
    make: fn(&[u8]) -> Option<Vec<u8>>,
}

const fn kind(
    of: Poison,
    name: &'static str,
    class: &'static str,
    make: fn(&[u8]) -> Option<Vec<u8>>,
) -> Kind {
    Kind {
        of,
        name,
        class,
        make,
    }
}

/// By format; the order decides which kind a draw is.
pub const KINDS: [Kind; 21] = [
    kind(Poison::Ibm4690, "digit", "bad-item", digit),
    kind(Poison::Ibm4690, "cut", "bad-header", cut),
    kind(Poison::Ibm4690, "type", "transaction-type", transaction_type),
    kind(Poison::Poslog6, "number", "bad-header", number),
    kind(Poison::Poslog6, "tag", "bad-xml", tag),
    kind(Poison::Poslog6, "entity", "forbidden-xml", entity),
    kind(Poison::Poslog6, "depth", "xml-bound", depth),
    kind(Poison::Poslog6, "encoding", "bad-encoding", encoding),
    kind(Poison::Poslog2, "number", "bad-header", number),
    kind(Poison::Poslog2, "tag", "bad-xml", tag),
    kind(Poison::Poslog2, "entity", "forbidden-xml", entity),
    kind(Poison::Poslog2, "depth", "xml-bound", depth),
    kind(Poison::Poslog2, "encoding", "bad-encoding", encoding),
    kind(Poison::Queue, "blanks", "bad-packed", blanks),
    kind(Poison::Queue, "length", "bad-length", length),
    kind(Poison::Queue, "move", "unknown-move-type", move_type),
    kind(Poison::Queue, "sign", "wrong-sign", sign),
    kind(Poison::Scan, "document", "not-epcis", document),
    kind(Poison::Scan, "json", "bad-json", json),
    kind(Poison::Scan, "step", "bad-event", step),
    kind(Poison::Scan, "depth", "too-long", scan_depth),
];

/// A message like this one, poisoned in the way that the draw says, or the next one that it has something for; and which way it
/// is, as index into [`KINDS`].
pub fn poisoned(format: &str, bytes: &[u8], draw: u64) -> Option<(usize, Vec<u8>)> {
    let kinds = Poison::of(format)?.kinds();
    let first = draw % kinds.len() as u64;
    (0..kinds.len())
        .map(|next| kinds.start + (first as usize + next) % kinds.len())
        .find_map(|index| Some((index, (KINDS[index].make)(bytes)?)))
}

/// Where a text first ends.
fn behind(bytes: &[u8], text: &[u8]) -> Option<usize> {
    let at = bytes.windows(text.len()).position(|part| part == text)?;
    Some(at + text.len())
}

fn with(bytes: &[u8], range: Range<usize>, new: &[u8]) -> Option<Vec<u8>> {
    let (before, after) = (bytes.get(..range.start)?, bytes.get(range.end..)?);
    Some([before, new, after].concat())
}

/// The code of the first item: A is no digit.
fn digit(receipt: &[u8]) -> Option<Vec<u8>> {
    let code = behind(receipt, &[0x22, 0x2c, 0x22, 0x01, 0x3a])?;
    with(receipt, code..code + 1, &[0xaa])
}

/// A header whose date breaks off: `22 00 3A`, terminal, `3A`, number, `3A`, MMDDYYhhmm, `3A`, type.
fn cut(receipt: &[u8]) -> Option<Vec<u8>> {
    with(receipt, 11..14, &[])
}

/// Items in something that is no checkout.
fn transaction_type(receipt: &[u8]) -> Option<Vec<u8>> {
    behind(receipt, &[0x22, 0x2c, 0x22, 0x01, 0x3a])?;
    with(receipt, 15..16, &[0x03])
}

const NUMBER: &[u8] = b"<SequenceNumber>";

/// The first transaction has no number.
fn number(document: &[u8]) -> Option<Vec<u8>> {
    let number = behind(document, NUMBER)?;
    with(document, number..number + 1, b"x")
}

/// An end tag of another name.
fn tag(document: &[u8]) -> Option<Vec<u8>> {
    let end = behind(document, b"</Transaction>")?;
    with(document, end - 2..end - 1, b"m")
}

/// What only a document type could have declared.
fn entity(document: &[u8]) -> Option<Vec<u8>> {
    let number = behind(document, NUMBER)?;
    with(document, number..number, b"&x;")
}

const DEPTH: usize = 70;

fn depth(document: &[u8]) -> Option<Vec<u8>> {
    let end = behind(document, b"</Transaction>")?;
    let (down, up) = (b"<a>".repeat(DEPTH), b"</a>".repeat(DEPTH));
    with(document, end..end, &[down, up].concat())
}

/// Latin-1 in a document of UTF-8.
fn encoding(document: &[u8]) -> Option<Vec<u8>> {
    let number = behind(document, NUMBER)?;
    with(document, number..number, b"\xfc")
}

/// Where fields of a queue record are in a message.
fn field(message: &[u8], field: Range<usize>) -> Range<usize> {
    let record = queue_message::record_at(message);
    record + field.start..record + field.end
}

/// INV-QTY is blank.
fn blanks(message: &[u8]) -> Option<Vec<u8>> {
    with(message, field(message, 33..39), &[0x40; 6])
}

/// A byte is missing at the end.
fn length(message: &[u8]) -> Option<Vec<u8>> {
    with(message, message.len().checked_sub(1)?..message.len(), &[])
}

/// INV-MOVE-TYPE 999.
fn move_type(message: &[u8]) -> Option<Vec<u8>> {
    with(message, field(message, 30..33), &[0xf9; 3])
}

/// INV-QTY with the other sign than its move type has.
fn sign(message: &[u8]) -> Option<Vec<u8>> {
    let quantity = message.get(field(message, 33..39))?;
    let (last, digits) = quantity.split_last()?;
    let is_zero = digits.iter().all(|byte| *byte == 0) && last >> 4 == 0;
    let other = if last & 0x0f == 0x0d { 0x0c } else { 0x0d };
    let byte = field(message, 38..39);
    (!is_zero).then(|| with(message, byte, &[last & 0xf0 | other]))?
}

fn document(document: &[u8]) -> Option<Vec<u8>> {
    let kind = behind(document, br#""type":""#)?;
    with(document, kind..kind + 5, b"Bills")
}

fn json(document: &[u8]) -> Option<Vec<u8>> {
    let end = document.iter().rposition(|byte| *byte == b'}')?;
    with(document, end..end + 1, b"]")
}

/// A step with a typing error.
fn step(document: &[u8]) -> Option<Vec<u8>> {
    let step = behind(document, br#""bizStep":""#)?;
    with(document, step..step + 1, b"x")
}

fn scan_depth(document: &[u8]) -> Option<Vec<u8>> {
    let start = behind(document, b"{")?;
    let deep = [
        &br#""stockstream:deep":"#[..],
        &b"[".repeat(DEPTH),
        &b"]".repeat(DEPTH),
        b",",
    ]
    .concat();
    with(document, start..start, &deep)
}

#[cfg(test)]
mod tests {
    use contracts::wire::tlog4690::Receipt;
    use contracts::wire::{copybook, epcis, poslog, tlog4690};
    use world::{TillMix, World, WorldConfig};

    use super::*;

    /// What whoever carries it, and whoever reads it, says of a message.
    fn judged(of: Poison, message: &[u8]) -> (bool, Option<&'static str>) {
        match of {
            Poison::Ibm4690 => {
                let frames: Vec<_> = tlog4690::frames(message).collect();
                let read = Receipt::default().read(message);
                (
                    frames == [Ok(0..message.len())],
                    read.err().map(|error| error.class()),
                )
            }
            Poison::Poslog6 | Poison::Poslog2 => {
                let frames: Vec<_> = poslog::frames(message).collect();
                let passes = frames == [Ok(0..message.len())] && poslog::format_of(message) == of.format();
                (passes, poslog::parse(message).err().map(|error| error.class()))
            }
            Poison::Queue => {
                let read = copybook::read(queue_message::record(message));
                (true, read.err().map(|error| error.class()))
            }
            Poison::Scan => {
                let passes = epcis::location_of(message).is_some();
                (passes, epcis::read(message).err().map(|error| error.class()))
            }
        }
    }

    #[test]
    fn each_kind_passes_the_edges_and_is_refused_with_its_class() {
        let mut world = World::new(WorldConfig {
            tills: TillMix {
                ibm_4690: 40,
                poslog_6: 30,
                poslog_2: 30,
            },
            stores: 8,
            warehouses: 2,
            skus: 100,
            assortment: 40,
            transactions_per_day: 8_000,
            ..WorldConfig::default()
        })
        .expect("a world");
        let mut made = [0; KINDS.len()];
        for index in 0..8 {
            // Scans count the opening stock.
            let step = if index == 0 {
                world.opening()
            } else {
                world.step(1)
            };
            for events in &step.places {
                for message in &events.messages {
                    let bytes = events.bytes_of(message);
                    for draw in 0..5 {
                        let Some((index, bad)) = poisoned(message.format, bytes, draw) else {
                            continue;
                        };
                        let kind = &KINDS[index];
                        assert_eq!(judged(kind.of, bytes), (true, None), "a good one");
                        assert_eq!(
                            judged(kind.of, &bad),
                            (true, Some(kind.class)),
                            "{:?} {}: {}",
                            kind.of,
                            kind.name,
                            bad.escape_ascii()
                        );
                        made[index] += 1;
                    }
                }
            }
        }
        assert!(made.iter().all(|times| *times > 0), "{made:?}");
    }

    #[test]
    fn kinds_of_a_format_stand_together_and_have_classes_of_their_own() {
        for poison in Poison::ALL {
            let kinds = &KINDS[poison.kinds()];
            assert!(kinds.len() > 2 && kinds.iter().all(|kind| kind.of == poison));
            let classes: std::collections::BTreeSet<_> = kinds.iter().map(|kind| kind.class).collect();
            assert_eq!(classes.len(), kinds.len());
        }
        assert_eq!(
            Poison::ALL
                .map(|poison| poison.kinds().len())
                .iter()
                .sum::<usize>(),
            KINDS.len()
        );
    }
}
