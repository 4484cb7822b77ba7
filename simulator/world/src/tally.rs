//! What happened so far, counted by the way it was written.

/// Transactions and their lines of stock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub transactions: u64,
    pub lines: u64,
}

impl Counts {
    pub(crate) fn add(&mut self, lines: usize) {
        self.transactions += 1;
        self.lines += lines as u64;
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.transactions += other.transactions;
        self.lines += other.lines;
    }
}

/// How the events of the world so far split over the channels. The opening counts stand apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Split {
    pub till: Counts,
    pub queue: Counts,
    pub scan: Counts,
    pub opening: Counts,
    /// Thousandths that people wanted and the floor did not have.
    pub lost_sales: u64,
}
