//! A till's numbers run from 1 to 9,999 and begin again: is each number placed where the till meant it?

/// What a till counts to.
const TILL_NUMBER_MAX: u64 = 9_999;
/// Beyond half of that a jump could as well be one backwards.
const JUMP_MAX: u64 = TILL_NUMBER_MAX / 2;

/// A number that is not placed where the till meant it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Misplaced {
    pub highest: u64,
    pub meant: u64,
    pub placed: u64,
}

/// Every number that may come next, behind every highest number of a whole turn.
pub fn misplaced(modulus: u64) -> Option<Misplaced> {
    (TILL_NUMBER_MAX..2 * TILL_NUMBER_MAX).find_map(|highest| {
        (highest - JUMP_MAX..=highest + JUMP_MAX).find_map(|meant| {
            let raw = (meant - 1) % TILL_NUMBER_MAX + 1;
            let placed = place(raw, highest, modulus);
            (placed != meant).then_some(Misplaced {
                highest,
                meant,
                placed,
            })
        })
    })
}

/// The nearest number to the highest one that is written like this.
fn place(raw: u64, highest: u64, modulus: u64) -> u64 {
    let below = raw + highest.saturating_sub(raw) / modulus * modulus;
    let above = below + modulus;
    if highest.abs_diff(below) <= highest.abs_diff(above) {
        below
    } else {
        above
    }
}
