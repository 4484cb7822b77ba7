//! The architecture with its rates: what flows, what waits in front of whom, and whether it comes out right.
//!
//! ```text
//! ┌ flow ─────────────────────────────────────────────────────────┐
//! │ tills ▸ store-gateway ▸ …   tx   tx/s   tx/min  lines/s   lag │
//! ├ stores ──────────────────────────┬ freshness ─────────────────┤
//! │ heat map                         │ p50 p99 max, last minutes  │
//! │                                  ├ proof ─────────────────────┤
//! │                                  │ lost, doubled, cells …     │
//! └──────────────────────────────────┴────────────────────────────┘
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Cell, Paragraph, Row, Sparkline, Table};

use super::model::Model;
use super::theme::{Role, Theme};
use super::{heat, proof};
use crate::format::count;
use crate::snapshot::{ServiceState, StageView};

const PANEL: u16 = 34;

pub fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let stages = model.snapshot.stages.len() as u16;
    let [top, bottom] = Layout::vertical([Constraint::Length(stages + 1), Constraint::Min(9)]).areas(area);
    draw_stages(model, frame, top);
    let [left, right] = Layout::horizontal([Constraint::Min(40), Constraint::Length(PANEL)]).areas(bottom);
    heat::draw(model, frame, left);
    let [freshness, rest] = Layout::vertical([
        Constraint::Length(if bottom.height >= 16 { 5 } else { 3 }),
        Constraint::Min(6),
    ])
    .areas(right);
    draw_freshness(model, frame, freshness);
    proof::draw_panel(model, frame, rest);
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

fn draw_stages(model: &Model, frame: &mut Frame<'_>, area: Rect) {
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
            "",
        ]
        .map(|title| Cell::from(Line::from(title).right_aligned())),
    )
    .style(theme.style(Role::Muted));
    let rows: Vec<Row<'_>> = model
        .snapshot
        .stages
        .iter()
        .map(|stage| row(theme, stage))
        .collect();
    let widths = [
        Constraint::Length(17),
        Constraint::Length(3),
        Constraint::Length(12),
        Constraint::Length(7),
        Constraint::Length(10),
        Constraint::Length(9),
        Constraint::Length(9),
        Constraint::Length(5),
        Constraint::Fill(1),
    ];
    frame.render_widget(Table::new(rows, widths).header(header).column_spacing(1), area);
}

fn row(theme: Theme, stage: &StageView) -> Row<'_> {
    let number = |text: String| Cell::from(Line::from(text).right_aligned());
    let (glyph, role, word) = match stage.state {
        ServiceState::Up => ("●", Role::Good, ""),
        ServiceState::Starting => ("◌", Role::Muted, ""),
        ServiceState::Stopped => ("■", Role::Warn, "stopped"),
        ServiceState::Failed => ("✗", Role::Bad, "failed"),
    };
    let name = Line::from(vec![
        Span::styled(format!(" {glyph} "), theme.style(role)),
        Span::raw(stage.name),
    ]);
    let note = match word {
        "" => Span::styled(stage.note.as_str(), theme.style(Role::Muted)),
        word => Span::styled(word, theme.style(role)),
    };
    // The arrow's place tells at 80 columns what the note tells at more.
    let moving = if word.is_empty() { marker(stage) } else { " ⏸ " };
    let flow = &stage.flow;
    let known = stage.state != ServiceState::Starting;
    let text = |value: f64| {
        if known {
            count(value.round() as u64)
        } else {
            "–".into()
        }
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
        number(if known {
            count(flow.transactions)
        } else {
            "–".into()
        }),
        number(text(flow.transactions_per_s)),
        number(text(flow.transactions_per_s * 60.0)),
        number(text(flow.lines_per_s)),
        Cell::from(Line::from(Span::styled(lag, lag_style)).right_aligned()),
        number(seconds),
        Cell::from(note),
    ])
}

fn draw_freshness(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    let freshness = &model.snapshot.freshness;
    let block = Block::bordered()
        .border_style(theme.style(Role::Muted))
        .title(Span::styled(
            " freshness, due → visible ",
            theme.style(Role::Strong),
        ));
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
            Span::raw(format!(" p50 {} ms ", count(freshness.p50))),
            Span::styled(format!(" p99 {} ms", count(freshness.p99)), theme.style(role)),
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
