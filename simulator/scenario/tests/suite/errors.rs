//! Every error says file, line and column, shows the line, and tells what to write instead.

/// A scenario that is right, and below it three lines down what the test is about.
fn error(below: &str) -> String {
    whole(&format!(
        "title: T\nload: {{speed: 1}}\nstop: {{duration: 30s}}\n{below}"
    ))
}

fn whole(yaml: &str) -> String {
    match scenario::parse("demo.yaml", yaml) {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn an_unknown_key_names_the_nearest_one() {
    insta::assert_snapshot!(error("world:\n  stors: 5\n"), @r"
    demo.yaml:5:3: unknown key `stors`
       |
     5 |   stors: 5
       |   ^
       = did you mean `stores`? (keys here: stores, warehouses, data_centres, skus, assortment, transactions_per_day, tills, start, queues, unknown_articles, contradicting_deliveries)
    ");
}

#[test]
fn a_key_in_the_wrong_place_names_the_right_one() {
    insta::assert_snapshot!(error("stores: 5\n"), @r"
    demo.yaml:4:1: unknown key `stores`
       |
     4 | stores: 5
       | ^
       = did you mean `stores`? It belongs under `world` (keys here: title, about, seed, world, dirt, load, rates, stop, opening, script, services, steps, expect)
    ");
}

#[test]
fn a_key_like_no_other_lists_all() {
    insta::assert_snapshot!(error("xyzzy: 1\n"), @r"
    demo.yaml:4:1: unknown key `xyzzy`
       |
     4 | xyzzy: 1
       | ^
       = keys here: title, about, seed, world, dirt, load, rates, stop, opening, script, services, steps, expect
    ");
}

#[test]
fn an_unknown_action_names_the_nearest_one() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: {stop_servise: inventory}\n"), @r"
    demo.yaml:6:10: `stop_servise` is not one of the choices here
       |
     6 |     do: {stop_servise: inventory}
       |          ^
       = did you mean `stop_service`? (choices: rate, speed, pause, stores_offline, stores_online, stop_service, start_service, break, mend, release_articles, replay)
    ");
}

#[test]
fn an_unknown_service_names_the_nearest_one() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: {stop_service: inventry}\n"), @r"
    demo.yaml:6:24: `inventry` is not one of the choices here
       |
     6 |     do: {stop_service: inventry}
       |                        ^
       = did you mean `inventory`? (choices: store-gateway, mq-source, normaliser, inventory, reconciler, item-projector)
    ");
}

#[test]
fn an_unknown_expectation_names_the_nearest_one() {
    insta::assert_snapshot!(error("expect:\n  dead_letter: 0\n"), @r"
    demo.yaml:5:3: unknown key `dead_letter`
       |
     5 |   dead_letter: 0
       |   ^
       = did you mean `dead_letters`? (keys here: converged, diverging_cells, freshness_p99_below, dead_letters, in_dead_letters, discrepancies, item_stock, store_stock)
    ");
}

#[test]
fn a_missing_key_is_named() {
    insta::assert_snapshot!(error("steps:\n  - say: hello\n"), @r"
    demo.yaml:5:5: the key `at` is missing
       |
     5 |   - say: hello
       |     ^
       = add `at:` here
    ");
}

#[test]
fn a_key_given_twice_is_refused() {
    insta::assert_snapshot!(error("title: again\n"), @r"
    demo.yaml:4:1: the key `title` is given twice
       |
     4 | title: again
       | ^
       = keep one of them
    ");
}

#[test]
fn a_word_where_a_number_belongs_is_refused() {
    insta::assert_snapshot!(error("world: {stores: many}\n"), @r"
    demo.yaml:4:17: expected a whole number, 0 to 65535
       |
     4 | world: {stores: many}
       |                 ^
    ");
}

#[test]
fn a_choice_without_its_value_is_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: speed\n"), @r"
    demo.yaml:6:9: `speed` needs a value
       |
     6 |     do: speed
       |         ^
       = write `{speed: …}`
    ");
}

#[test]
fn two_choices_at_once_are_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: {speed: 1, rate: {per_second: 5}}\n"), @r"
    demo.yaml:6:20: only one of the choices can stand here
       |
     6 |     do: {speed: 1, rate: {per_second: 5}}
       |                    ^
       = keep the one before, or make two steps
    ");
}

#[test]
fn a_time_without_a_unit_is_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 90\n    say: hello\n"), @r"
    demo.yaml:5:9: `90` has no unit: write `90s` for seconds (units: d, h, m, s, ms)
       |
     5 |   - at: 90
       |         ^
    ");
}

#[test]
fn a_date_that_does_not_exist_is_refused() {
    insta::assert_snapshot!(error("world: {start: 2026-02-29}\n"), @r"
    demo.yaml:4:16: `2026-02-29` does not exist in the calendar
       |
     4 | world: {start: 2026-02-29}
       |                ^
    ");
}

#[test]
fn a_world_without_stores_is_refused() {
    insta::assert_snapshot!(error("world:\n  stores: 0\n"), @r"
    demo.yaml:5:11: `stores` is 0: it must be 1 to 9999
       |
     5 |   stores: 0
       |           ^
    ");
}

#[test]
fn an_assortment_beyond_the_catalogue_is_refused() {
    insta::assert_snapshot!(error("world: {skus: 100}\n"), @r"
    demo.yaml:4:8: an assortment of 500 does not fit a catalogue of 100 SKUs
       |
     4 | world: {skus: 100}
       |        ^
       = set `assortment` to 100 or less
    ");
}

#[test]
fn shares_of_tills_that_are_no_hundred_per_cent_are_refused() {
    insta::assert_snapshot!(error("world:\n  tills: {ibm_4690: 70, poslog_6: 25}\n"), @r"
    demo.yaml:5:10: the shares of `tills` sum to 95 per cent: it must be 100
       |
     5 |   tills: {ibm_4690: 70, poslog_6: 25}
       |          ^
       = what is left out is 0; `{ibm_4690: 70, poslog_6: 25, poslog_2: 5}` is the default
    ");
    insta::assert_snapshot!(error("world:\n  tills: {poslog_7: 100}\n"), @r"
    demo.yaml:5:11: unknown key `poslog_7`
       |
     5 |   tills: {poslog_7: 100}
       |           ^
       = did you mean `poslog_2`? (keys here: ibm_4690, poslog_6, poslog_2)
    ");
}

#[test]
fn more_receipts_than_a_till_has_numbers_are_refused() {
    insta::assert_snapshot!(error("world:\n  stores: 2\n"), @r"
    demo.yaml:5:3: 5000000 transactions a day are too many for 2 stores: a till has 9999 numbers a business day
       |
     5 |   stores: 2
       |   ^
       = at most 34243, or more stores; for more a second, raise `load`
    ");
}

#[test]
fn a_start_between_the_worlds_steps_is_refused() {
    insta::assert_snapshot!(error("world: {start: 2026-03-13 10:02}\n"), @r"
    demo.yaml:4:16: a start at 2026-03-13 10:02 is impossible: the world goes on in steps of 5 minutes
       |
     4 | world: {start: 2026-03-13 10:02}
       |                ^
       = a full hour, or minutes that end in 0 or 5
    ");
}

#[test]
fn steps_out_of_order_are_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    say: one\n  - at: 4s\n    say: two\n"), @r"
    demo.yaml:7:9: this step is at 4s, before the step above it at 5s
       |
     7 |   - at: 4s
       |         ^
       = put the steps in the order of time
    ");
}

#[test]
fn a_step_behind_the_end_is_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 31s\n    say: too late\n"), @r"
    demo.yaml:5:9: this step is at 31s, behind the end of the run at 30s
       |
     5 |   - at: 31s
       |         ^
       = move it, or raise the duration under `stop`
    ");
}

#[test]
fn a_step_that_does_nothing_is_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n"), @r"
    demo.yaml:5:5: this step does nothing
       |
     5 |   - at: 5s
       |     ^
       = give it `say`, `do` or `expect`
    ");
}

#[test]
fn a_pause_without_an_end_is_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: pause\n"), @r"
    demo.yaml:6:9: this pause would never end
       |
     6 |     do: pause
       |         ^
       = a pause lasts until what its step expects has come true: add `expect: {converged: {within: 10s}}`
    ");
}

#[test]
fn a_service_that_stays_dead_is_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: {stop_service: inventory}\n"), @r"
    demo.yaml:6:9: inventory is never started again, so the view cannot become right
       |
     6 |     do: {stop_service: inventory}
       |         ^
       = add a step with `do: {start_service: inventory}`
    ");
}

#[test]
fn a_service_that_runs_cannot_be_started() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: {start_service: inventory}\n"), @r"
    demo.yaml:6:9: inventory is running here
       |
     6 |     do: {start_service: inventory}
       |         ^
       = stop it in a step above
    ");
}

#[test]
fn stores_that_never_come_back_are_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: {stores_offline: {count: 3}}\n"), @r"
    demo.yaml:6:9: these stores never come back, so the view cannot become right
       |
     6 |     do: {stores_offline: {count: 3}}
       |         ^
       = add a step with `do: {stores_online: all}`
    ");
}

#[test]
fn a_store_that_does_not_exist_is_refused() {
    insta::assert_snapshot!(error("steps:\n  - at: 5s\n    do: {stores_offline: {names: [S0042, S2301]}}\n"), @r"
    demo.yaml:6:42: store 2301 does not exist: this world has 2300
       |
     6 |     do: {stores_offline: {names: [S0042, S2301]}}
       |                                          ^
    ");
}

#[test]
fn a_script_with_shoppers_is_refused() {
    insta::assert_snapshot!(error("script:\n  events:\n    - {store: Store_1, item: Item_1, kind: SALE, quantity: 5}\n"), @r"
    demo.yaml:5:3: a script takes the place of shoppers
       |
     5 |   events:
       |   ^
       = set `transactions_per_day: 0` under `world`
    ");
}

#[test]
fn an_interval_beyond_its_bounds_is_refused() {
    insta::assert_snapshot!(error("services:\n  flush_interval: 10ms\n"), @r"
    demo.yaml:5:19: `flush_interval` is 10ms: it must be 50ms to 5s
       |
     5 |   flush_interval: 10ms
       |                   ^
       = 100ms is the default
    ");
    insta::assert_snapshot!(error("services:\n  upload_interval: 6s\n"), @r"
    demo.yaml:5:20: `upload_interval` is 6s: it must be 10ms to 5s
       |
     5 |   upload_interval: 6s
       |                    ^
       = 100ms is the default
    ");
    insta::assert_snapshot!(error("services:\n  mark_interval: 2m\n"), @r"
    demo.yaml:5:18: `mark_interval` is 2m: it must be 500ms to 1m
       |
     5 |   mark_interval: 2m
       |                  ^
       = 5s is the default
    ");
}

#[test]
fn broken_yaml_is_refused_where_it_breaks() {
    insta::assert_snapshot!(error("steps: [\n"), @r"
    demo.yaml:4:8: unclosed bracket '['
       |
     4 | steps: [
       |        ^
    ");
}

#[test]
fn an_empty_file_is_refused() {
    insta::assert_snapshot!(whole(""), @r"demo.yaml:1:1: the file is empty, or ends too early");
}

#[test]
fn an_impossible_speed_is_refused() {
    insta::assert_snapshot!(whole("title: T\nload: {speed: 0}\nstop: {duration: 30s}\n"), @r"
    demo.yaml:2:15: a speed of 0 is impossible: 0.001 to 1000000, 1 is the real pace
       |
     2 | load: {speed: 0}
       |               ^
    ");
}

#[test]
fn an_unthrottled_load_claims_no_latency() {
    insta::assert_snapshot!(whole("title: T\nload: unthrottled\nstop: {transactions: 5}\nexpect: {freshness_p99_below: 1s}\n"), @r"
    demo.yaml:4:31: an unthrottled load makes no claim of latency
       |
     4 | expect: {freshness_p99_below: 1s}
       |                               ^
       = give the load a speed or a rate, or remove this
    ");
}

#[test]
fn a_script_that_outlasts_the_run_is_refused() {
    insta::assert_snapshot!(whole("title: T\nload: {speed: 1}\nopening: false\nworld: {transactions_per_day: 0}\nstop: {duration: 1s}\nscript:\n  send: twice\n  events:\n    - {store: Store_1, item: Item_1, kind: SALE, quantity: 5}\n"), @r"
    demo.yaml:5:18: the run ends before its script, whose last event is due at 1s
       |
     5 | stop: {duration: 1s}
       |                  ^
       = a longer duration, or a shorter `every`
    ");
}

#[test]
fn what_the_smallest_scenario_leaves_out_has_a_default() {
    let text = "title: T\nload: {speed: 1}\nstop: {duration: 30s}\n";
    let scenario = scenario::parse("folder/small.yaml", text).unwrap();
    assert_eq!(scenario.name, "small");
    assert_eq!(scenario.world, scenario::WorldSpec::default());
    assert!(scenario.opening);
    assert_eq!(scenario.seed, 1);
    let claims: Vec<String> = scenario.expect.iter().map(ToString::to_string).collect();
    assert_eq!(claims, ["diverging cells at most 0", "dead letters 0"]);
}

#[test]
fn every_cut_and_every_lost_byte_of_a_scenario_is_an_error_or_a_scenario_and_never_a_panic() {
    let text = scenario::shipped("ibm-controlled").unwrap();
    for index in (0..text.len())
        .step_by(7)
        .filter(|index| text.is_char_boundary(*index))
    {
        let _ = scenario::parse("cut", &text[..index]);
        let lost: String = text
            .char_indices()
            .filter(|(at, _)| *at != index)
            .map(|(_, c)| c)
            .collect();
        if let Err(error) = scenario::parse("lost", &lost) {
            assert!(
                error.line >= 1 && error.column >= 1 && !error.message.is_empty(),
                "{error:?}"
            );
        }
    }
}

fn steps(below: &str) -> String {
    error(&format!("steps:\n{below}"))
}

#[test]
fn an_unknown_fault_names_the_nearest_one() {
    for (step, line) in [
        ("  - {at: 1s, do: {break: inventry-killed}}\n", 5),
        (
            "  - {at: 1s, do: {break: late}}\n  - {at: 2s, do: {mend: lated}}\n",
            6,
        ),
        ("  - at: 1s\n    do: {break: {fault: node-loss, node: 2}}\n", 6),
    ] {
        let text = steps(step);
        assert!(text.starts_with(&format!("demo.yaml:{line}:")), "{text}");
        assert!(text.contains("did you mean `"), "{text}");
    }
    let text = steps("  - {at: 1s, do: {break: inventry-killed}}\n");
    assert!(text.contains("did you mean `inventory-killed`?"), "{text}");
    let text = steps("  - at: 1s\n    do: {break: {fault: node-lost, nod: 2}}\n");
    assert!(text.contains("did you mean `node`?"), "{text}");
}

#[test]
fn a_fault_that_cannot_be_is_refused_where_it_stands() {
    let broken = "  - {at: 1s, do: {break: node-lost}}\n";
    for (below, line, expected) in [
        (
            "  - {at: 1s, do: {mend: late}}\n".to_owned(),
            5,
            "late is not broken here",
        ),
        (
            "  - {at: 1s, do: {mend: all}}\n".to_owned(),
            5,
            "nothing is broken here",
        ),
        (
            broken.to_owned(),
            5,
            "node-lost is never mended, so the view cannot become right",
        ),
        (format!("{broken}{broken}"), 6, "node-lost is broken already"),
        (
            "  - {at: 1s, do: {break: {fault: node-lost, node: 4}}}\n".to_owned(),
            5,
            "there is no node 4: the embedded broker has 3",
        ),
        (
            "  - {at: 1s, do: {break: {fault: data-centre-lost, data_centre: 4}}}\n".to_owned(),
            5,
            "there is no data centre 4: this world has 3",
        ),
        (
            "  - {at: 1s, do: {break: {fault: late, node: 1}}}\n".to_owned(),
            5,
            "`node` means nothing to late",
        ),
        (
            "  - {at: 1s, do: {break: {fault: late, one_in: 0}}}\n".to_owned(),
            5,
            "`one_in` is 0: it must be 1 to 1000000",
        ),
        (
            "  - {at: 1s, do: {break: {fault: instance-joins, service: mq-source}}}\n".to_owned(),
            5,
            "mq-source is in no consumer group, so instance-joins cannot hit it",
        ),
        (
            "  - {at: 1s, do: {break: disk-full}}\n".to_owned(),
            5,
            "disk-full is no step: nothing is written before the end",
        ),
        (
            "  - {at: 1s, do: {break: item-projector-killed}}\n".to_owned(),
            5,
            "there is no item-projector here, because nothing is projected",
        ),
        (
            "  - {at: 1s, do: {stop_service: item-projector}}\n".to_owned(),
            5,
            "there is no item-projector here, because nothing is projected",
        ),
        (
            "  - {at: 1s, do: {stop_service: inventory}}\n  - {at: 2s, do: {break: inventory-zombie}}\n"
                .to_owned(),
            6,
            "inventory does not run here, so inventory-zombie cannot hit it",
        ),
        ("  - {at: 1s, do: break}\n".to_owned(), 5, "`break` needs a value"),
    ] {
        let text = steps(&below);
        assert!(text.starts_with(&format!("demo.yaml:{line}:")), "{below}{text}");
        assert!(
            text.lines().next().is_some_and(|first| first.ends_with(expected)),
            "{below}{text}"
        );
    }
}

#[test]
fn every_fault_can_be_broken_and_mended_by_its_name() {
    for info in &scenario::FAULTS {
        if info.fault.is_step() {
            let name = info.name;
            let all = format!(
                "  - {{at: 1s, do: {{break: {name}}}}}\n  - {{at: 2s, do: {{mend: {name}}}}}\n  - {{at: 3s, do: {{break: {{fault: {name}}}}}}}\n  - {{at: 4s, do: {{mend: all}}}}\n"
            );
            let said = if info.fault == scenario::Fault::ItemProjectorKilled {
                steps(&format!("{all}services: {{project_items: true}}\n"))
            } else {
                steps(&all)
            };
            assert_eq!(said, "ok", "{name}");
        }
    }
}
