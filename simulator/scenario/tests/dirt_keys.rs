//! Dirt in a scenario: its rates, what is left out, and what is refused.

use scenario::{LateSpec, OneIn, PoisonSpec, SimOffset};

fn of(dirt: &str) -> Result<scenario::Scenario, String> {
    let yaml = format!(
        "title: T\nload: {{speed: 1}}\nstop: {{duration: 30s}}\nexpect: {{diverging_cells: {{at_most: 0}}}}\n{dirt}"
    );
    scenario::parse("demo.yaml", &yaml).map_err(|error| error.to_string())
}

fn error(dirt: &str) -> String {
    of(dirt).expect_err("it is wrong")
}

#[test]
fn what_is_left_out_does_not_happen_and_late_is_ten_minutes_to_a_day() {
    let dirt = of("dirt: {duplicates: {one_in: 100}, late: {one_in: 7}, poison: {queue: {one_in: 3}}}\n")
        .expect("it is right")
        .dirt
        .expect("it has dirt");
    assert_eq!(dirt.duplicates, Some(OneIn { one_in: 100 }));
    let late = LateSpec {
        one_in: 7,
        from: SimOffset::from_secs(600),
        to: SimOffset::from_secs(86_400),
    };
    assert_eq!(dirt.late, Some(late));
    let poison = PoisonSpec {
        queue: Some(OneIn { one_in: 3 }),
        ..PoisonSpec::default()
    };
    assert_eq!(dirt.poison, poison);
    assert_eq!((dirt.reordered, dirt.double_beeps), (None, None));
    assert_eq!(of("").expect("it is right").dirt, None);
}

#[test]
fn a_kind_that_is_none_names_the_nearest_one() {
    insta::assert_snapshot!(error("dirt:\n  duplicate: {one_in: 5}\n"));
    insta::assert_snapshot!(error("dirt:\n  poison: {poslog: {one_in: 5}}\n"));
}

#[test]
fn a_rate_is_one_in_one_to_a_million() {
    insta::assert_snapshot!(error("dirt:\n  reordered: {one_in: 0}\n"));
    insta::assert_snapshot!(error("dirt:\n  poison:\n    queue: {one_in: 1000001}\n"));
}

#[test]
fn late_is_minutes_to_a_day() {
    insta::assert_snapshot!(error("dirt:\n  late: {one_in: 5, from: 1m}\n"));
    insta::assert_snapshot!(error("dirt:\n  late: {one_in: 5, from: 2h, to: 1h}\n"));
}

#[test]
fn poison_needs_a_till_that_writes_it() {
    insta::assert_snapshot!(error(
        "world: {tills: {ibm_4690: 100}}\ndirt:\n  poison:\n    poslog_6: {one_in: 5}\n"
    ));
}

#[test]
fn what_could_not_be_counted_exactly_is_refused() {
    insta::assert_snapshot!(error("dirt: {}\n"));
    insta::assert_snapshot!(error(
        "world: {contradicting_deliveries: 5}\ndirt:\n  contradicting_deliveries: {one_in: 5}\n"
    ));
    insta::assert_snapshot!(error(
        "steps:\n  - {at: 1s, do: {replay: unknown-item}}\ndirt:\n  unknown_articles: {one_in: 5}\n"
    ));
}

#[test]
fn without_a_word_no_dead_letters_are_expected_and_dirt_makes_some() {
    let yaml = "title: T\nload: {speed: 1}\nstop: {duration: 30s}\ndirt: {poison: {scans: {one_in: 5}}}\n";
    let error = scenario::parse("demo.yaml", yaml).expect_err("it expects none");
    assert!(error.to_string().contains("`dirt` makes dead letters"), "{error}");
}
