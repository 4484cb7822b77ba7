//! Bugs that a test build plants, to see that the tests would notice them.
//!
//! A build without the feature `plant` has none of them: what asks for a bug is a constant there. They are planted for a
//! thread, and for the threads that the service starts from it.

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(feature = "plant"), expect(dead_code, reason = "planted by tests alone"))]
pub enum Plant {
    CommitBeforeAcknowledge,
    LastWriteWins,
    NoPurgeOnRevoke,
    WindowsBeforeCells,
    LiveWindow,
    XorDigest,
    Modulus10000,
    OneBarrierKey,
    RebuildFlushesEarly,
    ReplayFromCommit,
    EpochAtSendTime,
    RestoreEndsAtEof,
    SecondLineSkipped,
}

#[cfg(not(feature = "plant"))]
mod planted {
    use super::Plant;

    pub const fn is(_: Plant) -> bool {
        false
    }

    pub const fn epoch(own: u32) -> u32 {
        own
    }

    pub const fn note_epoch(_: u32) {}

    pub const fn current() -> Option<Plant> {
        None
    }

    pub const fn inherit(_: Option<Plant>) {}
}

#[cfg(feature = "plant")]
mod planted {
    use std::cell::Cell;

    use super::Plant;

    thread_local! {
        static PLANTED: Cell<Option<Plant>> = const { Cell::new(None) };
        static NEWEST_EPOCH: Cell<u32> = const { Cell::new(0) };
    }

    pub fn is(plant: Plant) -> bool {
        PLANTED.get() == Some(plant)
    }

    /// The epoch that goes into a record: the owner's, or with the bug whatever is the newest when it is sent.
    pub fn epoch(own: u32) -> u32 {
        if is(Plant::EpochAtSendTime) {
            NEWEST_EPOCH.get().max(own)
        } else {
            own
        }
    }

    pub fn note_epoch(epoch: u32) {
        NEWEST_EPOCH.set(epoch);
    }

    pub fn current() -> Option<Plant> {
        PLANTED.get()
    }

    pub fn inherit(plant: Option<Plant>) {
        PLANTED.set(plant);
    }

    /// The bug is there for as long as this lives.
    #[derive(Debug)]
    pub struct Planted(());

    impl Planted {
        pub fn new(plant: Plant) -> Self {
            PLANTED.set(Some(plant));
            NEWEST_EPOCH.set(0);
            Self(())
        }
    }

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.set(None);
        }
    }
}

#[cfg(feature = "plant")]
pub use planted::Planted;
pub(crate) use planted::{current, epoch, inherit, is, note_epoch};
