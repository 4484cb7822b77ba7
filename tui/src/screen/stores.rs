//! The stores, one by one, with a filter.
//!
//! ```text
//!  store  region    view against truth     what the view knows of it          name
//!  S0001  north-1   ■ equal to the truth   complete up to 14:03:22            …
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

/// From this width on names have room.
const WITH_NAMES: u16 = 100;

/// What a state says in words.
pub fn words(state: PlaceState) -> String {
    match state {
        PlaceState::NeverSeen => "not seen yet".into(),
        PlaceState::Equal => "equal to the truth".into(),
        PlaceState::Diverging(1) => "1 cell behind".into(),
        PlaceState::Diverging(cells) => format!("{} cells behind", count(cells.into())),
        PlaceState::Offline(cells) => format!("offline, {} behind", count(cells.into())),
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
    let with_names = list.width >= WITH_NAMES;
    let now = model.snapshot.simulated;
    let rows = listed
        .iter()
        .enumerate()
        .skip(first)
        .take(page)
        .map(|(index, store)| {
            let (glyph, role, _) = heat::look(store);
            let known = if store.is_uncertain() {
                Role::Warn
            } else {
                Role::Muted
            };
            let mut cells = vec![
                Cell::from(format!(" {}", store.location.0)),
                Cell::from(store.region.to_string()),
                Cell::from(Line::from(vec![
                    Span::styled(format!("{glyph} "), theme.style(role)),
                    Span::raw(words(store.state)),
                ])),
                Cell::from(Span::styled(store.known.words(now), theme.style(known))),
            ];
            if with_names {
                cells.push(Cell::from(store.name.to_string()));
            }
            let row = Row::new(cells);
            if index == model.cursor {
                row.style(theme.style(Role::Strong).add_modifier(Modifier::REVERSED))
            } else {
                row
            }
        });
    let mut titles = vec![
        " store",
        "region",
        "view against truth",
        "what the view knows of it",
    ];
    let mut widths = vec![
        Constraint::Length(6),
        Constraint::Length(9),
        Constraint::Length(22),
        Constraint::Min(40),
    ];
    if with_names {
        titles.push("name");
        widths.push(Constraint::Fill(1));
    }
    let header = Row::new(titles).style(theme.style(Role::Muted));
    frame.render_widget(Table::new(rows, widths).header(header), list);
    page
}
