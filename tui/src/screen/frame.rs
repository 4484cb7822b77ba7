//! Header, tabs, presenter's line and key footer around a view.
//!
//! ```text
//! stockstream  First look · seed 42 · embedded stand-in, no Kafka figures
//! 2026-03-13 09:26:53 ×1 · running · 1m05s                     1 Flow 2 Stores 3 Proof
//! (body)
//! ▶ 3/7 A million transactions a minute.
//! q quit  ? help  space pause …
//! ```

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::Modifier;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Wrap};

use super::keys::BINDINGS;
use super::model::{Model, View};
use super::theme::Role;
use super::{faults, flow, overlay, proof, stores};
use crate::format::{clock, count, duration};
use crate::snapshot::{Outcome, PaceView, Phase};

/// What the views need at least.
const WIDTH_MIN: u16 = 80;
const HEIGHT_MIN: u16 = 24;

pub fn draw(model: &Model, frame: &mut Frame<'_>) -> usize {
    let area = frame.area();
    if area.width < WIDTH_MIN || area.height < HEIGHT_MIN {
        let text = format!(
            "This window has {} × {} characters.\nstockstream needs {WIDTH_MIN} × {HEIGHT_MIN}: please enlarge it, or leave with q\nand run with --headless.",
            area.width, area.height
        );
        frame.render_widget(
            Paragraph::new(text)
                .alignment(Alignment::Center)
                .wrap(Wrap { trim: true }),
            area,
        );
        return model.page;
    }
    let [header, tabs, broken, body, say, footer] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(faults::rows(&model.snapshot)),
        Constraint::Min(10),
        Constraint::Length(2),
        Constraint::Length(1),
    ])
    .areas(area);
    draw_header(model, frame, header);
    draw_tabs(model, frame, tabs);
    if broken.height > 0 {
        faults::draw_broken(model, frame, broken);
    }
    let page = match model.view {
        View::Flow => {
            flow::draw(model, frame, body);
            model.page
        }
        View::Stores => stores::draw(model, frame, body),
        View::Proof => {
            proof::draw(model, frame, body);
            model.page
        }
    };
    draw_say(model, frame, say);
    draw_footer(model, frame, footer);
    overlay::draw(model, frame, body);
    page
}

fn draw_header(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let snapshot = &model.snapshot;
    let theme = model.theme;
    let line = Line::from(vec![
        Span::styled(
            " stockstream ",
            theme.style(Role::Accent).add_modifier(Modifier::BOLD),
        ),
        Span::styled(format!(" {} ", snapshot.title), theme.style(Role::Strong)),
        Span::styled(format!("· seed {} · ", snapshot.seed), theme.style(Role::Muted)),
        Span::styled(snapshot.backbone.to_string(), theme.style(Role::Muted)),
    ]);
    frame.render_widget(Paragraph::new(line), area);
}

fn draw_tabs(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let snapshot = &model.snapshot;
    let theme = model.theme;
    let pace = match snapshot.pace {
        PaceView::Speed(x) if x >= 10.0 || x.fract() == 0.0 => format!("×{x:.0}"),
        PaceView::Speed(x) => format!("×{x:.1}"),
        PaceView::Rate(rate) => {
            format!("{} tx/s", count(rate.round() as u64))
        }
        PaceView::Yielding { given, asked } => {
            format!(
                "{} of {} tx/s",
                count(given.round() as u64),
                count(asked.round() as u64)
            )
        }
        PaceView::Unthrottled => "as fast as it goes".into(),
        PaceView::Paused => "PAUSED".into(),
    };
    let simulated = if snapshot.phase == Phase::Starting {
        "–".into()
    } else {
        clock(snapshot.simulated)
    };
    let mut spans = vec![
        Span::styled(format!(" {simulated} "), theme.style(Role::Strong)),
        Span::styled(
            pace,
            theme.style(if snapshot.pace == PaceView::Paused {
                Role::Warn
            } else {
                Role::Accent
            }),
        ),
        Span::raw(" · "),
    ];
    spans.push(match &snapshot.verdict {
        Some(verdict) => Span::styled(
            format!(" {} ", verdict.outcome.label()),
            theme
                .style(if verdict.outcome == Outcome::Pass {
                    Role::Good
                } else {
                    Role::Bad
                })
                .add_modifier(Modifier::REVERSED),
        ),
        None if model.frozen => Span::styled("FROZEN", theme.style(Role::Warn)),
        None => Span::raw(snapshot.phase.label()),
    });
    spans.push(Span::styled(
        format!(" · {}", duration(snapshot.elapsed)),
        theme.style(Role::Muted),
    ));
    frame.render_widget(Paragraph::new(Line::from(spans)), area);

    let mut tabs = Vec::new();
    for (index, (view, name)) in View::ALL.iter().enumerate() {
        let mut style = theme.style(Role::Muted);
        if *view == model.view {
            style = theme.style(Role::Strong).add_modifier(Modifier::REVERSED);
        }
        tabs.push(Span::styled(format!(" {} {name} ", index + 1), style));
    }
    let width = tabs
        .iter()
        .map(|tab| tab.width() as u16)
        .sum::<u16>()
        .min(area.width);
    let right = Rect {
        x: area.right() - width,
        width,
        ..area
    };
    frame.render_widget(Paragraph::new(Line::from(tabs)), right);
}

fn draw_say(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let snapshot = &model.snapshot;
    let theme = model.theme;
    if let Some(alert) = &snapshot.alert {
        let line = Line::from(Span::styled(format!(" ! {alert}"), theme.style(Role::Bad)));
        frame.render_widget(Paragraph::new(line).wrap(Wrap { trim: false }), area);
        return;
    }
    if model.quitting && snapshot.verdict.is_none() {
        let text = " Ending: what is under way is summed up first; q again leaves at once.";
        frame.render_widget(Paragraph::new(Span::styled(text, theme.style(Role::Warn))), area);
        return;
    }
    let mut spans = Vec::new();
    if snapshot.steps > 0 {
        spans.push(Span::styled(
            format!(" {}/{} ", snapshot.step, snapshot.steps),
            theme.style(Role::Accent),
        ));
    }
    spans.push(Span::styled(
        format!(" {}", snapshot.say),
        theme.style(Role::Strong),
    ));
    frame.render_widget(Paragraph::new(Line::from(spans)).wrap(Wrap { trim: false }), area);
}

fn draw_footer(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    if model.typing {
        let line = Line::from(vec![
            Span::styled(" filter: ", theme.style(Role::Accent)),
            Span::raw(format!("{}▏", model.filter)),
            Span::styled("  Enter keeps it, Esc clears it", theme.style(Role::Muted)),
        ]);
        frame.render_widget(Paragraph::new(line), area);
        return;
    }
    let mut spans = Vec::new();
    let mut left = usize::from(area.width);
    for binding in BINDINGS.iter().filter(|binding| !binding.footer.is_empty()) {
        let label = Span::styled(format!(" {}", binding.label), theme.style(Role::Strong));
        let word = Span::styled(format!(" {} ", binding.footer), theme.style(Role::Muted));
        // What does not fit whole is in the help.
        let Some(rest) = left.checked_sub(label.width() + word.width()) else {
            break;
        };
        left = rest;
        spans.extend([label, word]);
    }
    frame.render_widget(Paragraph::new(Line::from(spans)), area);
}
