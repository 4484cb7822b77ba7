//! One article of a warehouse: its stock, and when and how much of it is ordered from suppliers.

use crate::random::Stream;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cell {
    pub stock: i64,
    pub on_order: i64,
    pub reorder: i64,
    pub order: i64,
}

impl Cell {
    /// A cell in the middle of its cycle: reorder at three days of demand, order five days in whole packs.
    pub(super) fn new(units_a_day: f64, pack: u16, opening: &mut Stream) -> Self {
        let pack = f64::from(pack);
        let packs = |units: f64| ((units / pack).ceil().max(1.0) * pack) as i64 * 1000;
        let reorder = packs(3.0 * units_a_day + 3.0 * units_a_day.sqrt());
        let order = packs(5.0 * units_a_day);
        let stock = reorder + packs(opening.unit() * 5.0 * units_a_day);
        Self {
            stock,
            on_order: 0,
            reorder,
            order,
        }
    }
}
