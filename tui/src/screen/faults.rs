//! What can be broken, and what is: the overlay with the library of faults, and the row that says what is broken now.
//!
//! ```text
//!  ✗ broken  inventory-killed 12.0s, hit 1 · late 3.0s, hit 40
//! ```

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;
use scenario::{FAULTS, FaultInfo, Mend};

use super::keys::Action;
use super::model::Model;
use super::theme::Role;
use crate::format::{count, duration};
use crate::snapshot::{Command, FaultView, Snapshot};

/// Rows of the overlay that are not faults: an empty one, two of explanation, one of keys.
const ROWS_BELOW: usize = 4;

/// What a step, and so a key, can break.
fn listed() -> impl Iterator<Item = &'static FaultInfo> {
    FAULTS.iter().filter(|info| info.fault.is_step())
}

pub fn last() -> usize {
    listed().count() - 1
}

fn broken(snapshot: &Snapshot) -> impl Iterator<Item = &FaultView> {
    snapshot.faults.iter().filter(|fault| fault.mended_at_s.is_none())
}

/// Rows that [`draw_broken`] needs.
pub fn rows(snapshot: &Snapshot) -> u16 {
    u16::from(broken(snapshot).next().is_some())
}

fn since(snapshot: &Snapshot, fault: &FaultView) -> String {
    let seconds = (snapshot.elapsed.as_secs_f64() - fault.broken_at_s).max(0.0);
    duration(std::time::Duration::from_secs_f64(seconds))
}

pub fn draw_broken(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let snapshot = &model.snapshot;
    let each: Vec<String> = broken(snapshot)
        .map(|fault| {
            format!(
                "{} {}, hit {}",
                fault.name,
                since(snapshot, fault),
                count(fault.hits)
            )
        })
        .collect();
    let style = model.theme.style(Role::Bad);
    let line = Line::from(vec![
        Span::styled(" ✗ broken ", style.add_modifier(Modifier::BOLD)),
        Span::styled(format!(" {}", each.join(" · ")), style),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

/// The list around the cursor, in so many rows.
pub fn lines(model: &Model, room: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let shown = room.saturating_sub(ROWS_BELOW).clamp(1, last() + 1);
    let first = model
        .fault
        .saturating_sub(shown / 2)
        .min((last() + 1).saturating_sub(shown));
    let mut lines = Vec::new();
    for (index, info) in listed().enumerate().skip(first).take(shown) {
        let is_here = index == model.fault;
        let latest = model
            .snapshot
            .faults
            .iter()
            .rev()
            .find(|one| one.name == info.name);
        let (state, role) = match latest {
            None => ("off".to_owned(), Role::Muted),
            Some(one) if one.mended_at_s.is_none() => (
                format!(
                    "✗ broken {}, hit {}",
                    since(&model.snapshot, one),
                    count(one.hits)
                ),
                Role::Bad,
            ),
            Some(one) => (format!("mended, hit {}", count(one.hits)), Role::Good),
        };
        let mut name = theme.style(Role::Strong);
        if is_here {
            name = name.add_modifier(Modifier::REVERSED);
        }
        lines.push(Line::from(vec![
            Span::raw(if is_here { "▶ " } else { "  " }),
            Span::styled(format!("{:<22}", info.name), name),
            Span::styled(format!(" {state:<28}"), theme.style(role)),
            Span::styled(info.area.label(), theme.style(Role::Muted)),
        ]));
    }
    let here = listed().nth(model.fault).unwrap_or(&FAULTS[0]);
    lines.push(Line::default());
    lines.push(Line::from(format!("{}.", here.about)));
    lines.push(Line::from(Span::styled(
        "Enter breaks or mends it · m mends all",
        theme.style(Role::Muted),
    )));
    lines
}

/// What came of a key while the list is open.
#[derive(Debug)]
pub enum Taken {
    /// It means the same as always.
    No,
    Here,
    Asks(Command),
}

pub fn act(model: &mut Model, action: Action) -> Taken {
    match action {
        Action::Down => model.fault = (model.fault + 1).min(last()),
        Action::Up => model.fault = model.fault.saturating_sub(1),
        Action::Top => model.fault = 0,
        Action::Bottom => model.fault = last(),
        Action::PageDown => model.fault = (model.fault + 8).min(last()),
        Action::PageUp => model.fault = model.fault.saturating_sub(8),
        Action::Details => {
            let Some(info) = listed().nth(model.fault) else {
                return Taken::Here;
            };
            let is_broken = broken(&model.snapshot).any(|one| one.name == info.name);
            return Taken::Asks(if is_broken {
                Command::Mend(Mend::One(info.fault))
            } else {
                Command::Break(info.fault)
            });
        }
        _ => return Taken::No,
    }
    Taken::Here
}
