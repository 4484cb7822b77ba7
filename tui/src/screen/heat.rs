//! All stores, a character each where there is room; otherwise a character stands for several and shows the worst.
//!
//! ```text
//! ┌ 2,300 stores, 7 a character, the worst ┐
//! │■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■■ │
//! │■■■■■■oooooooo■■■■■■■■■■■■■■■■■■■■■■■■■ │
//! └ ■ equal ? gap ▒ behind × far o offline · new ┘
//! ```

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph};

use super::model::Model;
use super::theme::{Role, Theme};
use crate::format::count;
use crate::snapshot::{PlaceState, PlaceView};

/// From so many differing cells on, a store counts as far behind.
const FAR: u32 = 50;

/// Glyph, role and how bad it is: against the truth, and by what the view knows that it lacks.
pub fn look(store: &PlaceView) -> (&'static str, Role, u8) {
    match store.state {
        PlaceState::Offline(_) => ("o", Role::Accent, 5),
        PlaceState::Diverging(cells) if cells >= FAR => ("×", Role::Bad, 4),
        PlaceState::Diverging(_) => ("▒", Role::Warn, 3),
        _ if store.is_uncertain() => ("?", Role::Warn, 2),
        PlaceState::NeverSeen => ("·", Role::Muted, 1),
        PlaceState::Equal => ("■", Role::Good, 0),
    }
}

/// From so much room on, words of the legend are whole.
const LEGEND: u16 = 50;

fn legend(theme: Theme, width: u16) -> Line<'static> {
    let (gap, offline) = if width >= LEGEND {
        ("gaps", "offline")
    } else {
        ("gap", "off")
    };
    let entries = [
        ("■", Role::Good, "equal"),
        ("?", Role::Warn, gap),
        ("▒", Role::Warn, "behind"),
        ("×", Role::Bad, "far"),
        ("o", Role::Accent, offline),
        ("·", Role::Muted, "new"),
    ];
    let mut spans = Vec::new();
    for (glyph, role, name) in entries {
        spans.push(Span::styled(format!(" {glyph}"), theme.style(role)));
        spans.push(Span::raw(format!(" {name}")));
    }
    spans.push(Span::raw(" "));
    Line::from(spans)
}

/// Rows in which every store has a character of its own.
pub fn rows_needed(stores: usize, width: u16) -> u16 {
    stores
        .div_ceil(usize::from(width).max(1))
        .min(usize::from(u16::MAX)) as u16
}

/// Stores that one character stands for, so that all of them fit.
pub fn stores_per_character(stores: usize, area: Rect) -> usize {
    let room = usize::from(area.width) * usize::from(area.height);
    if room == 0 {
        1
    } else {
        stores.div_ceil(room).max(1)
    }
}

pub fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let stores = &model.snapshot.stores;
    let inner = Block::bordered().inner(area);
    let each = stores_per_character(stores.len(), inner);
    let title = match (stores.len(), each) {
        (0, _) => " stores ".to_owned(),
        (stores, 1) => format!(" {} stores, a character each ", count(stores as u64)),
        (stores, _) => format!(" {} stores, {each} a character, the worst ", count(stores as u64)),
    };
    let block = Block::bordered()
        .border_style(model.theme.style(Role::Muted))
        .title(Span::styled(title, model.theme.style(Role::Strong)))
        .title_bottom(legend(model.theme, inner.width));
    let width = usize::from(inner.width).max(1);
    let worst: Vec<&PlaceView> = stores
        .chunks(each)
        .filter_map(|chunk| chunk.iter().max_by_key(|store| look(store).2))
        .collect();
    let lines: Vec<Line<'_>> = worst
        .chunks(width)
        .map(|row| {
            // Runs of one look make one span: a row of equal stores costs one.
            let mut spans: Vec<Span<'_>> = Vec::new();
            let mut run = String::new();
            let mut role = None;
            for store in row {
                let (glyph, this, _) = look(store);
                if role != Some(this) {
                    if let Some(role) = role {
                        spans.push(Span::styled(std::mem::take(&mut run), model.theme.style(role)));
                    }
                    role = Some(this);
                }
                run.push_str(glyph);
            }
            if let Some(role) = role {
                spans.push(Span::styled(run, model.theme.style(role)));
            }
            Line::from(spans)
        })
        .collect();
    frame.render_widget(Paragraph::new(lines).block(block), area);
}
