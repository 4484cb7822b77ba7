//! Bugs to plant: each is one rule of the protocol broken, and the model must find where that leads.

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plant {
    /// A flush goes on, and commits, without waiting for what it sent.
    CommitBeforeAcknowledge,
    /// A restore takes the last record of a key and knows no epochs.
    LastWriteWinsRestore,
    /// A revoked owner leaves behind what it has given to its client.
    NoPurgeOnRevoke,
    WindowsBeforeCells,
    /// Windows are those of the moment when they are sent, not those of the cut.
    LiveWindow,
    /// The key of a barrier has no epoch, so compaction keeps the last one only.
    OneBarrierKey,
    /// A rebuilding owner flushes below what it found.
    RebuildFlushesEarly,
    /// Restore and rebuild go on from what the group committed.
    ReplayFromCommit,
    /// A record gets the epoch that its instance has when it is sent.
    EpochAtSend,
    /// A restore ends at the end that it found before it set its barrier.
    RestoreEndsAtEof,
    /// Of two lines of one article the second is taken for a replay.
    SecondLineSkipped,
    /// A restore does not look at what lies behind its own barrier.
    BlindBehindBarrier,
    /// The key of a barrier has the epoch but not the owner.
    BarrierKeyWithoutOwner,
    /// An assigned owner that met a higher barrier does not acquire anew.
    NoNewAcquisition,
    /// Cells may be ahead of the cut whose digest the intent gives.
    LiveCells,
    /// A living owner does not count what lies between its heads.
    NoRepair,
    /// A restoring owner does not mind zombies' records.
    NoRebuild,
}

impl Plant {
    pub const ALL: [Self; 17] = [
        Self::CommitBeforeAcknowledge,
        Self::LastWriteWinsRestore,
        Self::NoPurgeOnRevoke,
        Self::WindowsBeforeCells,
        Self::LiveWindow,
        Self::OneBarrierKey,
        Self::RebuildFlushesEarly,
        Self::ReplayFromCommit,
        Self::EpochAtSend,
        Self::RestoreEndsAtEof,
        Self::SecondLineSkipped,
        Self::BlindBehindBarrier,
        Self::BarrierKeyWithoutOwner,
        Self::NoNewAcquisition,
        Self::LiveCells,
        Self::NoRepair,
        Self::NoRebuild,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Self::CommitBeforeAcknowledge => "commit before acknowledge",
            Self::LastWriteWinsRestore => "last-write-wins restore",
            Self::NoPurgeOnRevoke => "no purge on revoke",
            Self::WindowsBeforeCells => "windows before cells",
            Self::LiveWindow => "live window serialised",
            Self::OneBarrierKey => "one barrier key for all epochs",
            Self::RebuildFlushesEarly => "rebuild that flushes early",
            Self::ReplayFromCommit => "replay from the group's commit",
            Self::EpochAtSend => "epoch read at send time",
            Self::RestoreEndsAtEof => "restore that ends at EOF",
            Self::SecondLineSkipped => "second line of a SKU skipped",
            Self::BlindBehindBarrier => "blind behind the own barrier",
            Self::BarrierKeyWithoutOwner => "barrier key without owner",
            Self::NoNewAcquisition => "no new acquisition",
            Self::LiveCells => "live cells under a digest",
            Self::NoRepair => "no repair",
            Self::NoRebuild => "no rebuild",
        }
    }
}
