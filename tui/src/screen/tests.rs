use std::sync::Arc;
use std::time::Duration;

use audit::SourceKnown;
use contracts::ids::{LocationId, TimeMs};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

use super::model::{Model, Msg, Overlay, View, update};
use super::theme::Theme;
use super::view;
use crate::completeness::{CompletenessView, KnownView, PlaceDetails, SourceView};
use crate::snapshot::{
    Command, Counts, ExpectationView, FaultView, Flow, FreshnessView, LocationIdView, Outcome, PaceView,
    Phase, PlaceState, PlaceView, ProofView, ResourcesView, ServiceState, Snapshot, StageView, VerdictView,
};
use crate::stage::OutageView;

fn stores(state: impl Fn(u16) -> PlaceState) -> Arc<[PlaceView]> {
    (1..=2300)
        .map(|number| PlaceView {
            location: LocationIdView(LocationId::store(number)),
            region: format!("north-{}", number / 300 + 1).into(),
            name: format!("Market Street {number}").into(),
            state: state(number),
            known: certain(),
        })
        .collect()
}

const NOW: TimeMs = TimeMs(1_773_480_413_000);

fn certain() -> KnownView {
    KnownView {
        is_heard: true,
        is_certain: true,
        marked: Some(NOW),
        complete_until: Some(NOW),
        ..KnownView::default()
    }
}

/// Stores by number, as the view knows them.
fn with_known(stores: &[PlaceView], known: impl Fn(u16) -> KnownView) -> Arc<[PlaceView]> {
    stores
        .iter()
        .map(|store| PlaceView {
            known: known(store.location.0.number()),
            ..store.clone()
        })
        .collect()
}

fn flow(per_second: f64) -> Flow {
    Flow {
        transactions: 812_345,
        lines: 8_320_111,
        transactions_per_s: per_second,
        lines_per_s: per_second * 10.25,
    }
}

fn stage(name: &'static str, lag: Option<u64>) -> StageView {
    StageView {
        name,
        state: ServiceState::Up,
        flow: flow(16_667.0),
        counts: match name {
            "store-gateway" => Counts::Transactions,
            "articles" => Counts::Totals,
            "reconciler" => Counts::Papers,
            "item-projector" => Counts::Items,
            _ => Counts::TransactionsAndLines,
        },
        lag,
        lag_seconds: lag.map(|lag| lag as f64 / 16_667.0),
        note: String::new(),
    }
}

fn running() -> Snapshot {
    Snapshot {
        scenario: "first-look".into(),
        title: "First look".into(),
        seed: 42,
        backbone: "embedded stand-in, no Kafka figures".into(),
        phase: Phase::Running,
        elapsed: Duration::from_secs(65),
        simulated: NOW,
        pace: PaceView::Rate(16_667.0),
        say: "A million transactions a minute: 290 times Acme's day of today.".into(),
        step: 3,
        steps: 7,
        offered: flow(16_667.0),
        handled: flow(16_640.0),
        stages: vec![
            stage("tills", None),
            stage("queue", None),
            stage("scans", None),
            stage("store-gateway", Some(120)),
            stage("mq-source", Some(3)),
            stage("normaliser", Some(1_900)),
            stage("inventory", Some(4_100)),
            stage("articles", None),
            stage("reconciler", Some(0)),
            stage("item-projector", Some(12)),
        ],
        stores: stores(|_| PlaceState::Equal),
        stores_offline: 0,
        freshness: FreshnessView {
            p50: 180,
            p90: 240,
            p99: 310,
            p999: 420,
            max: 512,
            count: 8_000_000,
            unmeasured: 0,
        },
        freshness_history: (0..60).map(|i| 250 + i % 7 * 20).collect(),
        diverging_history: (0..60).map(|i| 1000 - i * 10).collect(),
        handled_history: (0..60).map(|_| 16_667).collect(),
        proof: ProofView {
            cells_compared: 1_150_000,
            cells_diverging: 3_211,
            in_transit_view: 12_000_000,
            in_transit_truth: 12_004_000,
            duplicates_dropped: 12,
            discrepancies: 0,
            ..ProofView::default()
        },
        completeness: CompletenessView {
            places: 2_312,
            certain: 2_312,
            sources: 14_012,
            sources_complete: 14_012,
            stock: 90_000_000_000,
            complete_until: Some(TimeMs(NOW.0 - 3_000)),
            ..CompletenessView::default()
        },
        details: None,
        violations: Vec::new(),
        outages: Vec::new(),
        anomalies: Vec::new(),
        resources: ResourcesView {
            rss_mib: 812,
            rss_mib_max: 840,
            cores_used: 1.32,
            cpu_seconds: 70.0,
            cores: 2,
            broker_mib: 300,
        },
        topics: Arc::new([]),
        expectations: vec![
            ExpectationView {
                text: "converged within 20 s".into(),
                met: Some(true),
                detail: "after 3.1 s".into(),
            },
            ExpectationView {
                text: "freshness p99 below 400 ms".into(),
                met: None,
                detail: String::new(),
            },
        ],
        faults: Vec::new(),
        verdict: None,
        alert: None,
    }
}

fn starting() -> Snapshot {
    let mut snapshot = running();
    snapshot.phase = Phase::Starting;
    snapshot.say = "".into();
    snapshot.steps = 0;
    for stage in &mut snapshot.stages {
        stage.state = ServiceState::Starting;
        stage.flow = Flow::default();
        stage.lag = None;
        stage.lag_seconds = None;
    }
    snapshot.stores = stores(|_| PlaceState::NeverSeen);
    snapshot.freshness = FreshnessView::default();
    snapshot.freshness_history = Arc::new([]);
    snapshot.diverging_history = Arc::new([]);
    snapshot.stores = with_known(&snapshot.stores, |_| KnownView::default());
    snapshot.proof = ProofView::default();
    snapshot.completeness = CompletenessView::default();
    snapshot
}

fn region_offline() -> Snapshot {
    let mut snapshot = running();
    snapshot.stores = stores(|number| match number {
        600..=899 => PlaceState::Offline(212),
        1500 => PlaceState::Diverging(3),
        1501 => PlaceState::Diverging(90),
        _ => PlaceState::Equal,
    });
    snapshot.stores_offline = 300;
    snapshot.stages[6].state = ServiceState::Stopped;
    snapshot.stages[8].state = ServiceState::Stopped;
    let an_hour_ago = Some(TimeMs(NOW.0 - 3_700_000));
    snapshot.stores = with_known(&snapshot.stores, |number| match number {
        600..=899 => KnownView {
            is_certain: false,
            complete_until: an_hour_ago,
            offline_since: an_hour_ago,
            ..certain()
        },
        2 => KnownView {
            is_certain: false,
            missing: 3,
            overdue: 3,
            dead_letters: 2,
            late: 5,
            missing_at: Some("till 4".into()),
            ..certain()
        },
        _ => certain(),
    });
    snapshot.completeness = CompletenessView {
        certain: 2_011,
        offline: 300,
        places_missing: 1,
        missing: 3,
        dead_letters: 2,
        late: 5,
        sources_complete: 12_205,
        stock_uncertain: 11_160_000_000,
        as_of: an_hour_ago,
        ..snapshot.completeness
    };
    snapshot.outages = vec![
        outage("inventory stopped", Some(0)),
        OutageView {
            lasted_ms: None,
            rto_ms: None,
            heal_to_converged_ms: None,
            cells_behind: 63_600,
            ..outage("north-3 offline", None)
        },
    ];
    snapshot
}

fn outage(name: &str, rpo: Option<u64>) -> OutageView {
    OutageView {
        name: name.into(),
        began_s: 30.0,
        acknowledged: 300_000,
        lasted_ms: Some(10_000),
        rto_ms: Some(13_100),
        heal_to_converged_ms: Some(3_400),
        cells_behind: 0,
        rpo_transactions: rpo,
    }
}

fn details() -> PlaceDetails {
    let source = |name: &str, state, missing_first: &[(u64, u64)]| SourceView {
        name: name.into(),
        state,
        complete_up_to: 117,
        complete_until: Some(NOW),
        missing: missing_first.iter().map(|(from, to)| to - from + 1).sum(),
        missing_first: missing_first.to_vec(),
        dead_letters: 0,
        late: 0,
    };
    PlaceDetails {
        location: "S0002".into(),
        known: certain(),
        sources: (1..=12)
            .map(|unit| match unit {
                4 => SourceView {
                    dead_letters: 2,
                    late: 5,
                    ..source("till 4", SourceKnown::Missing, &[(118, 119), (131, 131)])
                },
                12 => source("reader 1", SourceKnown::NeverSeen, &[]),
                unit => source(&format!("till {unit}"), SourceKnown::Complete, &[]),
            })
            .collect(),
    }
}

fn ended(outcome: Outcome) -> Snapshot {
    let mut snapshot = running();
    snapshot.phase = Phase::Verdict;
    let red = outcome == Outcome::Fail;
    snapshot.proof.cells_diverging = if red { 2 } else { 0 };
    snapshot.proof.transactions_lost = u64::from(red);
    snapshot.outages = vec![outage("inventory stopped", Some(0))];
    let report = audit::AuditReport {
        transactions_lost: audit::Named {
            count: u64::from(red),
            ..audit::Named::default()
        },
        ..audit::AuditReport::default()
    };
    snapshot.anomalies = crate::stage::anomalies_of(&report);
    snapshot.verdict = Some(VerdictView {
        outcome,
        reasons: vec![if red {
            "1 transaction lost, 2 cells differ from the truth".into()
        } else {
            "every cell equals the truth; nothing lost, nothing counted twice".into()
        }],
        diverging: if red {
            vec!["S0042/100234: truth 12, view 13, lost".into()]
        } else {
            Vec::new()
        },
        formats: Vec::new(),
        dirt: Vec::new(),
    });
    snapshot
}

fn model(snapshot: Snapshot) -> Model {
    let mut model = Model::new(Arc::new(starting()), Theme::Colour);
    update(&mut model, Msg::Snapshot(Arc::new(snapshot)));
    model
}

fn draw(model: &Model, width: u16, height: u16) -> Buffer {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a test backend");
    terminal
        .draw(|frame| {
            view(model, frame);
        })
        .expect("drawing to memory");
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let rows: Vec<String> = buffer
        .content
        .chunks(width)
        .map(|row| {
            row.iter()
                .map(ratatui::buffer::Cell::symbol)
                .collect::<String>()
                .trim_end()
                .to_owned()
        })
        .collect();
    rows.join("\n")
}

fn key(model: &mut Model, code: KeyCode) -> Option<Command> {
    update(model, Msg::Key(KeyEvent::new(code, KeyModifiers::NONE)))
}

#[test]
fn every_view_looks_as_recorded_at_every_size() {
    for (name, snapshot) in [
        ("starting", starting()),
        ("running", running()),
        ("region_offline", region_offline()),
        ("pass", ended(Outcome::Pass)),
        ("fail", ended(Outcome::Fail)),
    ] {
        for (width, height) in [(80, 24), (120, 40), (200, 60)] {
            let mut model = model(snapshot.clone());
            insta::assert_snapshot!(
                format!("{name}_{width}x{height}_first"),
                text(&draw(&model, width, height))
            );
            if width == 200 || name == "starting" {
                continue;
            }
            model.overlay = None;
            for (view, label) in View::ALL {
                model.view = view;
                insta::assert_snapshot!(
                    format!("{name}_{width}x{height}_{label}"),
                    text(&draw(&model, width, height))
                );
            }
        }
    }
}

#[test]
fn a_store_shows_each_of_its_sources_those_that_lack_something_first() {
    for (width, height) in [(80, 24), (120, 40)] {
        let mut model = model(region_offline());
        model.view = View::Stores;
        key(&mut model, KeyCode::Down);
        let asked = key(&mut model, KeyCode::Enter);
        assert_eq!(asked, Some(Command::LookAt(Some(LocationId::store(2)))));
        assert!(text(&draw(&model, width, height)).contains("asked …"));
        let mut snapshot = region_offline();
        snapshot.details = Some(Arc::new(details()));
        update(&mut model, Msg::Snapshot(Arc::new(snapshot)));
        insta::assert_snapshot!(
            format!("store_{width}x{height}"),
            text(&draw(&model, width, height))
        );
        // The sources of one store are never shown as another's.
        assert_eq!(
            key(&mut model, KeyCode::Down),
            Some(Command::LookAt(Some(LocationId::store(3))))
        );
        assert!(!text(&draw(&model, width, height)).contains("reader 1"));
        assert_eq!(key(&mut model, KeyCode::Esc), Some(Command::LookAt(None)));
    }
}

#[test]
fn the_help_lists_every_key() {
    let mut model = model(running());
    key(&mut model, KeyCode::Char('?'));
    insta::assert_snapshot!("help_80x24", text(&draw(&model, 80, 24)));
    key(&mut model, KeyCode::Esc);
    assert_eq!(model.overlay, None);
    assert!(!model.leave, "Esc never quits");
}

#[test]
fn a_small_window_says_what_it_needs() {
    let shown = text(&draw(&model(running()), 60, 20));
    assert!(shown.contains("60 × 20") && shown.contains("80 × 24"), "{shown}");
}

#[test]
fn the_mono_theme_sets_no_colour_anywhere() {
    for snapshot in [running(), region_offline(), ended(Outcome::Fail)] {
        let mut model = model(snapshot);
        model.theme = Theme::from_no_color(Some("1"));
        for (view, _) in View::ALL {
            model.view = view;
            let buffer = draw(&model, 120, 40);
            assert!(
                buffer
                    .content
                    .iter()
                    .all(|cell| cell.fg == Color::Reset && cell.bg == Color::Reset)
            );
        }
    }
}

#[test]
fn states_differ_by_glyph_and_not_only_by_colour() {
    let states = [
        PlaceState::Equal,
        PlaceState::NeverSeen,
        PlaceState::Diverging(1),
        PlaceState::Diverging(999),
        PlaceState::Offline(1),
    ];
    let mut glyphs: Vec<_> = states
        .iter()
        .map(|state| super::heat::look(&stores(|_| *state)[0]).0)
        .collect();
    let unknown = with_known(&stores(|_| PlaceState::Equal), |_| KnownView {
        is_certain: false,
        ..certain()
    });
    glyphs.push(super::heat::look(&unknown[0]).0);
    glyphs.sort_unstable();
    glyphs.dedup();
    assert_eq!(glyphs.len(), states.len() + 1);
}

#[test]
fn a_character_for_several_stores_shows_the_worst_of_them() {
    let mut snapshot = running();
    snapshot.stores = stores(|number| {
        if number == 2 {
            PlaceState::Offline(1)
        } else {
            PlaceState::Equal
        }
    });
    let shown = text(&draw(&model(snapshot), 80, 24));
    assert!(shown.contains("│o■"), "{shown}");
}

#[test]
fn a_frozen_screen_keeps_its_figures_until_the_verdict() {
    let mut model = model(running());
    key(&mut model, KeyCode::Char('f'));
    update(&mut model, Msg::Snapshot(Arc::new(region_offline())));
    assert_eq!(model.snapshot.stores_offline, 0);
    update(&mut model, Msg::Snapshot(Arc::new(ended(Outcome::Pass))));
    assert_eq!(model.snapshot.phase, Phase::Verdict);
    assert_eq!(model.overlay, Some(Overlay::Verdict));
}

#[test]
fn quitting_asks_the_stage_first_and_leaves_at_the_second_press() {
    let mut model = model(running());
    assert_eq!(key(&mut model, KeyCode::Char('q')), Some(Command::Quit));
    assert!(!model.leave);
    assert_eq!(key(&mut model, KeyCode::Char('q')), Some(Command::Quit));
    assert!(model.leave);
}

#[test]
fn space_plus_and_minus_ask_the_stage() {
    let mut model = model(running());
    assert_eq!(key(&mut model, KeyCode::Char(' ')), Some(Command::TogglePause));
    assert_eq!(key(&mut model, KeyCode::Char('+')), Some(Command::Faster));
    assert_eq!(key(&mut model, KeyCode::Char('-')), Some(Command::Slower));
}

#[test]
fn the_filter_finds_stores_by_number_region_and_name() {
    let mut model = model(running());
    key(&mut model, KeyCode::Char('/'));
    for letter in "s0042".chars() {
        assert_eq!(key(&mut model, KeyCode::Char(letter)), None);
    }
    key(&mut model, KeyCode::Enter);
    assert_eq!(model.listed().len(), 1);
    assert!(!model.leave, "letters of a filter are no commands");
    key(&mut model, KeyCode::Char('/'));
    key(&mut model, KeyCode::Esc);
    assert_eq!(model.listed().len(), 2300);
}

#[test]
fn the_cursor_stays_inside_the_list() {
    let mut model = model(running());
    model.view = View::Stores;
    key(&mut model, KeyCode::Up);
    assert_eq!(model.cursor, 0);
    key(&mut model, KeyCode::Char('G'));
    key(&mut model, KeyCode::Down);
    assert_eq!(model.cursor, 2299);
    key(&mut model, KeyCode::PageUp);
    assert_eq!(model.cursor, 2299 - model.page);
}

fn with_faults() -> Snapshot {
    let outbreak = |name, broken_at_s, mended_at_s, hits| FaultView {
        name,
        broken_at_s,
        mended_at_s,
        converged_after_s: None,
        hits,
    };
    let mut snapshot = running();
    snapshot.faults = vec![
        outbreak("duplicates", 10.0, Some(20.0), 40),
        outbreak("late", 41.0, None, 1_204),
        outbreak("inventory-killed", 53.0, None, 1),
    ];
    snapshot
}

#[test]
fn the_list_of_faults_says_what_is_broken_and_how_often_it_hit() {
    let mut model = model(with_faults());
    key(&mut model, KeyCode::Char('b'));
    insta::assert_snapshot!("faults_80x24", text(&draw(&model, 80, 24)));
    for _ in 0..100 {
        key(&mut model, KeyCode::Down);
    }
    insta::assert_snapshot!("faults_last_120x40", text(&draw(&model, 120, 40)));
}

#[test]
fn what_is_broken_is_on_every_view() {
    let mut model = model(with_faults());
    for (view, _) in View::ALL {
        model.view = view;
        let shown = text(&draw(&model, 80, 24));
        assert!(
            shown.contains("✗ broken  late 24.0s, hit 1,204 · inventory-killed 12.0s, hit 1"),
            "{shown}"
        );
    }
}

#[test]
fn enter_breaks_what_is_whole_and_mends_what_is_broken() {
    use scenario::{Fault, Mend};
    let mut model = model(with_faults());
    key(&mut model, KeyCode::Char('b'));
    assert_eq!(model.overlay, Some(Overlay::Faults));
    assert_eq!(
        key(&mut model, KeyCode::Enter),
        Some(Command::Break(Fault::Duplicates))
    );
    key(&mut model, KeyCode::Down);
    assert_eq!(
        key(&mut model, KeyCode::Enter),
        Some(Command::Mend(Mend::One(Fault::Late)))
    );
    assert_eq!(
        key(&mut model, KeyCode::Char('m')),
        Some(Command::Mend(Mend::All))
    );
    assert_eq!(model.cursor, 0, "the list below does not move");
    key(&mut model, KeyCode::Char('b'));
    assert_eq!(model.overlay, None);
}
