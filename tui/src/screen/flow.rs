//! The architecture with its rates: what flows, what waits in front of whom, and whether it comes out right.
//!
//! ```text
//! narrow                                  wide
//! ┌ flow ──────────────────────────────┐  ┌ flow ───────────────────┬ proof ───┐
//! │ tills ▸ gateway ▸ …  tx  tx/s  lag │  │ tills ▸ gateway ▸ …     │ lost …   │
//! │ reconciler …  item-projector …     │  │ reconciler …            │          │
//! │ ✓ all 2,312 places complete up to …│  │ ✓ all 2,312 places …    │          │
//! ├ stores ──────────────┬ proof ──────┤  ├ freshness ──────────────┤          │
//! │ heat map             │ freshness,  │  │ p50 p99 max, two minutes│          │
//! │                      │ lost, cells │  ├ stores ─────────────────┴──────────┤
//! └──────────────────────┴─────────────┘  │ heat map, a character a store      │
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Clear, Paragraph, Row, Sparkline, Table};

use super::model::Model;
use super::theme::{Role, Theme};
use super::{heat, proof};
use crate::format::{count, millis};
use crate::snapshot::{Counts, ServiceState, StageView};

const PANEL: u16 = 34;
/// The table of the flow, without notes.
const TABLE: u16 = 80;
/// Name and marker of a part.
const NAMES: u16 = 22;
/// From here on there is room for a panel beside the table.
const WIDE: u16 = TABLE + PANEL;
/// And from here on for what the scenario expects.
const WIDEST: u16 = WIDE + 50;

pub fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    if area.width >= WIDE {
        draw_wide(model, frame, area);
    } else {
        draw_narrow(model, frame, area);
    }
}

fn draw_narrow(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let (beside, on_the_way): (Vec<_>, Vec<_>) =
        model.snapshot.stages.iter().partition(|stage| is_beside(stage));
    let line = u16::from(!beside.is_empty());
    let [top, extras, known, bottom] = Layout::vertical([
        Constraint::Length(on_the_way.len() as u16 + 1),
        Constraint::Length(line),
        Constraint::Length(1),
        Constraint::Min(9 - line),
    ])
    .areas(area);
    draw_stages(model, &on_the_way, frame, top);
    draw_beside(model, &beside, frame, extras);
    draw_known(model, frame, known);
    let [left, right] = Layout::horizontal([Constraint::Min(40), Constraint::Length(PANEL)]).areas(bottom);
    heat::draw(model, frame, left);
    proof::draw_panel(model, frame, right, true);
}

fn draw_wide(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let all: Vec<&StageView> = model.snapshot.stages.iter().collect();
    let stages = all.len() as u16 + 1;
    let map = heat::rows_needed(model.snapshot.stores.len(), area.width.saturating_sub(2)) + 2;
    // What the map does not need goes to the freshness of the last minutes.
    let top = area
        .height
        .saturating_sub(map.max(6))
        .clamp(stages + 5, stages + 9);
    let [top, bottom] = Layout::vertical([Constraint::Length(top), Constraint::Min(3)]).areas(area);
    let (left, right) = if area.width >= WIDEST {
        let [left, middle, right] = Layout::horizontal([
            Constraint::Length(TABLE),
            Constraint::Length(PANEL + 6),
            Constraint::Min(40),
        ])
        .areas(top);
        proof::draw_expectations(model, frame, right);
        (left, middle)
    } else {
        let [left, right] =
            Layout::horizontal([Constraint::Length(TABLE), Constraint::Min(PANEL)]).areas(top);
        (left, right)
    };
    let [table, known, freshness] = Layout::vertical([
        Constraint::Length(stages),
        Constraint::Length(1),
        Constraint::Min(3),
    ])
    .areas(left);
    draw_stages(model, &all, frame, table);
    draw_known(model, frame, known);
    draw_freshness(model, frame, freshness);
    proof::draw_panel(model, frame, right, false);
    heat::draw(model, frame, bottom);
}

/// What the view says of itself, in one line.
fn draw_known(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let snapshot = &model.snapshot;
    let known = &snapshot.completeness;
    let (glyph, role) = if known.places == 0 {
        ("·", Role::Muted)
    } else if known.certain == known.places {
        ("✓", Role::Good)
    } else {
        ("?", Role::Warn)
    };
    let room = usize::from(area.width).saturating_sub(3);
    let line = Line::from(vec![
        Span::styled(format!(" {glyph} "), model.theme.style(role)),
        Span::styled(known.line(snapshot.simulated, room), model.theme.style(role)),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

/// Three frames of a small wave, driven by what has passed, so that it stands still when nothing moves.
fn marker(stage: &StageView) -> &'static str {
    if stage.flow.transactions_per_s < 0.5 {
        return "   ";
    }
    match stage.flow.transactions / 7 % 3 {
        0 => "▸  ",
        1 => " ▸ ",
        _ => "  ▸",
    }
}

/// A service beside the way of the stock.
fn is_beside(stage: &StageView) -> bool {
    matches!(stage.counts, Counts::Papers | Counts::Items)
}

/// All services beside the way, in one line.
fn draw_beside(model: &Model, beside: &[&StageView], frame: &mut Frame<'_>, area: Rect) {
    let mut spans = Vec::new();
    for stage in beside {
        let (glyph, role, word) = mark(stage);
        spans.push(Span::styled(format!(" {glyph} "), model.theme.style(role)));
        spans.push(Span::raw(stage.name));
        let said = match stage.state {
            ServiceState::Up => {
                let what = if stage.counts == Counts::Papers {
                    "papers"
                } else {
                    "items"
                };
                let waiting = stage
                    .lag
                    .filter(|lag| *lag > 0)
                    .map_or(String::new(), |lag| format!(", {} waiting", count(lag)));
                format!(" {} {what}{waiting} ", count(stage.flow.transactions))
            }
            _ if word.is_empty() => " – ".into(),
            _ => format!(" {word} "),
        };
        let role = if word.is_empty() { Role::Muted } else { role };
        spans.push(Span::styled(said, model.theme.style(role)));
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}

/// How a part's state shows: a glyph, its role, and a word where it does not run.
const fn mark(stage: &StageView) -> (&'static str, Role, &'static str) {
    match stage.state {
        ServiceState::Up => ("●", Role::Good, ""),
        ServiceState::Starting => ("◌", Role::Muted, ""),
        ServiceState::Stopped => ("■", Role::Warn, "stopped"),
        ServiceState::Failed => ("✗", Role::Bad, "failed"),
    }
}

fn draw_stages(model: &Model, stages: &[&StageView], frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    let header = Row::new(
        [
            "",
            "",
            "transactions",
            "tx/s",
            "tx/min",
            "lines/s",
            "waiting",
            "≈ s",
        ]
        .map(|title| Cell::from(Line::from(title).right_aligned())),
    )
    .style(theme.style(Role::Muted));
    let rows: Vec<Row<'_>> = stages.iter().map(|stage| row(theme, stage)).collect();
    let widths = [
        Constraint::Length(17),
        Constraint::Length(3),
        Constraint::Length(12),
        Constraint::Length(7),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(5),
    ];
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), area);
    draw_sentences(model, stages, frame, area);
}

/// What is no transactions has no columns, but a sentence over theirs.
fn draw_sentences(model: &Model, stages: &[&StageView], frame: &mut Frame<'_>, area: Rect) {
    for (stage, row) in stages.iter().zip(1..area.height) {
        let Some(noun) = stage.counts.noun().filter(|_| stage.state == ServiceState::Up) else {
            continue;
        };
        let waiting = stage
            .lag
            .map_or(String::new(), |lag| format!(", {} waiting", count(lag)));
        let text = format!(
            "{} {noun}, {} a second{waiting}",
            count(stage.flow.transactions),
            count(stage.flow.transactions_per_s.round() as u64)
        );
        let place = Rect {
            x: area.x + NAMES,
            y: area.y + row,
            width: TABLE.min(area.width).saturating_sub(NAMES),
            height: 1,
        };
        let style = model.theme.style(Role::Muted);
        frame.render_widget(Clear, place);
        frame.render_widget(
            Paragraph::new(Line::from(Span::styled(text, style)).right_aligned()),
            place,
        );
    }
}

fn row(theme: Theme, stage: &StageView) -> Row<'_> {
    let number = |text: String| Cell::from(Line::from(text).right_aligned());
    let (glyph, role, word) = mark(stage);
    let name = Line::from(vec![
        Span::styled(format!(" {glyph} "), theme.style(role)),
        Span::raw(stage.name),
    ]);
    let moving = if word.is_empty() { marker(stage) } else { " ! " };
    let flow = &stage.flow;
    let known = stage.state != ServiceState::Starting;
    let text = |known: bool, value: f64| {
        if known {
            count(value.round() as u64)
        } else {
            "–".into()
        }
    };
    let (transactions, lines) = match stage.counts {
        Counts::TransactionsAndLines => (known, known),
        Counts::Transactions => (known, false),
        Counts::Totals | Counts::Papers | Counts::Items => (false, false),
    };
    let lag = stage.lag.map_or("–".into(), count);
    let seconds = match (stage.lag, stage.lag_seconds) {
        (Some(0), _) => "0".into(),
        (_, Some(seconds)) if seconds < 9_999.0 => format!("{seconds:.1}"),
        _ => "–".into(),
    };
    let waiting = stage.lag_seconds.is_some_and(|seconds| seconds > 2.0);
    let lag_style = theme.style(if waiting { Role::Warn } else { Role::Strong });
    Row::new(vec![
        Cell::from(name),
        Cell::from(Span::styled(
            moving,
            theme.style(if word.is_empty() { Role::Accent } else { role }),
        )),
        number(text(transactions, flow.transactions as f64)),
        number(text(transactions, flow.transactions_per_s)),
        // A word tells at a glance what numbers do not.
        if word.is_empty() {
            number(text(transactions, flow.transactions_per_s * 60.0))
        } else {
            Cell::from(Line::from(Span::styled(word, theme.style(role))).right_aligned())
        },
        number(text(lines, flow.lines_per_s)),
        Cell::from(Line::from(Span::styled(lag, lag_style)).right_aligned()),
        number(seconds),
    ])
}

fn draw_freshness(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    let freshness = &model.snapshot.freshness;
    let block = Block::bordered()
        .border_style(theme.style(Role::Muted))
        .title(Span::styled(
            " freshness, due → visible, last seconds; below p99 of two minutes ",
            theme.style(Role::Strong),
        ));
    let note = model
        .snapshot
        .stages
        .iter()
        .find(|stage| stage.name == "inventory" && !stage.note.is_empty());
    let block = match note {
        Some(stage) => block.title_bottom(
            Line::from(Span::styled(
                format!(" {}: {} ", stage.name, stage.note),
                theme.style(Role::Muted),
            ))
            .right_aligned(),
        ),
        None => block,
    };
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [text, rest] = Layout::vertical([Constraint::Length(1), Constraint::Min(0)]).areas(inner);
    let line = if freshness.count == 0 {
        Line::from(" –")
    } else {
        let role = if freshness.p99 <= 1_000 {
            Role::Good
        } else {
            Role::Warn
        };
        Line::from(vec![
            Span::raw(format!(" p50 {:>8}  ", millis(freshness.p50))),
            Span::styled(format!(" p99 {:>8}", millis(freshness.p99)), theme.style(role)),
            Span::styled(
                format!(
                    "   p99.9 {:>8}   max {:>8}",
                    millis(freshness.p999),
                    millis(freshness.max)
                ),
                theme.style(Role::Muted),
            ),
        ])
    };
    frame.render_widget(Paragraph::new(line), text);
    if rest.height > 0 {
        let history = &model.snapshot.freshness_history;
        let newest = history.len().saturating_sub(usize::from(rest.width));
        frame.render_widget(
            Sparkline::default()
                .data(&history[newest..])
                .style(theme.style(Role::Accent)),
            rest,
        );
    }
}
