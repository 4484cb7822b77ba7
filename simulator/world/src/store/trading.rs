//! People in a store: baskets, voided lines, returns.

use contracts::ids::{BusinessDay, TILL_NUMBER_MAX, TimeMs};

use super::{RECENT, Scene, Scratch, Store};
use crate::calendar;
use crate::config::{STEP_MS, tills_open};
use crate::events::PlaceEvents;
use crate::receipt::{self, BasketLine, LineKind, Till};
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
        let basket = &mut scratch.basket;
        basket.clear();
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
            self.bring_back(scene, basket);
        }
        let Some(last) = basket.last() else {
            return;
        };
        if last.kind == LineKind::Sale {
            self.recent[self.recent_next % RECENT] = (last.slot, last.quantity);
            self.recent_next += 1;
        }
        let number = &mut self.till_numbers[till];
        *number = if u64::from(*number) < TILL_NUMBER_MAX {
            *number + 1
        } else {
            1
        };
        let till = Till {
            location: self.location,
            unit: till as u16 + 1,
            number: *number,
            business_day: open.business_day(at),
        };
        self.till.add(receipt::write(
            till,
            at,
            manner,
            basket,
            &scene.catalogue.items,
            out,
        ));
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

    /// Something that was sold here lately comes back to the floor; each sold line once at most.
    fn bring_back(&mut self, scene: &Scene, basket: &mut Vec<BasketLine>) {
        let index = self.shoppers.below(RECENT as u32) as usize;
        let (slot, quantity) = std::mem::take(&mut self.recent[index]);
        if quantity > 0 {
            let slot = usize::from(slot);
            let article = self.articles[slot];
            let item = &scene.catalogue.items[usize::from(article)];
            self.cells[slot].floor += quantity;
            basket.push(BasketLine::new(slot, article, item, LineKind::Return, quantity));
        }
    }
}
