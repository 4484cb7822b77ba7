//! What lies over a view, centred: help, a store, the verdict.

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Wrap};

use super::keys::BINDINGS;
use super::model::{Model, Overlay};
use super::stores;
use super::theme::Role;
use crate::format::{count, duration};
use crate::snapshot::Outcome;

pub fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let Some(overlay) = model.overlay else { return };
    let (title, lines) = match overlay {
        Overlay::Help => (" keys ", help(model)),
        Overlay::Store => (" store ", store(model)),
        Overlay::Verdict => (" verdict ", verdict(model)),
    };
    let width = 72.min(area.width.saturating_sub(4));
    let wanted: u16 = lines
        .iter()
        .map(|line| {
            (line.width() as u16)
                .div_ceil(width.saturating_sub(4).max(1))
                .max(1)
        })
        .sum::<u16>()
        + 2;
    let height = wanted.min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered()
        .padding(Padding::horizontal(1))
        .title(Span::styled(title, model.theme.style(Role::Strong)))
        .title_bottom(Line::from(" Esc closes ").right_aligned());
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(lines).wrap(Wrap { trim: false }).block(block),
        place,
    );
}

fn help(model: &Model) -> Vec<Line<'static>> {
    BINDINGS
        .iter()
        .map(|binding| {
            Line::from(vec![
                Span::styled(format!("{:<7}", binding.label), model.theme.style(Role::Strong)),
                Span::raw(binding.help),
            ])
        })
        .collect()
}

fn store(model: &Model) -> Vec<Line<'static>> {
    let listed = model.listed();
    let Some(store) = listed.get(model.cursor) else {
        return vec![Line::from("No store matches the filter.")];
    };
    vec![
        Line::from(Span::styled(
            format!("{} {}", store.location.0, store.name),
            model.theme.style(Role::Strong),
        )),
        Line::from(format!("region  {}", store.region)),
        Line::from(format!("view    {}", stores::words(store.state))),
    ]
}

fn verdict(model: &Model) -> Vec<Line<'static>> {
    let snapshot = &model.snapshot;
    let theme = model.theme;
    let Some(verdict) = &snapshot.verdict else {
        return vec![Line::from("There is no verdict yet.")];
    };
    let role = if verdict.outcome == Outcome::Pass {
        Role::Good
    } else {
        Role::Bad
    };
    let mut lines = vec![Line::from(Span::styled(
        format!(" {} ", verdict.outcome.label()),
        theme
            .style(role)
            .add_modifier(Modifier::REVERSED | Modifier::BOLD),
    ))];
    lines.extend(verdict.reasons.iter().map(|reason| Line::from(reason.clone())));
    lines.push(Line::default());
    lines.push(Line::from(format!(
        "{} transactions, {} lines in {}",
        count(snapshot.handled.transactions),
        count(snapshot.handled.lines),
        duration(snapshot.elapsed)
    )));
    lines.push(Line::from(format!(
        "{} cells compared, {} differ; lost {}, doubled {}",
        count(snapshot.proof.cells_compared),
        count(snapshot.proof.cells_diverging),
        count(snapshot.proof.transactions_lost),
        count(snapshot.proof.transactions_doubled)
    )));
    lines.extend(
        verdict
            .diverging
            .iter()
            .take(6)
            .map(|cell| Line::from(Span::styled(cell.clone(), theme.style(Role::Bad)))),
    );
    if verdict.diverging.len() > 6 {
        lines.push(Line::from(format!(
            "… and {} more in the report",
            verdict.diverging.len() - 6
        )));
    }
    lines.push(Line::from(Span::styled(
        "Stays for your questions; q leaves.",
        theme.style(Role::Muted),
    )));
    lines
}
