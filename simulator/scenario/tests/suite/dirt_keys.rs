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
    insta::assert_snapshot!(error("dirt:\n  duplicate: {one_in: 5}\n"), @r"
    demo.yaml:6:3: unknown key `duplicate`
       |
     6 |   duplicate: {one_in: 5}
       |   ^
       = did you mean `duplicates`? (keys here: duplicates, late, reordered, missing_numbers, poison, clock_skew, unknown_articles, double_beeps, repeated_corrections, contradicting_deliveries)
    ");
    insta::assert_snapshot!(error("dirt:\n  poison: {poslog: {one_in: 5}}\n"), @r"
    demo.yaml:6:12: unknown key `poslog`
       |
     6 |   poison: {poslog: {one_in: 5}}
       |            ^
       = did you mean `poslog_2`? (keys here: ibm_4690, poslog_6, poslog_2, queue, scans)
    ");
}

#[test]
fn a_rate_is_one_in_one_to_a_million() {
    insta::assert_snapshot!(error("dirt:\n  reordered: {one_in: 0}\n"), @r"
    demo.yaml:6:23: `one_in` is 0: it must be 1 to 1000000
       |
     6 |   reordered: {one_in: 0}
       |                       ^
    ");
    insta::assert_snapshot!(error("dirt:\n  poison:\n    queue: {one_in: 1000001}\n"), @r"
    demo.yaml:7:21: `one_in` is 1000001: it must be 1 to 1000000
       |
     7 |     queue: {one_in: 1000001}
       |                     ^
    ");
}

#[test]
fn late_is_minutes_to_a_day() {
    insta::assert_snapshot!(error("dirt:\n  late: {one_in: 5, from: 1m}\n"), @r"
    demo.yaml:6:27: `from` is 1m: it must be 10m to 1d
       |
     6 |   late: {one_in: 5, from: 1m}
       |                           ^
       = what comes sooner is out of order, and not late: see `reordered`
    ");
    insta::assert_snapshot!(error("dirt:\n  late: {one_in: 5, from: 2h, to: 1h}\n"), @r"
    demo.yaml:6:35: late by 2h to 1h is impossible
       |
     6 |   late: {one_in: 5, from: 2h, to: 1h}
       |                                   ^
       = `from` is the lesser of the two
    ");
}

#[test]
fn poison_needs_a_till_that_writes_it() {
    insta::assert_snapshot!(error(
        "world: {tills: {ibm_4690: 100}}\ndirt:\n  poison:\n    poslog_6: {one_in: 5}\n"
    ), @r"
    demo.yaml:8:15: no till of this world writes poslog_6
       |
     8 |     poslog_6: {one_in: 5}
       |               ^
       = give `poslog_6` a share under `world: {tills: …}`, or remove this
    ");
}

#[test]
fn what_could_not_be_counted_exactly_is_refused() {
    insta::assert_snapshot!(error("dirt: {}\n"), @r"
    demo.yaml:5:7: `dirt` names no kind
       |
     5 | dirt: {}
       |       ^
       = give one a rate, such as `duplicates: {one_in: 100}`, or leave `dirt` out
    ");
    insta::assert_snapshot!(error(
        "world: {contradicting_deliveries: 5}\ndirt:\n  contradicting_deliveries: {one_in: 5}\n"
    ), @r"
    demo.yaml:7:29: `contradicting_deliveries` is given under `world` too
       |
     7 |   contradicting_deliveries: {one_in: 5}
       |                             ^
       = keep one of them
    ");
    insta::assert_snapshot!(error(
        "steps:\n  - {at: 1s, do: {replay: unknown-item}}\ndirt:\n  unknown_articles: {one_in: 5}\n"
    ), @r"
    demo.yaml:6:18: the new numbers of `dirt: {unknown_articles: …}` are not known before the sources fall silent
       |
     6 |   - {at: 1s, do: {replay: unknown-item}}
       |                  ^
       = remove this: what names them is put back then
    ");
}

#[test]
fn without_a_word_no_dead_letters_are_expected_and_dirt_makes_some() {
    let yaml = "title: T\nload: {speed: 1}\nstop: {duration: 30s}\ndirt: {poison: {scans: {one_in: 5}}}\n";
    let error = scenario::parse("demo.yaml", yaml).expect_err("it expects none");
    assert!(error.to_string().contains("`dirt` makes dead letters"), "{error}");
}
