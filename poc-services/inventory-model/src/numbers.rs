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

/// Every number that may come next, behind every highest number of a whole turn: how many were tried, and the first
/// that is misplaced.
pub fn misplaced(modulus: u64) -> (usize, Option<Misplaced>) {
    let mut tried = 0;
    for highest in TILL_NUMBER_MAX..2 * TILL_NUMBER_MAX {
        for meant in highest - JUMP_MAX..=highest + JUMP_MAX {
            tried += 1;
            let raw = (meant - 1) % TILL_NUMBER_MAX + 1;
            let placed = place(raw, highest, modulus);
            if placed != meant {
                let misplaced = Misplaced {
                    highest,
                    meant,
                    placed,
                };
                return (tried, Some(misplaced));
            }
        }
    }
    (tried, None)
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
