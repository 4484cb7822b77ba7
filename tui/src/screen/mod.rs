//! The screen: draws snapshots, sends commands, and touches nothing else.
//!
//! ```text
//! ┌ header: scenario, seed, backbone / simulated clock × speed, phase ┐
//! │ tabs                                                              │
//! │ body: one of the views of [`model::View`]                         │
//! │ what the presenter says                                           │
//! └ keys ─────────────────────────────────────────────────────────────┘
//! ```

mod faults;
mod flow;
mod frame;
mod heat;
mod keys;
mod model;
mod overlay;
mod proof;
mod stores;
#[cfg(test)]
mod tests;
mod theme;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ratatui::Frame;
use ratatui::crossterm::event::{self, Event};
use tokio::sync::{mpsc, watch};

pub use model::{Model, Msg, update};
pub use theme::Theme;

use crate::snapshot::{Command, Snapshot};

/// Ten frames a second at most: calm, and cheap over ssh.
const FRAME: Duration = Duration::from_millis(100);
const KEY_WAIT: Duration = Duration::from_millis(40);

/// A thread of this process has panicked: the terminal is restored already, and its message stands there.
static PANICKED: AtomicBool = AtomicBool::new(false);

/// To be called behind what restores the terminal at a panic, so that it is told before.
fn watch_panics() {
    let next = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PANICKED.store(true, Ordering::Release);
        next(info);
    }));
}

/// Draws until the user leaves or `exit_at_verdict` and the verdict is there. Blocks; wants a thread of its own. The
/// terminal is restored on return and after a panic anywhere in the process.
pub fn run(
    mut snapshots: watch::Receiver<Arc<Snapshot>>,
    commands: &mpsc::UnboundedSender<Command>,
    theme: Theme,
    exit_at_verdict: bool,
) -> io::Result<()> {
    let first = Arc::clone(&snapshots.borrow_and_update());
    let mut model = Model::new(first, theme);
    let mut terminal = ratatui::try_init()?;
    watch_panics();
    let mut drawn = None::<Instant>;
    let mut stale = true;
    let result = loop {
        if stale && drawn.is_none_or(|at| at.elapsed() >= FRAME) && !PANICKED.load(Ordering::Acquire) {
            let mut page = model.page;
            if let Err(error) = terminal.draw(|frame| page = view(&model, frame)) {
                break Err(error);
            }
            update(&mut model, Msg::Page(page));
            drawn = Some(Instant::now());
            stale = false;
            #[cfg(debug_assertions)]
            panic_for_a_test();
        }
        if PANICKED.load(Ordering::Acquire) {
            // Nothing is drawn over the message, and no key is waited for: the terminal gives whole lines again.
            return Err(io::Error::other("a part of this program panicked"));
        }
        match event::poll(KEY_WAIT) {
            Ok(true) => match event::read() {
                Ok(Event::Key(key)) => {
                    stale = true;
                    if let Some(command) = update(&mut model, Msg::Key(key)) {
                        // The stage may have ended already: then there is nobody to ask.
                        let _ = commands.send(command);
                    }
                }
                Ok(Event::Resize(..)) => stale = true,
                Ok(_) => {}
                Err(error) => break Err(error),
            },
            Ok(false) => {}
            Err(error) => break Err(error),
        }
        if model.leave {
            break Ok(());
        }
        match snapshots.has_changed() {
            Ok(true) => {
                let snapshot = Arc::clone(&snapshots.borrow_and_update());
                let ended = exit_at_verdict && snapshot.verdict.is_some();
                update(&mut model, Msg::Snapshot(snapshot));
                stale = true;
                if ended {
                    break Ok(());
                }
            }
            Ok(false) => {}
            // The stage is gone; what it showed last stays until the user leaves.
            Err(_) if model.snapshot.verdict.is_some() && !exit_at_verdict => {}
            Err(_) => break Ok(()),
        }
    };
    ratatui::restore();
    result
}

/// A test cannot make a correct program panic.
#[cfg(debug_assertions)]
fn panic_for_a_test() {
    match std::env::var("STOCKSTREAM_TEST_PANIC").as_deref() {
        Ok("screen") => panic!("asked for by STOCKSTREAM_TEST_PANIC"),
        Ok("other") => {
            let _ = std::thread::spawn(|| panic!("asked for by STOCKSTREAM_TEST_PANIC")).join();
        }
        _ => {}
    }
}

/// Draws the model and says how many lines a page of the list has.
pub fn view(model: &Model, frame: &mut Frame<'_>) -> usize {
    frame::draw(model, frame)
}
