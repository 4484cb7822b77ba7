//! People in a store: baskets, voided lines, returns.

use contracts::ids::{BusinessDay, TimeMs};

use super::desk::Visit;
use super::{RECENT, Scene, Scratch, Store};
use crate::calendar;
use crate::config::{STEP_MS, tills_open};
use crate::events::PlaceEvents;
use crate::generation::Generation;
use crate::receipt::{BasketLine, LineKind, Sold};
use crate::shape::RETURN_ONE_IN;

/// A shopper who finds a shelf empty looks for something else so many times.
const SUBSTITUTES: u32 = 2;
/// Where something is not on offer, the hand goes on in the other cases: so what is on offer sells up to three and a half times as
/// much.
const PLAIN_TAKEN: (u32, u32) = (2, 7);
const LOOKS: u32 = 8;

/// The tills that are staffed in a step, and the business day that they write.
pub(super) struct Opening {
    tills: u32,
    cut_over: TimeMs,
    before: BusinessDay,
    after: BusinessDay,
}

impl Opening {
    pub fn at(from: TimeMs, tills: u16) -> Self {
        let after = calendar::business_day(TimeMs(from.0 + i64::from(STEP_MS) - 1));
        Self {
            tills: u32::from(tills_open(tills, calendar::hour(from))),
            cut_over: TimeMs(i64::from(after.0) * calendar::DAY_MS + calendar::CUT_OVER_MS),
            before: calendar::business_day(from),
            after,
        }
    }

    fn business_day(&self, at: TimeMs) -> BusinessDay {
        if at < self.cut_over {
            self.before
        } else {
            self.after
        }
    }
}

impl Store {
    /// A shopper comes to a till.
    pub(super) fn checkout(
        &mut self,
        scene: &Scene,
        at: TimeMs,
        open: &Opening,
        out: &mut PlaceEvents,
        scratch: &mut Scratch,
    ) {
        scratch.basket.clear();
        let basket = &mut scratch.basket;
        let till = self.shoppers.below(open.tills) as usize;
        let manner = self.shoppers.bits();
        let brings_back = manner < u32::MAX / RETURN_ONE_IN;
        // Half of those who bring something back buy nothing.
        if !brings_back || manner & 1 == 0 {
            for _ in 0..scene.shape.lines(self.shoppers.bits()) {
                self.pick(scene, basket);
            }
        }
        if brings_back {
            let sold = self.bring_back(scene, till, basket);
            // Its till may still hold the receipt: what comes back has been told of.
            if let Some(sold) = sold {
                self.send(usize::from(sold.till) - 1, at, out, scratch);
            }
        }
        let basket = &scratch.basket;
        let Some(last) = basket.last().copied() else {
            return;
        };
        let lines = basket
            .iter()
            .map(|line| 1 + u16::from(line.kind == LineKind::Voided))
            .sum();
        let visit = Visit {
            till,
            at,
            day: open.business_day(at),
            manner,
        };
        let number = self.ring(scene, visit, out, scratch);
        if last.kind == LineKind::Sale {
            let sold = Sold {
                till: till as u16 + 1,
                number,
                day: visit.day,
                line: lines,
            };
            self.recent[self.recent_next % RECENT] = (last.slot, last.quantity, sold);
            self.recent_next += 1;
        }
    }

    /// Takes one thing from its shelf, or what is there of it, or something else instead.
    #[inline]
    fn pick(&mut self, scene: &Scene, basket: &mut Vec<BasketLine>) {
        let wish = scene.shape.units(self.shoppers.bits());
        for _ in 0..=SUBSTITUTES {
            let slot = self.reach(scene);
            let article = self.articles[slot];
            let item = &scene.catalogue.items[usize::from(article)];
            let wanted = if item.weighed {
                scene.shape.weight(self.shoppers.bits())
            } else {
                wish.quantity
            };
            let cell = &mut self.cells[slot];
            let quantity = wanted.min(cell.floor);
            self.lost_sales += (wanted - quantity) as u64;
            if quantity > 0 {
                let kind = if wish.voided {
                    LineKind::Voided
                } else {
                    LineKind::Sale
                };
                if kind == LineKind::Sale {
                    cell.floor -= quantity;
                }
                basket.push(BasketLine::new(slot, article, item, kind, quantity));
                return;
            }
        }
    }

    /// A shelf that catches the eye.
    #[inline]
    fn reach(&mut self, scene: &Scene) -> usize {
        let mut slot = self.shelf_draw.draw(self.shoppers.bits());
        for _ in 0..LOOKS {
            let (taken, of) = PLAIN_TAKEN;
            if scene.offers.is_on(self.articles[slot]) || self.shoppers.chance(taken, of) {
                break;
            }
            slot = self.shelf_draw.draw(self.shoppers.bits());
        }
        slot
    }

    /// Something that was sold here lately comes back; each sold line once at most. One in six is not sold again.
    fn bring_back(&mut self, scene: &Scene, till: usize, basket: &mut Vec<BasketLine>) -> Option<Sold> {
        let index = self.shoppers.below(RECENT as u32) as usize;
        let is_spoilt = self.desk.chance(1, 6) && self.tills[till].generation != Generation::Ibm4690;
        let (slot, quantity, sold) = std::mem::take(&mut self.recent[index]);
        if quantity > 0 {
            let slot = usize::from(slot);
            let article = self.articles[slot];
            let item = &scene.catalogue.items[usize::from(article)];
            let kind = if is_spoilt {
                LineKind::WrittenOff
            } else {
                self.cells[slot].floor += quantity;
                LineKind::Return
            };
            basket.push(BasketLine {
                sold,
                ..BasketLine::new(slot, article, item, kind, quantity)
            });
        }
        (quantity > 0).then_some(sold)
    }
}
