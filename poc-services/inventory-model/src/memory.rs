//! What an owner counts: two cells, two windows, and the pure function from a prefix of the input to both.
//!
//! A value is a count of lines per transaction, so that lost, doubled and stale can be told apart.

/// One message of the input. Repeats have the number of what they repeat.
#[derive(Clone, Copy, Debug)]
pub struct Transaction {
    /// 0 to 2.
    pub number: u8,
    /// 0 or 1; the source's window keeps its numbers.
    pub source: u8,
    /// The cell of each line: 0 or 1.
    pub lines: &'static [u8],
}

/// All messages, in the order of the input.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    pub name: &'static str,
    pub log: &'static [Transaction],
}

const fn transaction(number: u8, source: u8, lines: &'static [u8]) -> Transaction {
    Transaction {
        number,
        source,
        lines,
    }
}

/// Three messages: two transactions from two sources over both cells, two lines of one cell in the first, then its repeat.
pub const REPEAT_LAST: Input = Input {
    name: "T0(A,A,B) T1(A,B) T0 again",
    log: &[
        transaction(0, 0, &[0, 0, 1]),
        transaction(1, 1, &[0, 1]),
        transaction(0, 0, &[0, 0, 1]),
    ],
};

/// The repeat comes first, and the second transaction touches one cell only.
pub const REPEAT_FIRST: Input = Input {
    name: "T0(A,B) T0 again T1(B,B)",
    log: &[
        transaction(0, 0, &[0, 1]),
        transaction(0, 0, &[0, 1]),
        transaction(1, 1, &[1, 1]),
    ],
};

/// Three transactions and a repeat.
pub const FOUR: Input = Input {
    name: "T0(A,A,B) T1(A) T0 again T2(B,A)",
    log: &[
        transaction(0, 0, &[0, 0, 1]),
        transaction(1, 1, &[0]),
        transaction(0, 0, &[0, 0, 1]),
        transaction(2, 0, &[1, 0]),
    ],
};

impl Input {
    pub const fn end(&self) -> u8 {
        self.log.len() as u8
    }

    /// The truth: what lies below an offset.
    pub fn prefix(&self, end: u8) -> Memory {
        let mut memory = Memory::default();
        memory.replay(self, end, SecondLine::Counts);
        memory
    }
}

/// What a second line of the same cell does; only a planted bug skips it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondLine {
    Counts,
    Skipped,
}

/// Lines applied per transaction, 3 bits each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cell {
    pub value: u16,
    /// Every message below it is in.
    pub applied: u8,
}

impl Cell {
    fn add(&mut self, number: u8) {
        let shift = number * 3;
        if self.value >> shift & 7 < 7 {
            self.value += 1 << shift;
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Window {
    /// A bit per transaction that is in.
    pub numbers: u8,
    /// Offsets below it are in, as it was restored.
    pub cut: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Memory {
    /// Next offset of the input.
    pub next: u8,
    pub cells: [Cell; 2],
    pub windows: [Window; 2],
}

impl Memory {
    /// Takes the messages from `next` to an offset.
    pub fn replay(&mut self, input: &Input, end: u8, second_line: SecondLine) {
        for offset in self.next..end {
            self.take(&input.log[offset as usize], offset, second_line);
        }
        self.next = self.next.max(end);
        for window in &mut self.windows {
            // Nothing that comes is below it.
            if window.cut <= self.next {
                window.cut = 0;
            }
        }
    }

    fn take(&mut self, transaction: &Transaction, offset: u8, second_line: SecondLine) {
        let window = &mut self.windows[transaction.source as usize];
        if offset < window.cut || window.numbers >> transaction.number & 1 == 1 {
            return;
        }
        window.numbers |= 1 << transaction.number;
        let before = self.cells.map(|cell| cell.applied);
        for line in transaction.lines {
            let cell = &mut self.cells[*line as usize];
            let compared = match second_line {
                SecondLine::Counts => before[*line as usize],
                SecondLine::Skipped => cell.applied,
            };
            if compared <= offset {
                cell.add(transaction.number);
                cell.applied = offset + 1;
            }
        }
    }

    /// Which cells (bits 0, 1) and windows (bits 2, 3) hold something else.
    pub fn changed_since(&self, before: &Self) -> u8 {
        let mut changed = 0;
        for index in 0..2 {
            changed |= u8::from(self.cells[index] != before.cells[index]) << index;
            let numbers = self.windows[index].numbers != before.windows[index].numbers;
            changed |= u8::from(numbers) << (2 + index);
        }
        changed
    }

    /// All of it, in 64 and 56 bits.
    pub fn words(&self) -> [u64; 2] {
        let [a, b] = self
            .cells
            .map(|cell| u64::from(cell.value) << 8 | u64::from(cell.applied));
        let [first, second] = self
            .windows
            .map(|window| u64::from(window.numbers) << 8 | u64::from(window.cut));
        [a << 32 | b, first << 32 | second << 16 | u64::from(self.next)]
    }

    /// All values and all windows, whoever computed them: a digest without collisions.
    pub fn digest(&self) -> u32 {
        u32::from(self.cells[0].value)
            | u32::from(self.cells[1].value) << 9
            | u32::from(self.windows[0].numbers) << 18
            | u32::from(self.windows[1].numbers) << 21
    }
}
