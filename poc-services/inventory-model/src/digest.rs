//! What a cell keeps of the lines that it applied: how often may each have been applied, and is it told apart?

/// Transactions, each applied up to three times.
const TRANSACTIONS: u32 = 3;
const TIMES: u32 = 4;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    WrappingSum,
    Xor,
}

/// How often each transaction was applied.
pub type History = [u32; TRANSACTIONS as usize];

/// How many histories there are, and two of them that look the same.
pub fn confused(fold: Fold) -> (usize, Option<(History, History)>) {
    let histories: Vec<History> = (0..TIMES.pow(TRANSACTIONS)).map(history).collect();
    let pair = histories.iter().enumerate().find_map(|(index, one)| {
        let other = histories[index + 1..]
            .iter()
            .find(|other| digest(fold, **other) == digest(fold, *one));
        other.map(|other| (*one, *other))
    });
    (histories.len(), pair)
}

fn history(index: u32) -> History {
    [index % TIMES, index / TIMES % TIMES, index / TIMES / TIMES]
}

fn digest(fold: Fold, history: History) -> u64 {
    (0..).zip(history).fold(0, |digest: u64, (number, times)| {
        (0..times).fold(digest, |digest, _| match fold {
            Fold::WrappingSum => digest.wrapping_add(hash(number)),
            Fold::Xor => digest ^ hash(number),
        })
    })
}

fn hash(number: u64) -> u64 {
    let mut hash = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash ^ (hash >> 27)
}
