//! When messages were due to be sent, and when their store's server took them, as the headers of a request say it.

use crate::answer::Refusal;

/// What a request says of the instants of its messages.
#[derive(Debug)]
pub struct Stamps {
    /// When they were due to be sent.
    pub intended: Instants,
    /// When the store's server took the last transaction of each, by its own clock.
    pub journaled: Instants,
}

/// One instant for all messages of a request, or one for each; as the headers `intended-at` and `journaled-at` have them.
#[derive(Debug, PartialEq, Eq)]
pub struct Instants(pub Vec<i64>);

impl Instants {
    pub fn parse(name: &str, header: Option<&str>) -> Result<Self, Refusal> {
        let Some(text) = header else {
            return Ok(Self(Vec::new()));
        };
        text.split(',')
            .map(|part| part.trim().parse().ok().filter(|ms| *ms >= 0))
            .collect::<Option<Vec<i64>>>()
            .map(Self)
            .ok_or_else(|| Refusal::Bad(format!("{name}: unix milliseconds, one for all or one a message")))
    }

    /// The Kafka timestamp of the receipt at `index`. Unknown (none, or 0) is `None`, which Kafka's client makes the
    /// instant of sending: older than retention must no message be that nobody has read.
    pub fn of(&self, index: usize, receipts: usize) -> Option<i64> {
        let known = match self.0.as_slice() {
            [] => None,
            [one] => Some(*one),
            each if each.len() == receipts => Some(each[index]),
            // Framing is broken, so it cannot be told whose is whose: the earliest makes nobody look better.
            each => each.iter().min().copied(),
        };
        known.filter(|ms| *ms > 0)
    }

    /// The instant of the receipt at `index`, and nobody else's.
    pub fn each(&self, index: usize, receipts: usize) -> Option<i64> {
        match self.0.as_slice() {
            [one] => Some(*one),
            each if each.len() == receipts => each.get(index).copied(),
            _ => None,
        }
    }
}

/// When the gateway took a request, by its own clock.
pub struct Received {
    pub ms: i64,
    pub text: String,
}

impl Received {
    pub fn now() -> Self {
        let ms = backbone::wall_ms();
        Self {
            ms,
            text: ms.to_string(),
        }
    }
}

/// The instants of one message.
pub struct Times<'a> {
    pub due_ms: Option<i64>,
    pub journaled_ms: Option<i64>,
    pub received: &'a Received,
}

impl<'a> Times<'a> {
    /// Of what is alone in its request, and was in no journal of tills.
    pub fn of(intended: &Instants, received: &'a Received) -> Self {
        Self {
            due_ms: intended.of(0, 1),
            journaled_ms: None,
            received,
        }
    }

    /// What has come was due: whose clock says otherwise is ahead, and neither Kafka nor what is compared with other places may
    /// have the instant from it.
    pub fn timestamp_ms(&self) -> Option<i64> {
        self.due_ms.map(|due| due.min(self.received.ms))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intended_instants_are_one_for_all_or_one_a_receipt() {
        let intended = Instants::parse("intended-at", Some("10, 20,30")).expect("valid");
        assert_eq!(intended.of(1, 3), Some(20));
        assert_eq!(intended.of(1, 2), Some(10), "the earliest when framing is broken");
        assert_eq!(
            Instants::parse("intended-at", Some("7")).expect("valid").of(4, 9),
            Some(7)
        );
        assert_eq!(
            Instants::parse("intended-at", Some("0")).expect("valid").of(0, 1),
            None
        );
        assert_eq!(
            Instants::parse("intended-at", None).expect("valid").of(0, 1),
            None
        );
        assert_eq!(intended.each(1, 3), Some(20));
        assert_eq!(intended.each(1, 2), None, "nobody else's is taken for it");
        for wrong in ["", "x", "1,", "-1", "1;2"] {
            assert!(Instants::parse("intended-at", Some(wrong)).is_err(), "{wrong}");
        }
    }
}
