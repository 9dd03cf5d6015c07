//! The real program in a real terminal: what an operator sees, types, and gets back in the end.
#![cfg(target_os = "linux")]

mod pty;

use pty::{Terminal, children, wait_until_gone};

const PROGRAM: &str = env!("CARGO_BIN_EXE_collab-tui");
const SIZE: (u16, u16) = (120, 35);
/// A network that answers within milliseconds.
const QUICK: &str = "demo --model tiny_face_detector --devices 2,2";

#[test]
fn a_newcomer_watches_operates_and_leaves_the_demo() {
    let mut terminal = Terminal::run(PROGRAM, "demo --record session.mcap", SIZE);
    terminal.wait_for("● DEMO   3/3 workers   upconv7");
    let workers = children(terminal.pid());
    assert_eq!(workers.len(), 3, "one process a worker");
    // The first planned run has been compared with one device's.
    terminal.wait("a collaborative run", |text| text.contains("×") && text.contains("✓ bit-equal to one"));
    terminal.press("2").wait_for("Layers   predicted against measured");
    terminal.press("3").wait_for("Timeline of run");
    terminal.press("4").wait_for("▌4 Training▐");
    terminal.press("?").wait_for("Signs and words");
    terminal.press("\x1b").wait("the help is closed", |text| !text.contains("Signs and words"));
    // A throttle of B, with the share typed over the one that is offered.
    terminal.press("1").wait_for("▌1 Overview▐");
    terminal.press("jt").wait_for(":throttle B 60");
    terminal.press("40\r").wait("B at 40 %", |text| row_of(text, "B ≈pi4").contains("  40 %"));
    terminal.press("5").wait_for("●  operator  throttle B to 40 %");
    terminal.press(":link A 200mbit 1ms\r").wait_for("link of A at 200 Mbit/s, delay 1.0 ms");
    terminal.press("mhalf time\r").wait_for("mark half time");
    terminal.press("f").wait_for("▲ frozen");
    terminal.press("f").wait("thawed", |text| !text.contains("▲ frozen"));
    terminal.press(":accept B\r").wait_for("▲ accept stands alone");
    terminal.press("\x1b").wait("the prompt is closed", |text| !text.contains(":accept B"));
    terminal.press("v").wait_for("verified: the output of run");
    terminal.press(" ").wait_for("‖ held");
    terminal.press(" ").wait_for("● DEMO");
    for size in [(80, 24), (60, 20), SIZE] {
        terminal.resize(size);
        match size {
            (60, 20) => terminal.wait_for("collab needs 80×24 cells, this screen has 60×20"),
            _ => terminal.wait("all of the screen", |text| {
                text.contains("▌5 Log▐") && text.lines().last().is_some_and(|keys| keys.contains("↑↓ select"))
            }),
        };
    }
    let temporary = terminal.folder.path().join("tmp");
    assert_eq!(entries(&temporary), 1, "the workers' keys and caches");
    let replayed = terminal.folder.path().join("session.mcap");
    terminal.press("q");
    wait_until_gone(&workers);
    let copy = tempfile::tempdir().unwrap();
    let kept = copy.path().join("session.mcap");
    let (code, text) = end_keeping(terminal, &replayed, &kept);
    assert_eq!(code, 0, "{text}");
    for part in ["upconv7", "bit-equal", "collab-tui replay"] {
        assert!(text.contains(part), "the summary names {part}:\n{text}");
    }

    let mut replay = Terminal::run(PROGRAM, &format!("replay '{}' --at 0:05", kept.display()), (80, 24));
    replay.wait_for("REPLAY");
    for view in ["1", "2", "3", "4", "5"] {
        replay.press(view).wait(view, |text| text.contains(&format!("▌{view} ")));
    }
    replay.press("G").wait_for("mark half time");
    replay.press("t").wait_for("▲ this is a replay");
    replay.press("q");
    assert_eq!(replay.end().0, 0);
}

#[test]
fn every_command_is_settled_whatever_is_chosen_at_once() {
    let mut terminal = Terminal::run(PROGRAM, &format!("{QUICK} --no-train --record session.mcap"), SIZE);
    terminal.press("3").wait_for("by erl");
    terminal.press("vvv:edit 0-1:=/2-18:A\r:edit 0-3:=/4-18:B\ruu:edit 0-18:A\ru");
    // Hollow until it is settled.
    terminal.press("5").wait("nothing hollow", |text| {
        text.matches("operator  undo").count() == 3 && !text.contains("○  operator")
    });
    let session = terminal.folder.path().join("session.mcap");
    let copy = tempfile::tempdir().unwrap();
    terminal.press("q").wait_for_end();
    std::fs::copy(session, copy.path().join("session.mcap")).unwrap();
    assert_eq!(terminal.end().0, 0);
    let mut export = std::process::Command::new(PROGRAM);
    export.current_dir(copy.path()).args(["export", "session.mcap", "--csv", "."]);
    assert!(export.output().unwrap().status.success());
    let commands = std::fs::read_to_string(copy.path().join("commands.csv")).unwrap();
    assert_eq!(commands.matches(",verify,lab,,done,").count(), 3, "{commands}");
    assert_eq!(commands.matches(",pending,").count(), 0, "{commands}");
}

#[test]
fn the_terminal_is_given_back_after_an_interrupt_and_after_each_signal() {
    // ^C is a key in raw mode; the others come from outside.
    let terminals = ["^C", "INT", "TERM", "HUP"]
        .map(|name| (name, Terminal::run(PROGRAM, &format!("{QUICK} --no-record"), SIZE)));
    for (name, mut terminal) in terminals {
        terminal.wait_for("✓ bit-equal");
        let workers = children(terminal.pid());
        assert_eq!(workers.len(), 2);
        match name {
            "^C" => {
                terminal.press("\x03");
            }
            signal => terminal.signal(signal),
        }
        wait_until_gone(&workers);
        let (code, text) = terminal.end();
        assert_eq!(code, 0, "{name}:\n{text}");
    }
}

#[test]
fn no_color_is_obeyed_and_what_is_selected_still_shows() {
    let mut terminal = Terminal::run("env", &format!("NO_COLOR=1 '{PROGRAM}' {QUICK} --no-record"), SIZE);
    terminal.wait_for("✓ bit-equal");
    terminal.press("5").wait_for("▸");
    let (colours, reversed) = terminal.inspect(|screen| {
        let cells =
            (0..SIZE.1).flat_map(|row| (0..SIZE.0).filter_map(move |column| screen.cell(row, column)));
        let coloured = |cell: &&vt100::Cell| {
            cell.fgcolor() != vt100::Color::Default || cell.bgcolor() != vt100::Color::Default
        };
        (cells.clone().filter(coloured).count(), cells.filter(|cell| cell.inverse()).count())
    });
    assert_eq!(colours, 0, "no colour at all");
    assert!(reversed > 0, "the selected line is reversed");
    terminal.press("q");
    assert_eq!(terminal.end().0, 0);
}

/// The screen's line that holds `part`.
fn row_of<'a>(text: &'a str, part: &str) -> &'a str {
    text.lines().find(|line| line.contains(part)).unwrap_or_default()
}

fn entries(folder: &std::path::Path) -> usize {
    std::fs::read_dir(folder).expect("the folder is there").count()
}

/// Ends a terminal whose folder holds a file that is still needed.
fn end_keeping(terminal: Terminal, file: &std::path::Path, to: &std::path::Path) -> (i32, String) {
    terminal.wait_for_end();
    std::fs::copy(file, to).expect("the session was recorded");
    assert_eq!(entries(&terminal.folder.path().join("tmp")), 0, "keys and caches are removed");
    terminal.end()
}
