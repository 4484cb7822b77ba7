//! Colours by role. The mono theme sets none at all: a reset colour would also cancel reversed and bold.

use ratatui::style::{Color, Modifier, Style};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    Good,
    Warn,
    Bad,
    Accent,
    Muted,
    Strong,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    Colour,
    Mono,
}

impl Theme {
    /// `NO_COLOR` set to anything means mono (no-color.org).
    pub fn from_no_color(no_color: Option<&str>) -> Self {
        if no_color.is_some_and(|value| !value.is_empty()) {
            Self::Mono
        } else {
            Self::Colour
        }
    }

    pub fn style(self, role: Role) -> Style {
        let style = match role {
            Role::Strong | Role::Bad => Style::new().add_modifier(Modifier::BOLD),
            _ => Style::new(),
        };
        if self == Self::Mono {
            return match role {
                Role::Accent => style.add_modifier(Modifier::REVERSED),
                Role::Muted => style.add_modifier(Modifier::DIM),
                _ => style,
            };
        }
        match role {
            Role::Good => style.fg(Color::Green),
            Role::Warn => style.fg(Color::Yellow),
            Role::Bad => style.fg(Color::Red),
            Role::Accent => style.fg(Color::Cyan),
            Role::Muted => style.fg(Color::DarkGray),
            Role::Strong => style,
        }
    }
}
