//! Rules of articles that the catalogue does not have at first: they come into it, and what named them is put back behind that.

use super::{Check, no_item, problem};
use crate::locate::Part::{Index, Key};
use crate::scenario::Scenario;
use crate::step::Action;

/// The class of dead letters that an article which comes into the catalogue can heal.
const UNKNOWN_ITEM: &str = "unknown-item";

pub(super) fn articles(scenario: &Scenario) -> Check {
    let unknown = &scenario.world.unknown_articles;
    let path = |index| [Key("world"), Key("unknown_articles"), Index(index)];
    for (index, item) in unknown.iter().enumerate() {
        if u32::from(item.0) > scenario.world.skus {
            return problem(&path(index), no_item(item.0, scenario), "");
        }
        if unknown[..index].contains(item) {
            return problem(&path(index), format!("{item} is named twice"), "name it once");
        }
    }
    let steps = || scenario.steps.iter().enumerate();
    let released = steps().find(|(_, step)| step.action == Some(Action::ReleaseArticles));
    match (unknown.is_empty(), released) {
        (true, None) => Ok(()),
        (true, Some((index, _))) => problem(
            &[Key("steps"), Index(index), Key("do")],
            "the catalogue has all articles here",
            "name some under `world: {unknown_articles: [Item_2]}`, or remove this",
        ),
        (false, None) => problem(
            &[Key("world"), Key("unknown_articles")],
            "these articles never come into the catalogue, so the view cannot become right",
            "add a step with `do: release_articles`",
        ),
        (false, Some((released, _))) => {
            let is_put_back = |(index, step): (usize, &crate::step::Step)| {
                index > released
                    && matches!(&step.action, Some(Action::Replay(class)) if class == UNKNOWN_ITEM)
            };
            if steps().any(is_put_back) {
                return Ok(());
            }
            problem(
                &[Key("steps"), Index(released), Key("do")],
                "what named these articles stays in the dead letters, so the view cannot become right",
                format!("add a step behind it with `do: {{replay: {UNKNOWN_ITEM}}}`"),
            )
        }
    }
}
