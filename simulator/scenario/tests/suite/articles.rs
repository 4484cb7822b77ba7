//! Articles that the catalogue does not have at first: what a scenario has to say of them.

use scenario::{Action, ItemNumber, parse};

fn yaml(unknown: &str, steps: &[&str]) -> String {
    let steps: Vec<String> = steps.iter().map(|step| format!("  - {step}\n")).collect();
    let steps = if steps.is_empty() {
        String::new()
    } else {
        format!("steps:\n{}", steps.concat())
    };
    format!(
        "title: t\nworld: {{skus: 20, assortment: 10, unknown_articles: [{unknown}]}}\nload: {{speed: 1}}\nstop: {{duration: 1h}}\n{steps}"
    )
}

fn error(unknown: &str, steps: &[&str]) -> String {
    let yaml = yaml(unknown, steps);
    parse("t", &yaml).expect_err(&yaml).to_string()
}

const RELEASE: &str = "{at: 10m, do: release_articles}";
const REPLAY: &str = "{at: 20m, do: {replay: unknown-item}}";

#[test]
fn an_article_that_is_unknown_is_released_and_its_letters_are_put_back() {
    let scenario = parse("t", &yaml("Item_2, Item_7", &[RELEASE, REPLAY])).expect("a scenario");
    assert_eq!(scenario.world.unknown_articles, [ItemNumber(2), ItemNumber(7)]);
    assert_eq!(scenario.steps[0].action, Some(Action::ReleaseArticles));
    assert_eq!(
        scenario.steps[1].action,
        Some(Action::Replay("unknown-item".into()))
    );
}

#[test]
fn what_could_never_become_right_is_refused_with_what_to_do() {
    for (unknown, steps, said) in [
        ("Item_2", &[][..], "never come into the catalogue"),
        ("Item_2", &[RELEASE][..], "add a step behind it"),
        (
            "Item_2",
            &["{at: 5m, do: {replay: unknown-item}}", RELEASE][..],
            "add a step behind it",
        ),
        ("", &[RELEASE, REPLAY][..], "the catalogue has all articles here"),
        ("Item_21", &[RELEASE, REPLAY][..], "does not exist"),
        ("Item_2, Item_2", &[RELEASE, REPLAY][..], "named twice"),
        ("", &["{at: 5m, do: {replay: \"\"}}"][..], "no class"),
    ] {
        let error = error(unknown, steps);
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn letters_of_any_class_can_be_put_back_at_any_time() {
    parse("t", &yaml("", &["{at: 5m, do: {replay: bad-packed}}"])).expect("a scenario");
}
