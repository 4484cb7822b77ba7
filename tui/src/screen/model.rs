//! The screen's own state. `update` is the only place that changes it.

use std::sync::Arc;

use contracts::ids::LocationId;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::keys::{self, Action};
use super::theme::Theme;
use crate::snapshot::{Command, Phase, PlaceView, Snapshot};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    Flow,
    Stores,
    Proof,
}

impl View {
    pub const ALL: [(Self, &'static str); 3] = [
        (Self::Flow, "Flow"),
        (Self::Stores, "Stores"),
        (Self::Proof, "Proof"),
    ];

    fn next(self) -> Self {
        let index = Self::ALL
            .iter()
            .position(|(view, _)| *view == self)
            .unwrap_or_default();
        Self::ALL[(index + 1) % Self::ALL.len()].0
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overlay {
    Help,
    /// Of the store under the cursor.
    Store,
    Verdict,
}

#[derive(Debug)]
pub enum Msg {
    Snapshot(Arc<Snapshot>),
    Key(KeyEvent),
    /// Lines that a page of the list holds, as last drawn.
    Page(usize),
}

#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the screen")]
#[derive(Debug)]
pub struct Model {
    pub snapshot: Arc<Snapshot>,
    pub theme: Theme,
    pub view: View,
    pub overlay: Option<Overlay>,
    pub frozen: bool,
    pub cursor: usize,
    pub filter: String,
    /// Keys go into the filter.
    pub typing: bool,
    pub page: usize,
    /// Asked to end; once more leaves at once.
    pub quitting: bool,
    pub leave: bool,
    verdict_shown: bool,
    /// The store whose sources were asked for last.
    looked_at: Option<LocationId>,
}

impl Model {
    pub fn new(snapshot: Arc<Snapshot>, theme: Theme) -> Self {
        Self {
            snapshot,
            theme,
            view: View::Flow,
            overlay: None,
            frozen: false,
            cursor: 0,
            filter: String::new(),
            typing: false,
            page: 10,
            quitting: false,
            leave: false,
            verdict_shown: false,
            looked_at: None,
        }
    }

    /// Asks for the sources of the store whose details are shown, when that has changed.
    fn look_again(&mut self) -> Option<Command> {
        let shown = if self.overlay == Some(Overlay::Store) {
            self.listed().get(self.cursor).map(|store| store.location.0)
        } else {
            None
        };
        (shown != self.looked_at).then(|| {
            self.looked_at = shown;
            Command::LookAt(shown)
        })
    }

    /// Stores that the filter leaves.
    pub fn listed(&self) -> Vec<&PlaceView> {
        let wanted = self.filter.to_lowercase();
        self.snapshot
            .stores
            .iter()
            .filter(|store| {
                wanted.is_empty()
                    || store.location.0.to_string().to_lowercase().contains(&wanted)
                    || store.region.to_lowercase().contains(&wanted)
                    || store.name.to_lowercase().contains(&wanted)
            })
            .collect()
    }
}

pub fn update(model: &mut Model, msg: Msg) -> Option<Command> {
    match msg {
        Msg::Page(lines) => {
            model.page = lines.max(1);
            None
        }
        Msg::Snapshot(snapshot) => {
            let verdict = snapshot.phase == Phase::Verdict;
            if model.frozen && !verdict {
                return None;
            }
            model.snapshot = snapshot;
            if verdict && !model.verdict_shown {
                model.verdict_shown = true;
                model.frozen = false;
                model.overlay = Some(Overlay::Verdict);
            }
            let last = model.listed().len().saturating_sub(1);
            model.cursor = model.cursor.min(last);
            None
        }
        Msg::Key(event) if model.typing => {
            type_filter(model, &event);
            model.look_again()
        }
        Msg::Key(event) => {
            let command = act(model, keys::action(&event)?);
            command.or_else(|| model.look_again())
        }
    }
}

fn type_filter(model: &mut Model, event: &KeyEvent) {
    if event.kind != KeyEventKind::Press {
        return;
    }
    match event.code {
        KeyCode::Char('c') if event.modifiers.contains(KeyModifiers::CONTROL) => model.typing = false,
        KeyCode::Char(letter) if model.filter.chars().count() < 32 => model.filter.push(letter),
        KeyCode::Backspace => {
            model.filter.pop();
        }
        KeyCode::Esc => {
            model.filter.clear();
            model.typing = false;
        }
        KeyCode::Enter => model.typing = false,
        _ => {}
    }
    model.cursor = 0;
}

fn act(model: &mut Model, action: Action) -> Option<Command> {
    let last = model.listed().len().saturating_sub(1);
    match action {
        Action::Quit => {
            if model.quitting || model.snapshot.phase == Phase::Verdict {
                model.leave = true;
            }
            model.quitting = true;
            return Some(Command::Quit);
        }
        Action::Help => toggle(&mut model.overlay, Overlay::Help),
        Action::Close => {
            if model.overlay.take().is_none() {
                model.filter.clear();
            }
        }
        Action::NextView => model.view = model.view.next(),
        Action::View(index) => {
            if let Some((view, _)) = View::ALL.get(usize::from(index)) {
                model.view = *view;
            }
        }
        Action::Pause => return Some(Command::TogglePause),
        Action::Freeze => model.frozen = !model.frozen,
        Action::Faster => return Some(Command::Faster),
        Action::Slower => return Some(Command::Slower),
        Action::Down => model.cursor = (model.cursor + 1).min(last),
        Action::Up => model.cursor = model.cursor.saturating_sub(1),
        Action::Top => model.cursor = 0,
        Action::Bottom => model.cursor = last,
        Action::PageDown => model.cursor = (model.cursor + model.page).min(last),
        Action::PageUp => model.cursor = model.cursor.saturating_sub(model.page),
        Action::Filter => {
            model.view = View::Stores;
            model.typing = true;
        }
        Action::Details => match model.view {
            View::Stores => toggle(&mut model.overlay, Overlay::Store),
            View::Flow | View::Proof if model.snapshot.verdict.is_some() => {
                toggle(&mut model.overlay, Overlay::Verdict);
            }
            View::Flow | View::Proof => {}
        },
    }
    None
}

fn toggle(overlay: &mut Option<Overlay>, wanted: Overlay) {
    *overlay = if *overlay == Some(wanted) {
        None
    } else {
        Some(wanted)
    };
}
