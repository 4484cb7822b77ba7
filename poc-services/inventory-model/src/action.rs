//! Steps in words.

use std::fmt;

use crate::log::{KEYS, Record, key_name};
use crate::memory::Memory;

#[derive(Clone, Debug)]
pub struct Action {
    pub(crate) owner: usize,
    pub(crate) what: What,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum What {
    Assigned,
    AssignedAndChooses(u8),
    Chooses(u8),
    AppendsBarrier(u8),
    IsOutdone,
    Restores(Memory, u8),
    Tears(Memory, u8),
    Rebuilds(u8),
    AppendsLastHead(Record),
    Flushes(u8),
    Appends(u8, Record),
    Loses(u8),
    FindsNothing,
    FindsForeign(u8),
    Commits(u8),
    GivesBack,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "O{} ", self.owner + 1)?;
        match &self.what {
            What::Assigned => write!(f, "is assigned the partition"),
            What::AssignedAndChooses(epoch) => write!(
                f,
                "is assigned the partition, reads barriers and heads, chooses epoch {epoch}"
            ),
            What::Chooses(epoch) => write!(f, "reads barriers and heads, chooses epoch {epoch}"),
            What::AppendsBarrier(epoch) => write!(f, "appends barrier {epoch}"),
            What::IsOutdone => write!(
                f,
                "appends a barrier of an epoch that is taken by now, finds the other, has to choose again"
            ),
            What::Restores(memory, hold) => {
                write!(f, "restores {}, holds until {hold}", show(memory))
            }
            What::Tears(memory, hold) => write!(
                f,
                "restores {}, whose digest differs: rebuilds, holds until {hold}",
                show(memory)
            ),
            What::Rebuilds(hold) => write!(f, "finds a zombie's record: rebuilds, holds until {hold}"),
            What::AppendsLastHead(record) => write!(
                f,
                "appends head @{} (epoch {}), meets a higher barrier and drops the partition",
                record.at, record.epoch
            ),
            What::Flushes(cut) => write!(f, "applies up to {cut}, appends intent @{cut}"),
            What::Appends(key, record) => write!(
                f,
                "appends {} @{} (epoch {}) = {}{}",
                key_name(*key),
                record.at,
                record.epoch,
                show_content(*key, record.content),
                if record.is_zombie {
                    ", behind a higher barrier"
                } else {
                    ""
                }
            ),
            What::Loses(key) => write!(f, "loses {} on the way, unnoticed", key_name(*key)),
            What::FindsNothing => write!(f, "finds nothing between its heads that needs a repair"),
            What::FindsForeign(keys) => {
                let names: Vec<_> = (0..KEYS)
                    .filter(|key| keys >> key & 1 == 1)
                    .map(key_name)
                    .collect();
                write!(f, "finds a zombie's {}, writes again", names.join(", "))
            }
            What::Commits(cut) => write!(f, "commits {cut}"),
            What::GivesBack => write!(f, "gives the partition back"),
        }
    }
}

fn show(memory: &Memory) -> String {
    format!(
        "A={}@{} B={}@{} windows {}/{} next {}",
        show_content(0, memory.cells[0].value.into()),
        memory.cells[0].applied,
        show_content(1, memory.cells[1].value.into()),
        memory.cells[1].applied,
        show_content(2, memory.windows[0].numbers.into()),
        show_content(3, memory.windows[1].numbers.into()),
        memory.next
    )
}

/// "T0x2+T1x1" of a cell, "T0+T1" of a window.
fn show_content(key: u8, content: u32) -> String {
    let parts: Vec<String> = match key {
        0 | 1 => (0..3)
            .map(|number| (number, content >> (number * 3) & 7))
            .filter(|(_, count)| *count > 0)
            .map(|(number, count)| format!("T{number}x{count}"))
            .collect(),
        2 | 3 => (0..3)
            .filter(|number| content >> number & 1 == 1)
            .map(|number| format!("T{number}"))
            .collect(),
        _ => return "digest".into(),
    };
    if parts.is_empty() {
        "nothing".into()
    } else {
        parts.join("+")
    }
}
