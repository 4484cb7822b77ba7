//! What lies over a view, centred: help, a store, the faults, the verdict.

use audit::SourceKnown;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Padding, Paragraph, Wrap};

use super::faults;
use super::keys::BINDINGS;
use super::model::{Model, Overlay};
use super::stores;
use super::theme::Role;
use crate::format::{count, duration, time_of_day};
use crate::snapshot::Outcome;
use crate::stage::{OutageView, anomalies_line};

pub fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let Some(overlay) = model.overlay else { return };
    let width = 74.min(area.width.saturating_sub(4));
    let inner = usize::from(width.saturating_sub(4)).max(1);
    let room = usize::from(area.height.saturating_sub(2));
    let (title, closing, lines) = match overlay {
        Overlay::Help => (" keys ", " Esc closes ", help(model)),
        Overlay::Faults => (" what can be broken ", " Esc closes ", faults::lines(model, room)),
        Overlay::Store => (" store ", " Esc closes ", store(model, inner, room)),
        Overlay::Verdict => (
            " verdict ",
            " Esc closes · it stays for your questions, q leaves ",
            verdict(model, inner, room),
        ),
    };
    let wanted: usize = lines.iter().map(|line| rows(line, inner)).sum();
    let height = (wanted as u16 + 2).min(area.height);
    let place = Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    };
    let block = Block::bordered()
        .padding(Padding::horizontal(1))
        .title(Span::styled(title, model.theme.style(Role::Strong)))
        .title_bottom(Line::from(closing).right_aligned());
    frame.render_widget(Clear, place);
    frame.render_widget(
        Paragraph::new(lines).wrap(Wrap { trim: false }).block(block),
        place,
    );
}

/// Rows that a line takes where words are not cut: one more than its length tells, at most.
fn rows(line: &Line<'_>, width: usize) -> usize {
    let mut rows = 1;
    let mut used = 0;
    for word in line.to_string().split(' ') {
        let length = word.chars().count();
        if used > 0 && used + 1 + length > width {
            rows += 1;
            used = 0;
        }
        used += length + usize::from(used > 0);
        rows += used.saturating_sub(1) / width;
        used = if used > width { used % width } else { used };
    }
    rows
}

fn help(model: &Model) -> Vec<Line<'static>> {
    BINDINGS
        .iter()
        .filter(|binding| !binding.help.is_empty())
        .map(|binding| {
            Line::from(vec![
                Span::styled(format!("{:<11}", binding.label), model.theme.style(Role::Strong)),
                Span::raw(binding.help),
            ])
        })
        .collect()
}

/// A store with its sources, those that lack something first; what does not fit is counted.
fn store(model: &Model, width: usize, room: usize) -> Vec<Line<'static>> {
    let listed = model.listed();
    let Some(store) = listed.get(model.cursor) else {
        return vec![Line::from("No store matches the filter.")];
    };
    let (theme, now) = (model.theme, model.snapshot.simulated);
    let known = &store.known;
    let mut lines = vec![
        Line::from(Span::styled(
            format!("{} {}", store.location.0, store.name),
            theme.style(Role::Strong),
        )),
        Line::from(format!("region     {}", store.region)),
        Line::from(format!("truth      {}", stores::words(store.state))),
        Line::from(format!("the view   {}", known.words(now))),
    ];
    if let Some(marked) = known.marked {
        lines.push(Line::from(format!(
            "last mark  {}; {} in dead letters, {} late",
            time_of_day(marked, now),
            count(known.dead_letters),
            count(known.late)
        )));
    }
    let details = model
        .snapshot
        .details
        .as_ref()
        .filter(|details| details.location == store.location.0.to_string());
    let Some(details) = details else {
        let text = if known.is_heard {
            "its sources: asked …"
        } else {
            "The view says nothing of its sources yet."
        };
        lines.push(Line::from(Span::styled(text, theme.style(Role::Muted))));
        return lines;
    };
    let mut sources: Vec<_> = details.sources.iter().collect();
    sources.sort_by_key(|source| source.state == SourceKnown::Complete);
    let sources = sources.into_iter().map(|source| {
        let (glyph, role) = match source.state {
            SourceKnown::Complete => ("✓", Role::Good),
            SourceKnown::Missing => ("?", Role::Warn),
            SourceKnown::NeverSeen | SourceKnown::Unknown => ("·", Role::Muted),
        };
        Line::from(vec![
            Span::styled(format!("{glyph} {:<9}", source.name), theme.style(role)),
            Span::raw(source.words(now)),
        ])
    });
    let left_out = add_what_fits(&mut lines, sources, width, room);
    if left_out > 0 {
        lines.push(Line::from(Span::styled(
            format!("… and {left_out} sources more"),
            theme.style(Role::Muted),
        )));
    }
    lines
}

/// Adds lines, in their order, up to `room` rows, of which one stays for what is left out; returns how many are.
fn add_what_fits(
    lines: &mut Vec<Line<'static>>,
    more: impl Iterator<Item = Line<'static>>,
    width: usize,
    room: usize,
) -> usize {
    let used: usize = lines.iter().map(|line| rows(line, width)).sum();
    let mut left = room.saturating_sub(used + 1);
    let mut left_out = 0;
    for line in more {
        let rows = rows(&line, width);
        if left_out == 0 && rows <= left {
            left -= rows;
            lines.push(line);
        } else {
            left_out += 1;
        }
    }
    left_out
}

/// What fits into `room` rows, the weightiest first; what does not is counted.
fn verdict(model: &Model, width: usize, room: usize) -> Vec<Line<'static>> {
    let snapshot = &model.snapshot;
    let theme = model.theme;
    let Some(verdict) = &snapshot.verdict else {
        return vec![Line::from("There is no verdict yet.")];
    };
    let role = match verdict.outcome {
        Outcome::Pass => Role::Good,
        Outcome::Interrupted => Role::Warn,
        Outcome::Fail | Outcome::Invalid => Role::Bad,
    };
    let mut lines = vec![
        Line::from(Span::styled(
            format!(" {} ", verdict.outcome.label()),
            theme
                .style(role)
                .add_modifier(Modifier::REVERSED | Modifier::BOLD),
        )),
        Line::from(format!(
            "{} transactions, {} lines in {}",
            count(snapshot.handled.transactions),
            count(snapshot.handled.lines),
            duration(snapshot.elapsed)
        )),
        Line::from(format!(
            "{} cells compared, {} differ",
            count(snapshot.proof.cells_compared),
            count(snapshot.proof.cells_diverging)
        )),
        Line::from(anomalies_line(&snapshot.anomalies)),
    ];
    let outages = snapshot.outages.iter().map(OutageView::sentence);
    let reasons = verdict
        .reasons
        .iter()
        .cloned()
        .chain(outages.filter(|outage| !verdict.reasons.contains(outage)))
        .chain(verdict.dirt.iter().cloned())
        .map(Line::from);
    let cells = verdict
        .diverging
        .iter()
        .map(|cell| Line::from(Span::styled(cell.clone(), theme.style(Role::Bad))));
    let left_out = add_what_fits(&mut lines, reasons.chain(cells), width, room);
    if left_out > 0 {
        lines.push(Line::from(Span::styled(
            format!("… and {left_out} more in the report (--report FILE)"),
            theme.style(Role::Muted),
        )));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_counted_as_words_are_wrapped() {
        let rows = |text: &str, width| rows(&Line::from(text.to_owned()), width);
        assert_eq!(rows("", 10), 1);
        assert_eq!(rows("one two", 10), 1);
        assert_eq!(rows("one two three", 10), 2);
        assert_eq!(rows("0123456789", 10), 1);
        assert_eq!(rows("0123456789a", 10), 2);
    }
}
