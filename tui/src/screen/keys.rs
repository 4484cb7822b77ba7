//! One table of keys: what they do, what the footer and the help say.

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Quit,
    Help,
    Close,
    NextView,
    View(u8),
    Pause,
    Freeze,
    Faster,
    Slower,
    Down,
    Up,
    Top,
    Bottom,
    PageDown,
    PageUp,
    Filter,
    Details,
    Faults,
    MendAll,
}

#[derive(Debug)]
pub struct Binding {
    pub keys: &'static [KeyCode],
    /// As the footer and the help print it.
    pub label: &'static str,
    pub action: Action,
    /// Empty: said with another key.
    pub help: &'static str,
    /// One word for the footer; empty: only in the help.
    pub footer: &'static str,
}

const fn binding(
    keys: &'static [KeyCode],
    label: &'static str,
    action: Action,
    footer: &'static str,
    help: &'static str,
) -> Binding {
    Binding {
        keys,
        label,
        action,
        help,
        footer,
    }
}

use KeyCode::{BackTab, Char, Down, End, Enter, Esc, Home, PageDown, PageUp, Tab, Up};

pub const BINDINGS: &[Binding] = &[
    binding(
        &[Char('q')],
        "q",
        Action::Quit,
        "quit",
        "sum up and leave; again leaves at once (Ctrl-C too)",
    ),
    binding(&[Char('?')], "?", Action::Help, "help", "this help"),
    binding(
        &[Char(' ')],
        "space",
        Action::Pause,
        "pause",
        "pause the simulation, and go on",
    ),
    binding(
        &[Char('+'), Char('=')],
        "+",
        Action::Faster,
        "faster",
        "twice as fast",
    ),
    binding(&[Char('-')], "-", Action::Slower, "slower", "half as fast"),
    binding(
        &[Char('b')],
        "b",
        Action::Faults,
        "break",
        "what can be broken: choose, and Enter breaks or mends it",
    ),
    binding(&[Char('m')], "m", Action::MendAll, "", "mend all that is broken"),
    binding(&[Tab, BackTab], "Tab", Action::NextView, "view", "the next view"),
    binding(
        &[Char('1')],
        "1 2 3",
        Action::View(0),
        "",
        "the flow, the stores one by one, the proof",
    ),
    binding(&[Char('2')], "2", Action::View(1), "", ""),
    binding(&[Char('3')], "3", Action::View(2), "", ""),
    binding(
        &[Char('f')],
        "f",
        Action::Freeze,
        "freeze",
        "freeze the screen; the simulation goes on",
    ),
    binding(
        &[Char('j'), Down],
        "j k ↓ ↑",
        Action::Down,
        "",
        "down and up a line",
    ),
    binding(&[Char('k'), Up], "k", Action::Up, "", ""),
    binding(
        &[Char('g'), Home],
        "g G",
        Action::Top,
        "",
        "to the first and the last line",
    ),
    binding(&[Char('G'), End], "G", Action::Bottom, "", ""),
    binding(
        &[PageDown],
        "PgDn PgUp",
        Action::PageDown,
        "",
        "down and up a page",
    ),
    binding(&[PageUp], "PgUp", Action::PageUp, "", ""),
    binding(
        &[Char('/')],
        "/",
        Action::Filter,
        "filter",
        "stores whose number, region or name holds a text",
    ),
    binding(
        &[Enter],
        "Enter",
        Action::Details,
        "",
        "details of the store under the cursor",
    ),
    binding(
        &[Esc],
        "Esc",
        Action::Close,
        "",
        "close what lies over the view; never quits",
    ),
];

/// What a key means; releases and repeats of a held key's release mean nothing.
pub fn action(event: &KeyEvent) -> Option<Action> {
    if event.kind != KeyEventKind::Press {
        return None;
    }
    if event.modifiers.contains(KeyModifiers::CONTROL) {
        return matches!(event.code, Char('c')).then_some(Action::Quit);
    }
    BINDINGS
        .iter()
        .find(|binding| binding.keys.contains(&event.code))
        .map(|binding| binding.action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_means_two_things() {
        let mut seen = Vec::new();
        for binding in BINDINGS {
            for key in binding.keys {
                assert!(!seen.contains(key), "{key:?} is bound twice");
                seen.push(*key);
            }
        }
    }

    #[test]
    fn only_a_press_counts() {
        let mut event = KeyEvent::new(Char('q'), KeyModifiers::NONE);
        assert_eq!(action(&event), Some(Action::Quit));
        event.kind = KeyEventKind::Release;
        assert_eq!(action(&event), None);
        assert_eq!(
            action(&KeyEvent::new(Char('c'), KeyModifiers::CONTROL)),
            Some(Action::Quit)
        );
    }
}
