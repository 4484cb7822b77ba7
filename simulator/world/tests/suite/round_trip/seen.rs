//! What was seen in the tills' messages: everything that tills can write has to come.

use std::collections::BTreeMap;

use contracts::wire::tlog4690::{KeptKind, Receipt};

/// How often each thing was seen, by its name.
#[derive(Debug, Default)]
pub struct Seen(BTreeMap<String, u32>);

/// By generation, what its tills write.
const TILLS_4690: [&str; 18] = [
    "4690 void",
    "4690 record 03",
    "4690 record 04",
    "4690 record 06",
    "4690 record 08",
    "4690 record 10",
    "4690 record 11",
    "4690 record 16",
    "4690 record 20",
    "4690 record 21",
    "4690 record 98",
    "4690 record 99",
    "4690 fields behind 05",
    "4690 type 1",
    "4690 type 2",
    "4690 type 3",
    "copybook-037",
    "ibm-4690",
];
const TILLS_POSLOG: [&str; 40] = [
    "sale",
    "return",
    "return with link",
    "return ReturnToStock",
    "return WriteOff",
    "return Waste",
    "negative sale",
    "void",
    "post-void",
    "status Finished",
    "status Suspended",
    "status SuspendedRetrieved",
    "resumed",
    "training",
    "offline",
    "units KGM",
    "PLU",
    "item discount",
    "transaction discount",
    "tax",
    "loyalty",
    "coupon",
    "tenders 2",
    "tender void",
    "rounding",
    "change",
    "refund",
    "fee",
    "control BusinessSOD",
    "control POSSOD",
    "control TillSOD",
    "control OperatorSignOn",
    "control OperatorSignOff",
    "control NoSale",
    "control BusinessEOD",
    "InventoryLoss",
    "InventoryAdjustment",
    "InventoryCount",
    "Transfer",
    "several transactions",
];
const ONLY_6: [&str; 4] = [
    "ReceiveInventory",
    "void by link",
    "status Canceled",
    "post-void of an earlier document",
];
const ONLY_2: [&str; 2] = ["void by repetition", "cancelled"];

impl Seen {
    pub fn see(&mut self, what: String) {
        *self.0.entry(what).or_default() += 1;
    }

    pub fn assert_has_all(&self) {
        let of = |dialect: &'static str| move |what: &&str| format!("{dialect} {what}");
        let expected = TILLS_4690.iter().map(|what| (*what).to_owned());
        let expected = expected
            .chain(TILLS_POSLOG.iter().chain(&ONLY_6).map(of("V6")))
            .chain(TILLS_POSLOG.iter().chain(&ONLY_2).map(of("V2")));
        let missing: Vec<String> = expected.filter(|what| !self.0.contains_key(what)).collect();
        assert!(missing.is_empty(), "never seen: {missing:?}");
    }
}

/// Sum of the last packed fields of the records of a type.
pub fn kept_amounts(receipt: &Receipt, bytes: &[u8], record_type: u8) -> i64 {
    let of_type = receipt
        .kept
        .iter()
        .filter(|kept| kept.kind == KeptKind::Record(record_type));
    of_type
        .map(|kept| {
            let record = &bytes[kept.range.clone()];
            let field = record.rsplit(|byte| *byte == 0x3a).next().expect("a field");
            field
                .iter()
                .flat_map(|byte| [byte >> 4, byte & 15])
                .filter(|digit| *digit != 15)
                .fold(0, |value, digit| value * 10 + i64::from(digit))
        })
        .sum()
}
