//! The lives of a service's clients, one after the other.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::BackboneError;

const PAUSE: Duration = Duration::from_millis(300);
const NAP: Duration = Duration::from_millis(20);

/// Begins a session, and another whenever one ends by an error that passes, until cancelled. Each begins from what was
/// committed, with new clients; `recover` is told before each but the first. Any other end is the service's. Blocks.
pub fn sessions(
    cancel: &CancellationToken,
    mut recover: impl FnMut(),
    mut session: impl FnMut() -> Result<(), BackboneError>,
) -> Result<(), BackboneError> {
    loop {
        match session() {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, "going on from the last commit");
                recover();
                let until = Instant::now() + PAUSE;
                while Instant::now() < until && !cancel.is_cancelled() {
                    std::thread::sleep(NAP);
                }
            }
            other => return other,
        }
        if cancel.is_cancelled() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passing() -> BackboneError {
        BackboneError::Delivery {
            failed: 1,
            first: String::new(),
        }
    }

    fn lasting() -> BackboneError {
        BackboneError::Refused {
            record: String::new(),
        }
    }

    /// How often it began and recovered, and whether it ended well.
    fn lives(cancel: &CancellationToken, ends: Vec<Result<(), BackboneError>>) -> (u32, u32, bool) {
        let (mut begun, mut recovered) = (0, 0);
        let mut ends = ends.into_iter();
        let result = sessions(
            cancel,
            || recovered += 1,
            || {
                begun += 1;
                ends.next().expect("no session more than these")
            },
        );
        (begun, recovered, result.is_ok())
    }

    #[test]
    fn what_passes_begins_anew_and_what_lasts_ends_the_service() {
        let cancel = CancellationToken::new();
        let ends = vec![Err(passing()), Err(passing()), Ok(())];
        assert_eq!(lives(&cancel, ends), (3, 2, true));
        assert_eq!(
            lives(&cancel, vec![Err(passing()), Err(lasting())]),
            (2, 1, false)
        );
        assert_eq!(lives(&cancel, vec![Ok(())]), (1, 0, true));
    }

    #[test]
    fn a_service_that_was_cancelled_begins_no_other_session() {
        let cancel = CancellationToken::new();
        cancel.cancel();
        assert_eq!(lives(&cancel, vec![Err(passing())]), (1, 1, true));
    }
}
