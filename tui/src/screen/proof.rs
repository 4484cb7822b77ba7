//! The proof: what is lost, duplicated, different; what the scenario expected; what outages cost.
//!
//! ```text
//! ┌ proof ─────────────┐┌ expectations ────────────────┐
//! │ lost             0 ││ ✓ converged within 30 s      │
//! │ duplicated       0 ││ … freshness p99 below 400 ms │
//! │ …                  │├ outages ─────────────────────┤
//! │                    ││ ✓ inventory stopped  0 5.0 s │
//! │                    │├ diverging cells ─────────────┤
//! └────────────────────┘└──────────────────────────────┘
//! ```

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Paragraph, Sparkline, Wrap};

use super::model::Model;
use super::theme::{Role, Theme};
use crate::completeness::CompletenessView;
use crate::format::{count, millis, percent};
use crate::snapshot::Phase;

fn entry(theme: Theme, width: u16, name: &str, value: &str, role: Role) -> Line<'static> {
    let room = usize::from(width).saturating_sub(name.chars().count() + 3);
    Line::from(vec![
        Span::raw(format!(" {name} ")),
        Span::styled(format!("{value:>room$}"), theme.style(role)),
    ])
}

/// Freshness in one line, where it has no place of its own.
fn freshness(model: &Model, width: u16) -> Line<'static> {
    let freshness = &model.snapshot.freshness;
    let (text, role) = match freshness.count {
        0 => ("–".to_owned(), Role::Muted),
        _ if freshness.p99 <= 1_000 => (millis(freshness.p99), Role::Good),
        _ => (millis(freshness.p99), Role::Warn),
    };
    entry(model.theme, width, "visible within, p99", &text, role)
}

fn lines(model: &Model, width: u16) -> Vec<Line<'static>> {
    let proof = &model.snapshot.proof;
    let known = &model.snapshot.completeness;
    let theme = model.theme;
    // Before anything was compared, nothing is known.
    let is_known = proof.cells_compared > 0 || model.snapshot.phase == Phase::Verdict;
    let number = |value: u64| if is_known { count(value) } else { "–".into() };
    let known_at_end = model.snapshot.phase == Phase::Verdict;
    let zero_is_good = |value: u64| if value == 0 { Role::Good } else { Role::Bad };
    let at_end = |value: u64| {
        if known_at_end {
            (count(value), zero_is_good(value))
        } else {
            ("at the end".into(), Role::Muted)
        }
    };
    let (lost, lost_role) = at_end(proof.transactions_lost);
    let (doubled, doubled_role) = at_end(proof.transactions_doubled);
    let equal = proof.cells_compared - proof.cells_diverging.min(proof.cells_compared);
    let diverging_role = match (proof.cells_diverging, known_at_end) {
        _ if !is_known => Role::Muted,
        (0, _) => Role::Good,
        (_, true) => Role::Bad,
        (_, false) => Role::Warn,
    };
    let books = if !is_known {
        ("–".to_owned(), Role::Muted)
    } else if proof.books_difference == 0 {
        ("✓ balance".to_owned(), Role::Good)
    } else {
        (format!("✗ off by {}", proof.books_difference), Role::Bad)
    };
    let counted = |name: &str, value: u64, role| entry(theme, width, name, &number(value), role);
    // Anomalies of the other classes are known at the end; two of them are seen when they happen.
    let others: u64 = model
        .snapshot
        .anomalies
        .iter()
        .skip(2)
        .map(|anomaly| anomaly.count)
        .sum();
    let (others, others_role) = at_end(others);
    let violations: u64 = model
        .snapshot
        .violations
        .iter()
        .map(|violation| violation.count)
        .sum();
    let warn = |value: u64| if value == 0 { Role::Good } else { Role::Warn };
    let items_role = match proof.items_diverging {
        0 => Role::Good,
        _ if known_at_end => Role::Bad,
        _ => Role::Warn,
    };
    let equal = if proof.cells_compared == 0 {
        "–".to_owned()
    } else {
        format!(
            "{} of {}",
            percent(equal, proof.cells_compared),
            count(proof.cells_compared)
        )
    };
    let mut entries = vec![
        entry(theme, width, "lost", &lost, lost_role),
        entry(theme, width, "duplicated", &doubled, doubled_role),
        counted("cells that differ", proof.cells_diverging, diverging_role),
        entry(theme, width, "equal", &equal, diverging_role),
        entry(theme, width, "the books", &books.0, books.1),
        counted("violations, live", violations, zero_is_good(violations)),
        counted("repeats dropped", proof.duplicates_dropped, Role::Strong),
        counted("dead letters", proof.dead_letters, warn(proof.dead_letters)),
        entry(theme, width, "other anomalies", &others, others_role),
        entry(
            theme,
            width,
            "places certain",
            &of(known.certain, known.places),
            certain_role(known),
        ),
        entry(
            theme,
            width,
            "sources complete",
            &of(known.sources_complete, known.sources),
            certain_role(known),
        ),
        counted("articles that differ", proof.items_diverging, items_role),
        counted(
            "partitions unknown",
            proof.partitions_unknown,
            warn(proof.partitions_unknown),
        ),
        entry(
            theme,
            width,
            "rebuilt, mended, recovered",
            &format!(
                "{} {} {}",
                count(proof.partitions_rebuilt),
                count(proof.zombie_writes_repaired),
                count(proof.recoveries)
            ),
            Role::Strong,
        ),
        counted("images sealed", proof.images_sealed, Role::Strong),
        entry(
            theme,
            width,
            "on lorries, view",
            &signed(proof.in_transit_view / 1000),
            Role::Strong,
        ),
        entry(
            theme,
            width,
            "on lorries, truth",
            &signed(proof.in_transit_truth / 1000),
            Role::Strong,
        ),
        counted("negative cells", proof.negative_cells, Role::Strong),
        entry(
            theme,
            width,
            "memory, cores",
            &format!(
                "{} MiB, {:.2} of {}",
                count(model.snapshot.resources.rss_mib),
                model.snapshot.resources.cores_used,
                model.snapshot.resources.cores
            ),
            Role::Strong,
        ),
    ];
    // Of the deliveries and not of the proof: shown where there is something to see.
    if proof.discrepancies > 0 {
        entries.push(counted(
            "deliveries that contradict",
            proof.discrepancies,
            Role::Warn,
        ));
    }
    entries
}

/// `2,010 of 2,312`; `–` of nothing.
fn of(part: u64, whole: u64) -> String {
    if whole == 0 {
        "–".into()
    } else {
        format!("{} of {}", count(part), count(whole))
    }
}

const fn certain_role(known: &CompletenessView) -> Role {
    if known.places == 0 {
        Role::Muted
    } else if known.certain == known.places {
        Role::Good
    } else {
        Role::Warn
    }
}

fn signed(value: i64) -> String {
    if value < 0 {
        format!("-{}", count(value.unsigned_abs()))
    } else {
        count(value as u64)
    }
}

/// As much as fits, the weightiest first; `with_freshness`: where that has no place of its own.
/// Below so many rows the panel does without the share of cells that are equal: those that differ say it too.
const WHOLE: u16 = 7;
const EQUAL: usize = 3;

pub fn draw_panel(model: &Model, frame: &mut Frame<'_>, area: Rect, with_freshness: bool) {
    let block = Block::bordered()
        .border_style(model.theme.style(Role::Muted))
        .title(Span::styled(
            " proof, by the audit ",
            model.theme.style(Role::Strong),
        ));
    let inner = block.inner(area);
    let mut lines = lines(model, inner.width);
    if with_freshness {
        if inner.height < WHOLE && lines.len() > EQUAL {
            lines.remove(EQUAL);
        }
        lines.insert(0, freshness(model, inner.width));
    }
    lines.truncate(usize::from(inner.height));
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

pub fn draw(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    let [left, right] = Layout::horizontal([Constraint::Length(40), Constraint::Min(38)]).areas(area);
    let block = Block::bordered()
        .border_style(theme.style(Role::Muted))
        .title(Span::styled(" proof, by the audit ", theme.style(Role::Strong)));
    let inner = block.inner(left);
    let mut text = lines(model, inner.width);
    text.push(Line::default());
    for line in [
        " Cell by cell against a ledger that",
        " only the simulated world feeds.",
    ] {
        text.push(Line::from(Span::styled(line, theme.style(Role::Muted))));
    }
    frame.render_widget(Paragraph::new(text).block(block), left);

    let outages = model.snapshot.outages.len().clamp(1, 6) as u16 + 2;
    let [expected, suffered, history] = Layout::vertical([
        Constraint::Min(7),
        Constraint::Length(outages),
        Constraint::Length(6),
    ])
    .areas(right);
    draw_expectations(model, frame, expected);
    draw_outages(model, frame, suffered);
    draw_history(model, frame, history);
}

/// What the scenario expects, and what became of it.
pub fn draw_expectations(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    let block = Block::bordered()
        .border_style(theme.style(Role::Muted))
        .title(Span::styled(
            " what the scenario expects ",
            theme.style(Role::Strong),
        ));
    let mut text = Vec::new();
    for expectation in &model.snapshot.expectations {
        let (glyph, role) = match expectation.met {
            Some(true) => ("✓", Role::Good),
            Some(false) => ("✗", Role::Bad),
            None => ("…", Role::Muted),
        };
        text.push(Line::from(vec![
            Span::styled(format!(" {glyph} "), theme.style(role)),
            Span::raw(expectation.text.clone()),
            Span::styled(format!("  {}", expectation.detail), theme.style(Role::Muted)),
        ]));
    }
    if text.is_empty() {
        text.push(Line::from(Span::styled(
            " nothing beyond lost 0, duplicated 0",
            theme.style(Role::Muted),
        )));
    }
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), area);
}

/// What each outage cost, the newest that have room.
fn draw_outages(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    let block = Block::bordered()
        .border_style(theme.style(Role::Muted))
        .title(Span::styled(
            " outages: RPO, RTO, from the heal ",
            theme.style(Role::Strong),
        ));
    let inner = block.inner(area);
    let outages = &model.snapshot.outages;
    let first = outages.len().saturating_sub(usize::from(inner.height));
    let seconds = |ms: Option<u64>| ms.map_or("…".into(), |ms| format!("{:.1} s", ms as f64 / 1000.0));
    let mut text: Vec<Line<'_>> = outages[first..]
        .iter()
        .map(|outage| {
            let (glyph, role) = match (outage.is_over(), outage.rpo_transactions) {
                (_, Some(lost)) if lost > 0 => ("✗", Role::Bad),
                (true, _) => ("✓", Role::Good),
                (false, _) => ("…", Role::Warn),
            };
            let lost = outage.rpo_transactions.map_or("…".into(), count);
            let figures = format!(
                "{lost}  {:>6} {:>6}",
                seconds(outage.rto_ms),
                seconds(outage.heal_to_converged_ms)
            );
            let room = usize::from(inner.width).saturating_sub(figures.chars().count() + 4);
            let name: String = outage.name.chars().take(room).collect();
            Line::from(vec![
                Span::styled(format!(" {glyph} "), theme.style(role)),
                Span::raw(format!("{name:<room$} ")),
                Span::styled(figures, theme.style(Role::Strong)),
            ])
        })
        .collect();
    if text.is_empty() {
        text.push(Line::from(Span::styled(" none yet", theme.style(Role::Muted))));
    }
    frame.render_widget(Paragraph::new(text).block(block), area);
}

fn draw_history(model: &Model, frame: &mut Frame<'_>, area: Rect) {
    let theme = model.theme;
    let block = Block::bordered()
        .border_style(theme.style(Role::Muted))
        .title(Span::styled(
            " cells that differ, two minutes ",
            theme.style(Role::Strong),
        ));
    let inner = block.inner(area);
    let data = &model.snapshot.diverging_history;
    let newest = data.len().saturating_sub(usize::from(inner.width));
    frame.render_widget(
        Sparkline::default()
            .data(&data[newest..])
            .style(theme.style(Role::Warn))
            .block(block),
        area,
    );
}
