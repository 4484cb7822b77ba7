//! A movement as it is applied: read from its bytes into buffers that are used again, and checked once.
//!
//! Invariant: what [`Transaction::read`] accepts and what it makes of it is exactly what the generated reader of
//! `Movement` accepts, with valid ids, known kinds and quantities within bounds. The usual fields are read by hand;
//! whatever is unusual is left to the generated reader. It knows neither windows nor cells.

use contracts::ids::{BusinessDay, LocationId, SourceId, TransactionId};
use contracts::records::{Movement, MovementKind, SourceKind};
use prost::Message as _;

use crate::cell::LINE_QUANTITY_MAX;
use crate::statement::Statement;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub sku: u32,
    pub kind: MovementKind,
    pub quantity: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    pub occurred_ms: i64,
    pub due_ms: i64,
    pub content_hash: u64,
    /// Read out of the dead letters.
    pub put_back: bool,
    pub lines: Vec<Line>,
}

/// What a record that is no valid movement lacks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub &'static str);

impl Default for Transaction {
    fn default() -> Self {
        Self {
            id: TransactionId {
                source: SourceId::queue(LocationId::store(0)),
                business_day: BusinessDay(0),
                number: 0,
            },
            occurred_ms: 0,
            due_ms: 0,
            content_hash: 0,
            put_back: false,
            lines: Vec::new(),
        }
    }
}

/// What a movement is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// It is in the buffers.
    Transaction,
    /// It says something of a place's sources; the buffers mean nothing.
    Statement(Box<Statement>),
}

impl Transaction {
    /// Replaces all of it by what the bytes say; after an error its content means nothing.
    pub fn read(&mut self, payload: &[u8]) -> Result<Content, Invalid> {
        if self.read_usual(payload).is_some() {
            return self.check().map(|()| Content::Transaction);
        }
        let movement = Movement::decode(payload).map_err(|_| Invalid("the record is no Movement"))?;
        self.set(&movement)
    }

    /// Takes the same from a movement that is read already.
    pub fn set(&mut self, movement: &Movement) -> Result<Content, Invalid> {
        let location = movement
            .location
            .parse()
            .map_err(|_| Invalid("the location is none"))?;
        if let Some(statement) = Statement::of(location, movement)? {
            return Ok(Content::Statement(Box::new(statement)));
        }
        let unit = u16::try_from(movement.source_unit)
            .map_err(|_| Invalid("the unit of the source is beyond 65,535"))?;
        self.id = TransactionId {
            source: SourceId {
                location,
                kind: movement.source_kind(),
                unit,
            },
            business_day: BusinessDay(movement.business_day),
            number: movement.number,
        };
        self.occurred_ms = movement.occurred_ms;
        self.due_ms = movement.due_ms;
        self.content_hash = movement.content_hash;
        self.put_back = movement.put_back;
        self.lines.clear();
        self.lines.extend(movement.lines.iter().map(|line| Line {
            sku: line.sku,
            kind: line.kind(),
            quantity: line.quantity,
        }));
        self.check().map(|()| Content::Transaction)
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.id.source.kind == SourceKind::Unspecified {
            return Err(Invalid("the source has no known kind"));
        }
        for line in &self.lines {
            if line.kind == MovementKind::Unspecified {
                return Err(Invalid("a line has no known kind"));
            }
            // What takes back an earlier transaction is negative, whatever its kind.
            if !(-LINE_QUANTITY_MAX..=LINE_QUANTITY_MAX).contains(&line.quantity) {
                return Err(Invalid("the quantity of a line is out of bounds"));
            }
        }
        Ok(())
    }

    /// `None`: something is unusual, and nothing is decided.
    fn read_usual(&mut self, payload: &[u8]) -> Option<()> {
        let mut fields = Fields { rest: payload };
        let mut location = None;
        let mut kind = SourceKind::Unspecified;
        let mut unit = 0;
        self.id.business_day = BusinessDay(0);
        self.id.number = 0;
        self.occurred_ms = 0;
        self.due_ms = 0;
        self.content_hash = 0;
        self.put_back = false;
        self.lines.clear();
        while let Some(key) = fields.key() {
            match key {
                0x0a => location = Some(read_location(fields.bytes()?)?),
                0x10 => kind = source_kind(fields.varint()?)?,
                0x18 => unit = u16::try_from(fields.varint()?).ok()?,
                0x20 => self.id.business_day = BusinessDay(u32::try_from(fields.varint()?).ok()?),
                0x28 => self.id.number = fields.varint()?,
                0x30 => self.occurred_ms = fields.varint()? as i64,
                0x38 => self.due_ms = fields.varint()? as i64,
                0x41 => self.content_hash = fields.fixed64()?,
                0x48 => {
                    fields.varint()?;
                }
                0x78 => self.put_back = fields.varint()? != 0,
                0x52 => self.lines.push(read_line(fields.bytes()?)?),
                _ => return None,
            }
        }
        self.id.source = SourceId {
            location: location?,
            kind,
            unit,
        };
        Some(())
    }
}

fn read_line(bytes: &[u8]) -> Option<Line> {
    let mut fields = Fields { rest: bytes };
    let mut line = Line {
        sku: 0,
        kind: MovementKind::Unspecified,
        quantity: 0,
    };
    while let Some(key) = fields.key() {
        match key {
            0x08 => line.sku = u32::try_from(fields.varint()?).ok()?,
            0x10 => line.kind = movement_kind(fields.varint()?)?,
            0x18 => {
                let zigzag = fields.varint()?;
                line.quantity = (zigzag >> 1) as i64 ^ -((zigzag & 1) as i64);
            }
            _ => return None,
        }
    }
    Some(line)
}

fn source_kind(value: u64) -> Option<SourceKind> {
    SourceKind::try_from(i32::try_from(value).ok()?).ok()
}

fn movement_kind(value: u64) -> Option<MovementKind> {
    let index = usize::try_from(value.checked_sub(1)?).ok()?;
    MovementKind::ALL.get(index).copied()
}

/// The usual five characters; others go the long way.
fn read_location(text: &[u8]) -> Option<LocationId> {
    let [letter, digits @ ..] = text else { return None };
    let digits: &[u8; 4] = digits.try_into().ok()?;
    let mut number = 0;
    for digit in digits {
        if !digit.is_ascii_digit() {
            return None;
        }
        number = number * 10 + u16::from(digit - b'0');
    }
    match letter {
        b'S' => Some(LocationId::store(number)),
        b'W' => Some(LocationId::warehouse(number)),
        _ => None,
    }
}

/// The fields of a message, in Protobuf's encoding.
struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// `None` at the end. Keys of one byte alone: a longer one is a field that is not ours, and as a first byte it is
    /// one that nobody asks for.
    fn key(&mut self) -> Option<u8> {
        let (key, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*key)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (index, byte) in self.rest.iter().take(9).enumerate() {
            value |= u64::from(byte & 0x7f) << (index * 7);
            if *byte < 0x80 {
                self.rest = &self.rest[index + 1..];
                return Some(value);
            }
        }
        // Cut short, or the tenth byte of a negative number.
        None
    }

    fn fixed64(&mut self) -> Option<u64> {
        let (bytes, rest) = self.rest.split_first_chunk::<8>()?;
        self.rest = rest;
        Some(u64::from_le_bytes(*bytes))
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(bytes)
    }
}

#[cfg(test)]
mod tests {
    use contracts::records::{ExpectedSource, MovementLine, Rejected, SourceMark};
    use proptest::prelude::*;

    use super::*;

    fn any_line() -> impl Strategy<Value = MovementLine> {
        let quantity = prop_oneof![-100_000_i64..100_000, any::<i64>()];
        (any::<u32>(), -1_i32..13, quantity).prop_map(|(sku, kind, quantity)| MovementLine {
            sku,
            kind,
            quantity,
        })
    }

    fn any_movement() -> impl Strategy<Value = Movement> {
        let location = prop_oneof!["[SW][0-9]{4}", "[SWX][0-9]{0,6}", "\\PC{0,3}"];
        let wide = prop_oneof![0_u64..20_000, any::<u64>()];
        (
            (
                location,
                -1_i32..5,
                prop_oneof![0_u32..70, any::<u32>()],
                any::<u32>(),
                wide,
            ),
            any::<[i64; 2]>(),
            (any::<[u64; 2]>(), any::<bool>()),
            proptest::collection::vec(any_line(), 0..12),
            proptest::option::weighted(0.2, any_said()),
        )
            .prop_map(|(id, times, others, lines, said)| Movement {
                location: id.0,
                source_kind: id.1,
                source_unit: id.2,
                business_day: id.3,
                number: id.4,
                occurred_ms: times[0],
                due_ms: times[1],
                content_hash: others.0[0],
                despatch_advice: others.0[1],
                put_back: others.1,
                lines,
                ..said.unwrap_or_default()
            })
    }

    fn any_said() -> impl Strategy<Value = Movement> {
        let source = (
            -1_i32..5,
            prop_oneof![0_u32..70, any::<u32>()],
            any::<u32>(),
            any::<u64>(),
        );
        let sources = proptest::collection::vec(source, 0..4);
        (sources, 0_u8..4).prop_map(|(sources, what)| {
            let mut said = Movement::default();
            for (source_kind, source_unit, business_day, number) in sources {
                match what {
                    0 => said.expected.push(ExpectedSource {
                        source_kind,
                        source_unit,
                        first_number: number,
                    }),
                    1 => said.rejected = Some(Rejected::default()),
                    _ => said.marks.push(SourceMark {
                        source_kind,
                        source_unit,
                        business_day,
                        last_number: number,
                    }),
                }
            }
            said
        })
    }

    /// By the generated reader alone.
    fn slowly(payload: &[u8]) -> Result<(Content, Transaction), Invalid> {
        let movement = Movement::decode(payload).map_err(|_| Invalid("the record is no Movement"))?;
        let mut transaction = Transaction::default();
        let content = transaction.set(&movement)?;
        Ok(kept(content, transaction))
    }

    /// Beside a statement the buffers mean nothing.
    fn kept(content: Content, transaction: Transaction) -> (Content, Transaction) {
        let transaction = if content == Content::Transaction {
            transaction
        } else {
            Transaction::default()
        };
        (content, transaction)
    }

    fn quickly(payload: &[u8]) -> Result<(Content, Transaction), Invalid> {
        let mut transaction = Transaction {
            lines: vec![
                Line {
                    sku: 1,
                    kind: MovementKind::Sold,
                    quantity: 1
                };
                3
            ],
            due_ms: 77,
            ..Transaction::default()
        };
        let content = transaction.read(payload)?;
        Ok(kept(content, transaction))
    }

    #[test]
    fn a_usual_movement_goes_the_short_way() {
        let movement = Movement {
            location: "S0042".into(),
            source_kind: SourceKind::Till as i32,
            source_unit: 3,
            business_day: 20_528,
            number: 9_999,
            occurred_ms: 1_741_944_413_000,
            due_ms: 1_741_944_413_001,
            content_hash: u64::MAX,
            despatch_advice: 0,
            lines: vec![MovementLine {
                sku: 100_234,
                kind: MovementKind::CountedFloor as i32,
                quantity: -3_000,
            }],
            ..Movement::default()
        };
        let mut transaction = Transaction::default();
        assert_eq!(
            transaction.read_usual(&movement.encode_to_vec()),
            Some(()),
            "nothing is unusual"
        );
        assert_eq!(
            slowly(&movement.encode_to_vec()),
            Ok((Content::Transaction, transaction))
        );
    }

    #[test]
    fn what_is_said_of_sources_is_no_transaction_and_nothing_else() {
        let mark = Movement {
            location: "S0042".into(),
            occurred_ms: 5,
            due_ms: 6,
            marks: vec![SourceMark {
                source_kind: SourceKind::Till as i32,
                source_unit: 3,
                business_day: 20_528,
                last_number: 7,
            }],
            ..Movement::default()
        };
        let source = SourceId::till(LocationId::store(42), 3);
        let statement = Statement {
            location: LocationId::store(42),
            due_ms: 6,
            said: crate::statement::Said::Mark {
                clock_ms: 5,
                sources: vec![(source, 20_528, 7)],
            },
        };
        let read = quickly(&mark.encode_to_vec()).expect("valid");
        assert_eq!(read.0, Content::Statement(Box::new(statement)));
        let as_receipt = Movement {
            source_kind: SourceKind::Till as i32,
            ..mark.clone()
        };
        let twofold = Movement {
            rejected: Some(Rejected::default()),
            ..mark.clone()
        };
        let nameless = Movement {
            marks: vec![SourceMark::default()],
            ..mark
        };
        for (movement, said) in [
            (as_receipt, "transaction"),
            (twofold, "several things"),
            (nameless, "kind"),
        ] {
            let error = quickly(&movement.encode_to_vec()).expect_err("invalid");
            assert!(error.to_string().contains(said), "{error}");
        }
    }

    #[test]
    fn what_is_invalid_is_said() {
        let line = |kind: MovementKind, quantity| MovementLine {
            sku: 1,
            kind: kind as i32,
            quantity,
        };
        let movement = |line| Movement {
            location: "S0042".into(),
            source_kind: SourceKind::Till as i32,
            lines: vec![line],
            ..Movement::default()
        };
        for (movement, said) in [
            (Movement::default(), "location"),
            (movement(line(MovementKind::Unspecified, 1)), "kind"),
            (
                movement(line(MovementKind::Sold, -LINE_QUANTITY_MAX - 1)),
                "quantity",
            ),
            (movement(line(MovementKind::CountedFloor, i64::MIN)), "quantity"),
        ] {
            let error = quickly(&movement.encode_to_vec()).expect_err("invalid");
            assert!(error.to_string().contains(said), "{error}");
        }
        assert_eq!(quickly(&[0x0a, 0xff]), Err(Invalid("the record is no Movement")));
    }

    proptest! {
        #[test]
        fn both_readers_agree_on_any_movement(movement in any_movement()) {
            let payload = movement.encode_to_vec();
            prop_assert_eq!(quickly(&payload), slowly(&payload));
        }

        #[test]
        fn both_readers_agree_on_damaged_bytes(
            movement in any_movement(), at in any::<prop::sample::Index>(), byte in any::<u8>(), cut in any::<bool>()
        ) {
            let mut payload = movement.encode_to_vec();
            if !payload.is_empty() {
                let at = at.index(payload.len());
                if cut { payload.truncate(at) } else { payload[at] = byte }
            }
            prop_assert_eq!(quickly(&payload), slowly(&payload));
        }

        #[test]
        fn both_readers_agree_on_random_bytes(payload in proptest::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(quickly(&payload), slowly(&payload));
        }
    }
}
