//! The stores, one by one, with a filter.
//!
//! ```text
//!  store  region    state            name
//!  S0001  north-1   ■ equal          …
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::heat;
use super::model::Model;
use super::theme::Role;
use crate::format::count;
use crate::snapshot::PlaceState;

/// What a state says in words.
pub fn words(state: PlaceState) -> String {
    match state {
        PlaceState::NeverSeen => "not seen yet".into(),
        PlaceState::Equal => "equal to the truth".into(),
        PlaceState::Diverging(1) => "1 cell behind".into(),
        PlaceState::Diverging(cells) => format!("{} cells behind", count(cells.into())),
        PlaceState::Offline(cells) => format!("offline, {} cells behind", count(cells.into())),
    }
}

/// Draws the list and says how many stores a page holds.
pub fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) -> usize {
    let theme = model.theme;
    let [head, list] = Layout::vertical([Constraint::Length(1), Constraint::Min(3)]).areas(area);
    let listed = model.listed();
    let mut spans = vec![Span::raw(format!(
        " {} of {} stores",
        count(listed.len() as u64),
        count(model.snapshot.stores.len() as u64)
    ))];
    if !model.filter.is_empty() {
        spans.push(Span::styled(
            format!(" with “{}”", model.filter),
            theme.style(Role::Accent),
        ));
    }
    spans.push(Span::styled(
        "   / filters, Enter shows one",
        theme.style(Role::Muted),
    ));
    frame.render_widget(Paragraph::new(Line::from(spans)), head);

    let page = usize::from(list.height).saturating_sub(1).max(1);
    let first = model
        .cursor
        .saturating_sub(page / 2)
        .min(listed.len().saturating_sub(page));
    let rows = listed
        .iter()
        .enumerate()
        .skip(first)
        .take(page)
        .map(|(index, store)| {
            let (glyph, role, _) = heat::look(store.state);
            let row = Row::new(vec![
                Cell::from(format!(" {}", store.location.0)),
                Cell::from(store.region.to_string()),
                Cell::from(Line::from(vec![
                    Span::styled(format!("{glyph} "), theme.style(role)),
                    Span::raw(words(store.state)),
                ])),
                Cell::from(store.name.to_string()),
            ]);
            if index == model.cursor {
                row.style(theme.style(Role::Strong).add_modifier(Modifier::REVERSED))
            } else {
                row
            }
        });
    let header = Row::new([" store", "region", "view against truth", "name"]).style(theme.style(Role::Muted));
    let widths = [
        Constraint::Length(7),
        Constraint::Length(12),
        Constraint::Length(30),
        Constraint::Fill(1),
    ];
    frame.render_widget(Table::new(rows, widths).header(header), list);
    page
}
