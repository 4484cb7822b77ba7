//! One direction of one connection.

use std::sync::atomic::Ordering;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::{Direction, End, Fault, Shared};

const PIECE: usize = 16 << 10;
/// Pieces that one direction of a connection holds at most.
const HELD: usize = 64;

struct Piece {
    arrived: Instant,
    bytes: Vec<u8>,
}

/// How much of a piece goes on, and what comes after it.
struct Pass {
    bytes: usize,
    end: Option<End>,
}

/// Passes bytes on until the sender's end, which is passed on too.
pub async fn run(
    direction: Direction,
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    shared: &Shared,
) -> Result<(), End> {
    let (into, out) = mpsc::channel(HELD);
    futures_util::future::try_join(
        read(direction, from, into, shared),
        write(direction, out, to, shared),
    )
    .await
    .map(|_| ())
}

/// A sender that broke off is passed on as what it was.
async fn read(
    direction: Direction,
    mut from: ReadHalf<'_>,
    into: mpsc::Sender<Piece>,
    shared: &Shared,
) -> Result<(), End> {
    let held = &shared.counts(direction).held;
    loop {
        let mut bytes = vec![0; PIECE];
        let count = from.read(&mut bytes).await.map_err(|_| End::Reset)?;
        if count == 0 {
            return Ok(());
        }
        bytes.truncate(count);
        held.fetch_add(count as u64, Ordering::AcqRel);
        let arrived = Instant::now();
        if into.send(Piece { arrived, bytes }).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    direction: Direction,
    mut out: mpsc::Receiver<Piece>,
    mut to: WriteHalf<'_>,
    shared: &Shared,
) -> Result<(), End> {
    let counts = shared.counts(direction);
    while let Some(piece) = out.recv().await {
        let pass = pass(direction, &piece, shared).await;
        to.write_all(&piece.bytes[..pass.bytes])
            .await
            .map_err(|_| End::Reset)?;
        counts.held.fetch_sub(piece.bytes.len() as u64, Ordering::AcqRel);
        counts.passed.fetch_add(pass.bytes as u64, Ordering::AcqRel);
        if let Some(end) = pass.end {
            return Err(end);
        }
    }
    // The end of the bytes waits as they do.
    let end = Piece {
        arrived: Instant::now(),
        bytes: Vec::new(),
    };
    pass(direction, &end, shared).await;
    // A peer that is gone already needs no end.
    let _ = to.shutdown().await;
    Ok(())
}

/// Waits until a piece may go on.
async fn pass(direction: Direction, piece: &Piece, shared: &Shared) -> Pass {
    let mut settings = shared.settings.subscribe();
    loop {
        let fault = settings.borrow_and_update().get(direction);
        match fault {
            Fault::None => {
                return Pass {
                    bytes: piece.bytes.len(),
                    end: None,
                };
            }
            Fault::Delay(delay) => {
                tokio::select! {
                    () = tokio::time::sleep_until(piece.arrived + delay) => {
                        return Pass { bytes: piece.bytes.len(), end: None };
                    }
                    // Another fault, or none, is for what waits here too.
                    _ = settings.changed() => {}
                }
            }
            Fault::BlackHole => {
                // The sender of settings lives as long as `shared`.
                let _ = settings.changed().await;
            }
            Fault::CutAfter(_) | Fault::ResetAfter(_) => {
                if let Some(pass) = spend(direction, piece.bytes.len(), shared) {
                    return pass;
                }
            }
        }
    }
}

/// Takes a piece off the bytes that are left until the cut. `None`: another connection has used it up meanwhile.
fn spend(direction: Direction, bytes: usize, shared: &Shared) -> Option<Pass> {
    let mut pass = None;
    shared.settings.send_if_modified(|settings| {
        let fault = settings.of(direction);
        let (left, end) = match *fault {
            Fault::CutAfter(left) => (left, End::Cut),
            Fault::ResetAfter(left) => (left, End::Reset),
            _ => return false,
        };
        if bytes as u64 <= left {
            let left = left - bytes as u64;
            *fault = match end {
                End::Cut => Fault::CutAfter(left),
                End::Reset => Fault::ResetAfter(left),
            };
            pass = Some(Pass { bytes, end: None });
        } else {
            *fault = Fault::None;
            pass = Some(Pass {
                bytes: left as usize,
                end: Some(end),
            });
        }
        // Nobody waits for this: a piece that finds the cut spent asks again.
        false
    });
    pass
}
