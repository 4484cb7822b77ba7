//! The terminal is what it was before, however the screen ends. Needs `script` (util-linux), which gives a pseudo-terminal.
#![cfg(all(target_os = "linux", debug_assertions))]

use std::process::{Command, Output, Stdio};

const ENTER: &str = "\u{1b}[?1049h";
const LEAVE: &str = "\u{1b}[?1049l";

/// What a run in a pseudo-terminal writes; `None`: there is no `script` here.
fn in_a_terminal(words: &str, panic: &str) -> Option<Output> {
    let command = format!(
        "stty rows 24 cols 80; {} {words}; stty -a | head -1; stty -a | grep -o -E -- '-?(icanon|echo)( |$)'",
        env!("CARGO_BIN_EXE_stockstream")
    );
    let output = Command::new("script")
        .args(["-qec", &command, "/dev/null"])
        .env("STOCKSTREAM_TEST_PANIC", panic)
        .env("TERM", "xterm-256color")
        .stdin(Stdio::null())
        .output();
    match output {
        Ok(output) => Some(output),
        Err(error) => {
            println!("skipped: no `script` here: {error}");
            None
        }
    }
}

fn assert_restored(panic: &str) {
    let Some(output) = in_a_terminal("run ibm-controlled --speed 20 --exit", panic) else {
        return;
    };
    let text = String::from_utf8_lossy(&output.stdout);
    let (enter, leave) = (text.find(ENTER), text.rfind(LEAVE));
    assert!(enter.is_some() && enter < leave, "{text}");
    let behind = &text[leave.unwrap_or_default()..];
    assert!(!behind[LEAVE.len()..].contains(ENTER), "{behind}");
    // Lines are edited and echoed again.
    assert!(
        behind.contains("icanon") && !behind.contains("-icanon"),
        "{behind}"
    );
    assert!(behind.contains("echo") && !behind.contains("-echo"), "{behind}");
    if !panic.is_empty() {
        assert!(behind.contains("asked for by STOCKSTREAM_TEST_PANIC"), "{behind}");
    }
}

#[test]
fn the_terminal_is_restored_when_the_screen_ends() {
    assert_restored("");
}

#[test]
fn the_terminal_is_restored_after_a_panic_of_the_screen() {
    assert_restored("screen");
}

#[test]
fn the_terminal_is_restored_after_a_panic_of_another_thread() {
    assert_restored("other");
}
