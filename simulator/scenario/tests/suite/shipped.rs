//! What comes with the program is right: it parses, keeps to the schema, and lasts as long as it says.

use crate::conforms;
use scenario::{
    DEFAULT, Expectation, SHIPPED, Scenario, ScriptedKind, Sending, parse, schema, shipped, wall_estimate,
};

fn read(name: &str) -> Scenario {
    parse(name, shipped(name).expect("a shipped name")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn the_schema_file_is_up_to_date() {
    let file: serde_json::Value =
        serde_json::from_str(include_str!("../../../../scenarios/scenario.schema.json")).unwrap();
    assert!(
        file == schema(),
        "scenarios/scenario.schema.json is stale; renew it with\n\
         cargo run -p scenario --example schema > scenarios/scenario.schema.json"
    );
}

#[test]
fn every_shipped_scenario_parses_and_conforms_to_the_schema() {
    let schema = schema();
    for scenario in SHIPPED {
        read(scenario.name);
        let value: serde_json::Value = serde_saphyr::from_str(scenario.yaml).unwrap();
        assert_eq!(conforms::difference(&schema, &value), None, "{}", scenario.name);
    }
}

#[test]
fn what_the_parser_refuses_does_not_conform_to_the_schema_either() {
    let schema = schema();
    let text = shipped(DEFAULT).unwrap();
    for (right, wrong) in [
        ("stores: 2300", "stors: 2300"),
        ("stores: 2300", "stores: 0"),
        ("speed: 1\n", "sped: 1\n"),
        ("stop_service: inventory", "stop_service: inventry"),
        ("do: {rate: {per_second: 1000}}", "do: rate"),
        ("title: First look", "headline: First look"),
        ("dead_letters: 0", "dead_letters: none"),
    ] {
        let damaged = text.replacen(right, wrong, 1);
        assert_ne!(damaged, text, "{right}");
        let value: serde_json::Value = serde_saphyr::from_str(&damaged).unwrap();
        assert!(conforms::difference(&schema, &value).is_some(), "{wrong}");
        assert!(parse("damaged", &damaged).is_err(), "{wrong}");
    }
}

#[test]
fn every_shipped_scenario_can_be_told() {
    for scenario in SHIPPED {
        let scenario = read(scenario.name);
        assert!(!scenario.about.is_empty(), "{}", scenario.name);
        assert_eq!(scenario.steps[0].at.ms, 0, "{}", scenario.name);
        for step in &scenario.steps {
            let say = step
                .say
                .as_deref()
                .unwrap_or_else(|| panic!("{} at {}", scenario.name, step.at));
            assert!(
                say.chars().count() <= 160 && say.trim().ends_with('.'),
                "two lines of 80 columns: {say}"
            );
        }
        let claims_no_difference = scenario.expect.contains(&Expectation::DivergingCells {
            at_most: 0,
            within: None,
        });
        assert!(claims_no_difference, "{}", scenario.name);
    }
}

#[test]
fn the_first_look_lasts_two_and_a_half_minutes() {
    let scenario = read("first-look");
    let estimate = wall_estimate(&scenario);
    assert!((140.0..=165.0).contains(&estimate.end_s), "{estimate:?}");
    let times = estimate
        .steps
        .iter()
        .map(|(_, seconds)| *seconds)
        .chain([estimate.end_s]);
    let seconds: Vec<u64> = times.map(|seconds| seconds.round() as u64).collect();
    // The table in the file, but for its first seconds.
    assert_eq!(seconds, [0, 12, 21, 36, 42, 47, 66, 85, 104, 114, 143, 153]);
}

#[test]
fn a_million_a_minute_takes_a_minute() {
    let scenario = read("million-a-minute");
    let estimate = wall_estimate(&scenario);
    assert!(
        (59.9..60.1).contains(&(estimate.end_s - estimate.trading_s)),
        "{estimate:?}"
    );
}

#[test]
fn a_quiet_day_is_a_day_in_four_minutes() {
    let estimate = wall_estimate(&read("quiet-day"));
    assert!(
        (239.9..240.1).contains(&(estimate.end_s - estimate.trading_s)),
        "{estimate:?}"
    );
}

#[test]
fn the_day_of_five_million_is_one_business_day() {
    let totals = read("day-in-a-minute").expected_totals();
    assert!(totals.receipts.abs_diff(5_000_000) < 10, "{totals}");
    let day_ms = 86_400_000;
    assert!(totals.simulated.ms.abs_diff(day_ms) < 3_600_000, "{totals}");
}

#[test]
fn the_controlled_events_add_up_to_what_is_expected() {
    let scenario = read("ibm-controlled");
    let script = scenario.script.as_ref().unwrap();
    assert_eq!((script.events.len(), script.send), (9, Sending::Twice));
    let sum = |store: Option<u16>, item: u16| -> i64 {
        script
            .events
            .iter()
            .filter(|event| event.item.0 == item && store.is_none_or(|store| event.store.0 == store))
            .map(|event| match event.kind {
                ScriptedKind::Sale => -i64::from(event.quantity),
                ScriptedKind::Restock => i64::from(event.quantity),
            })
            .sum()
    };
    let mut compared = 0;
    for expectation in &scenario.expect {
        match expectation {
            Expectation::ItemStock { item, on_hand } => assert_eq!(sum(None, item.0), *on_hand),
            Expectation::StoreStock { store, item, on_hand } => {
                assert_eq!(sum(Some(store.0), item.0), *on_hand);
            }
            _ => continue,
        }
        compared += 1;
    }
    assert_eq!(compared, 7);
    assert_eq!([1, 2, 3].map(|item| sum(None, item)), [50, 0, 10]);
    assert_eq!([1, 2, 3].map(|item| sum(Some(1), item)), [10, 0, 10]);
}

#[test]
fn the_totals_of_a_check_read_well() {
    insta::assert_snapshot!(read("first-look").expected_totals(), @r"
    world      2,300 stores, 12 warehouses, 3 data centres, 5,000 SKUs; about 1,210,000 cells
    timeline   11 steps, 6 expectations; 5h20m10s of simulated time
    tills      1,628,828 receipts with 16,695,483 lines (estimate), at 5,000,000 a day
    wall time  153 s, then the drain (estimate)
    ");
    insta::assert_snapshot!(read("ibm-controlled").expected_totals(), @r"
    world      5 stores, 1 warehouse, 1 data centre, 3 SKUs; about 18 cells
    timeline   4 steps, 11 expectations; 21s of simulated time
    script     18 events sent
    wall time  21 s, then the drain (estimate)
    ");
}

#[test]
fn a_hash_is_of_the_text() {
    assert_eq!(
        scenario::hash("abc"),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
}

#[test]
fn a_name_that_is_mistyped_has_a_nearest_one() {
    assert_eq!(scenario::nearest("firstlook"), Some("first-look"));
    assert_eq!(scenario::nearest("million"), Some("million-a-minute"));
    assert_eq!(scenario::nearest("xyzzy"), None);
    assert!(shipped(DEFAULT).is_some());
}
