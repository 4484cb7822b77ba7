//! What a step of simulated time brings: bytes as the sources write them, and beside them the facts.
//!
//! Bytes and facts of a place lie in three flat buffers, so that a step costs a few allocations a place.

use std::ops::Range;

use contracts::ids::{LocationId, TimeMs, TransactionId};
use contracts::records::PaperKind;
use contracts::wire::mqmd::Descriptor;
use ledger::Line;

/// The way that a message takes into the enterprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Channel {
    /// Of a till: a 4690 receipt, one transaction a message; or a POSLog document, one or more transactions of one till.
    Till,
    /// A warehouse's queue record: copybook, one transaction a message; behind its message descriptor, where it is
    /// configured so.
    Queue,
    /// An EPCIS document: one or more events, each a transaction.
    Scan,
}

/// One message as its source writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub at: TimeMs,
    pub channel: Channel,
    /// The header `format`.
    pub format: &'static str,
    /// Into [`PlaceEvents::bytes`].
    pub bytes: Range<u32>,
    /// Into [`PlaceEvents::transactions`].
    pub transactions: Range<u32>,
    /// It says something that the next one says again, or the other way round: which of the two counts is decided by their order,
    /// so sources neither lose it nor send it late.
    pub keeps_order: bool,
}

/// What a transaction did, for the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    pub id: TransactionId,
    /// By its source's clock: at its message's instant, or before.
    pub at: TimeMs,
    /// Into [`PlaceEvents::lines`].
    pub lines: Range<u32>,
}

/// A transaction is a paper of a delivery too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaperFact {
    /// Into [`PlaceEvents::transactions`].
    pub transaction: u32,
    pub despatch_advice: u64,
    pub kind: PaperKind,
    /// As [`ledger::TruePaper`] has it.
    pub group: Option<(u32, bool)>,
    /// Into [`PlaceEvents::confirmed`], of a paper that moves nothing; `None`: its lines are the transaction's.
    pub confirmed: Option<Range<u32>>,
}

/// All that one place brings in a step, ascending by time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlaceEvents {
    pub messages: Vec<Message>,
    pub transactions: Vec<Transaction>,
    pub lines: Vec<Line>,
    pub bytes: Vec<u8>,
    /// Of a warehouse: what its queue manager says of each message.
    pub descriptors: Vec<Descriptor>,
    /// Ascending by transaction.
    pub papers: Vec<PaperFact>,
    /// What papers say that move nothing.
    pub confirmed: Vec<Line>,
    /// Transactions that are a beep too many: they repeat a scan of their message or of the one before, and move nothing.
    /// Ascending.
    pub beeps: Vec<u32>,
    /// Transactions of a correction that was made before, under other numbers: they move nothing. Ascending.
    pub corrections_again: Vec<u32>,
}

impl PlaceEvents {
    /// Gives back the room that its buffers have too much, which is up to half of it.
    pub fn shrink_to_fit(&mut self) {
        self.messages.shrink_to_fit();
        self.transactions.shrink_to_fit();
        self.lines.shrink_to_fit();
        self.bytes.shrink_to_fit();
    }

    pub fn bytes_of(&self, message: &Message) -> &[u8] {
        &self.bytes[message.bytes.start as usize..message.bytes.end as usize]
    }

    pub fn transactions_of(&self, message: &Message) -> &[Transaction] {
        &self.transactions[message.transactions.start as usize..message.transactions.end as usize]
    }

    /// Papers among the transactions of a message.
    pub fn papers_of(&self, message: &Message) -> &[PaperFact] {
        let before = |end: u32| self.papers.partition_point(|paper| paper.transaction < end);
        &self.papers[before(message.transactions.start)..before(message.transactions.end)]
    }

    /// What a paper says of its delivery.
    pub fn lines_of_paper(&self, paper: &PaperFact) -> &[Line] {
        match &paper.confirmed {
            Some(range) => &self.confirmed[range.start as usize..range.end as usize],
            None => self.lines_of(&self.transactions[paper.transaction as usize]),
        }
    }

    /// How many transactions of a message are a beep too many.
    pub fn beeps_of(&self, message: &Message) -> usize {
        among(&self.beeps, message)
    }

    /// How many transactions of a message make a correction again.
    pub fn corrections_again_of(&self, message: &Message) -> usize {
        among(&self.corrections_again, message)
    }

    pub fn lines_of(&self, transaction: &Transaction) -> &[Line] {
        &self.lines[transaction.lines.start as usize..transaction.lines.end as usize]
    }
}

/// How many of some transactions, ascending, are of a message.
fn among(transactions: &[u32], message: &Message) -> usize {
    let before = |end: u32| transactions.partition_point(|one| *one < end);
    before(message.transactions.end) - before(message.transactions.start)
}

/// A step of simulated time: `from` inclusive, `until` exclusive.
#[derive(Clone, Debug)]
pub struct Step {
    pub from: TimeMs,
    pub until: TimeMs,
    /// One for each place, in the order of `World::places`.
    pub places: Vec<PlaceEvents>,
}

/// A place of Acme.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    pub location: LocationId,
    /// 1, 2 or 3: which of the data centres serves it.
    pub data_centre: u8,
    /// Such as `north-2`: what a scenario names to reach many stores at once.
    pub region: String,
    /// For people: `Leeds Market Street`.
    pub name: String,
    /// 0 for a warehouse.
    pub tills: u16,
    /// Scanners; 0 for a warehouse.
    pub readers: u16,
}

/// Where a message begins in the buffers of its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    bytes: u32,
    transactions: u32,
}

impl PlaceEvents {
    /// Room for so many receipts of a usual size.
    pub(crate) fn reserve(&mut self, receipts: usize) {
        self.messages.reserve(receipts);
        self.transactions.reserve(receipts);
        self.lines.reserve(receipts * 11);
        self.bytes.reserve(receipts * 460);
    }

    pub(crate) fn clear(&mut self) {
        self.messages.clear();
        self.transactions.clear();
        self.lines.clear();
        self.bytes.clear();
        self.descriptors.clear();
        self.papers.clear();
        self.confirmed.clear();
        self.beeps.clear();
        self.corrections_again.clear();
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark {
            bytes: self.bytes.len() as u32,
            transactions: self.transactions.len() as u32,
        }
    }

    /// Makes the lines since the last transaction one more, and tells their count.
    pub(crate) fn transaction(&mut self, id: TransactionId, at: TimeMs) -> usize {
        let start = self.transactions.last().map_or(0, |last| last.lines.end);
        let end = self.lines.len() as u32;
        self.transactions.push(Transaction {
            id,
            at,
            lines: start..end,
        });
        (end - start) as usize
    }

    /// The last transaction is a paper of a delivery.
    pub(crate) fn paper(&mut self, despatch_advice: u64, kind: PaperKind) -> &mut PaperFact {
        self.papers.push_mut(PaperFact {
            transaction: self.transactions.len() as u32 - 1,
            despatch_advice,
            kind,
            group: None,
            confirmed: None,
        })
    }

    /// The last transaction is a paper of a delivery, and moves nothing of what it says.
    pub(crate) fn confirm(&mut self, despatch_advice: u64, kind: PaperKind, lines: &[Line]) {
        let start = self.confirmed.len() as u32;
        self.confirmed.extend_from_slice(lines);
        let end = self.confirmed.len() as u32;
        self.paper(despatch_advice, kind).confirmed = Some(start..end);
    }

    /// Makes what was written since the mark a message.
    pub(crate) fn close(&mut self, mark: Mark, at: TimeMs, channel: Channel, format: &'static str) {
        self.messages.push(Message {
            at,
            channel,
            format,
            bytes: mark.bytes..self.bytes.len() as u32,
            transactions: mark.transactions..self.transactions.len() as u32,
            keeps_order: false,
        });
    }

    /// The last so many messages stay in their order.
    pub(crate) fn keep_order(&mut self, messages: usize) {
        let first = self.messages.len().saturating_sub(messages);
        for message in &mut self.messages[first..] {
            message.keeps_order = true;
        }
    }

    /// Adds what was written elsewhere as one message, and empties it there.
    pub(crate) fn take(&mut self, from: &mut Self, at: TimeMs, channel: Channel, format: &'static str) {
        let mark = self.mark();
        let lines = self.lines.len() as u32;
        let (transactions, confirmed) = (self.transactions.len() as u32, self.confirmed.len() as u32);
        self.confirmed.extend_from_slice(&from.confirmed);
        self.papers.extend(from.papers.drain(..).map(|paper| {
            PaperFact {
                transaction: paper.transaction + transactions,
                confirmed: paper
                    .confirmed
                    .map(|range| range.start + confirmed..range.end + confirmed),
                ..paper
            }
        }));
        self.bytes.extend_from_slice(&from.bytes);
        self.lines.extend_from_slice(&from.lines);
        self.transactions
            .extend(from.transactions.iter().map(|transaction| Transaction {
                lines: transaction.lines.start + lines..transaction.lines.end + lines,
                ..transaction.clone()
            }));
        self.close(mark, at, channel, format);
        from.clear();
    }
}
