//! The schedule: which wall instant a simulated instant falls on. Pure.
//!
//! Invariant: an instant that was mapped stays mapped; a change of pace holds for what is later than the change. The
//! schedule does not look at what the system does.

/// How fast simulated time goes by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Simulated seconds a second.
    Speed(f64),
    /// Till receipts a second, whatever the hour: the speed then follows from how many a step brings.
    Rate(f64),
    /// As fast as the system takes it; nothing is due at any instant.
    Unthrottled,
}

/// A line through (simulated, wall), in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Schedule {
    pace: Pace,
    simulated: f64,
    wall: f64,
    /// Simulated milliseconds a wall millisecond.
    speed: f64,
    /// What the current step brings.
    receipts_per_simulated_ms: f64,
    paused: bool,
}

impl Schedule {
    pub fn new(pace: Pace, simulated_ms: i64, wall_ms: f64) -> Self {
        let mut schedule = Self {
            pace,
            simulated: simulated_ms as f64,
            wall: wall_ms,
            speed: 1.0,
            receipts_per_simulated_ms: 0.0,
            paused: false,
        };
        schedule.speed = schedule.speed_of_step();
        schedule
    }

    fn speed_of_step(&self) -> f64 {
        match self.pace {
            Pace::Speed(speed) => speed,
            // A step without receipts takes no time.
            Pace::Rate(_) | Pace::Unthrottled if self.receipts_per_simulated_ms <= 0.0 => f64::INFINITY,
            Pace::Rate(rate) => rate / 1000.0 / self.receipts_per_simulated_ms,
            Pace::Unthrottled => f64::INFINITY,
        }
    }

    pub const fn pace(&self) -> Pace {
        self.pace
    }

    /// Wall instant when a simulated instant is due.
    pub fn due(&self, simulated_ms: i64) -> f64 {
        if self.speed.is_infinite() {
            return self.wall;
        }
        self.wall + (simulated_ms as f64 - self.simulated) / self.speed
    }

    /// Simulated time at a wall instant; a schedule that stands, stands.
    pub fn simulated(&self, wall_ms: f64) -> f64 {
        if self.paused {
            return self.simulated;
        }
        if self.speed.is_infinite() {
            return f64::INFINITY;
        }
        self.simulated + (wall_ms - self.wall).max(0.0) * self.speed
    }

    /// A step begins: the schedule goes on from where the step before ends, not from now.
    pub fn begin_step(&mut self, from_ms: i64, until_ms: i64, receipts: u64) {
        self.wall = self.due(from_ms);
        self.simulated = from_ms as f64;
        self.receipts_per_simulated_ms = receipts as f64 / (until_ms - from_ms).max(1) as f64;
        self.speed = self.speed_of_step();
    }

    fn anchor(&mut self, wall_ms: f64, until_ms: i64) {
        let now = self.simulated(wall_ms);
        self.simulated = if now.is_finite() {
            now.min(until_ms as f64)
        } else {
            self.simulated
        };
        self.wall = wall_ms;
    }

    /// Changes the pace from this instant on.
    pub fn set_pace(&mut self, pace: Pace, wall_ms: f64, until_ms: i64) {
        self.anchor(wall_ms, until_ms);
        self.pace = pace;
        self.speed = self.speed_of_step();
    }

    pub fn pause(&mut self, wall_ms: f64, until_ms: i64) {
        if !self.paused {
            self.anchor(wall_ms, until_ms);
            self.paused = true;
        }
    }

    pub fn resume(&mut self, wall_ms: f64) {
        if self.paused {
            self.paused = false;
            self.wall = wall_ms;
        }
    }

    pub const fn is_paused(&self) -> bool {
        self.paused
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_speed_maps_simulated_seconds_to_wall_seconds() {
        let schedule = Schedule::new(Pace::Speed(60.0), 1_000_000, 500.0);
        assert!((schedule.due(1_060_000) - 1_500.0).abs() < 1e-6);
        assert!((schedule.simulated(1_500.0) - 1_060_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_rate_spreads_the_receipts_of_a_step_over_their_time() {
        let mut schedule = Schedule::new(Pace::Rate(1_000.0), 0, 0.0);
        schedule.begin_step(0, 300_000, 5_000);
        assert!((schedule.due(300_000) - 5_000.0).abs() < 1e-6);
        schedule.begin_step(300_000, 600_000, 10_000);
        assert!((schedule.due(600_000) - 15_000.0).abs() < 1e-6);
    }

    #[test]
    fn a_pause_moves_what_is_not_yet_due_by_its_length() {
        let mut schedule = Schedule::new(Pace::Speed(1.0), 0, 0.0);
        schedule.pause(1_000.0, 300_000);
        assert!((schedule.simulated(9_000.0) - 1_000.0).abs() < 1e-6);
        schedule.resume(9_000.0);
        assert!((schedule.due(2_000) - 10_000.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn due_instants_never_go_backwards_whatever_changes(
            changes in proptest::collection::vec((1.0_f64..500.0, 0.1_f64..10_000.0), 1..20)
        ) {
            let mut schedule = Schedule::new(Pace::Speed(10.0), 0, 0.0);
            let mut wall = 0.0;
            let mut latest = 0.0_f64;
            for (elapsed, speed) in changes {
                wall += elapsed;
                let simulated = schedule.simulated(wall).min(300_000.0);
                let due = schedule.due(simulated as i64);
                prop_assert!(due + 1e-3 >= latest, "{due} before {latest}");
                latest = latest.max(due.min(wall));
                schedule.set_pace(Pace::Speed(speed), wall, 300_000);
                let next = schedule.due(simulated as i64 + 1);
                prop_assert!(next + 1e-3 >= wall.min(schedule.due(simulated as i64)));
            }
        }
    }
}
