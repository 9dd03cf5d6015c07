//! The real terminal: entering and leaving it, and when it is taken away. Draws nothing.
//!
//! Whatever ends the program, the terminal is left as it was found: on return, on panic (before its message
//! is printed, unless it is contained), on SIGINT, SIGTERM and SIGHUP, and when the future that holds the guard is dropped.

use std::io::{self, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::event::{
    DisableBracketedPaste, DisableMouseCapture, EnableBracketedPaste, EnableMouseCapture,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute, style};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;
use tokio::sync::Notify;

use crate::contained::is_contained;

/// Whether the terminal is ours at the moment.
static ENTERED: AtomicBool = AtomicBool::new(false);
/// Told when a panic gave the terminal back.
static PANICKED: Notify = Notify::const_new();

/// Gathers what is written between two flushes and sends it as one synchronised update (DEC mode 2026),
/// so that no half-drawn screen is ever seen.
pub struct Synchronised<W: Write> {
    to: W,
    gathered: Vec<u8>,
}

impl<W: Write> Synchronised<W> {
    /// Writes to `to`.
    pub fn new(to: W) -> Self {
        Self { to, gathered: Vec::new() }
    }
}

impl<W: Write> Write for Synchronised<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.gathered.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.gathered.is_empty() {
            return Ok(());
        }
        let mut update = b"\x1b[?2026h".to_vec();
        update.append(&mut self.gathered);
        update.extend_from_slice(b"\x1b[?2026l");
        self.to.write_all(&update)?;
        self.to.flush()
    }
}

/// The terminal while it is ours; dropping it gives it back.
pub struct Entered {
    /// To draw on.
    pub terminal: Terminal<CrosstermBackend<Synchronised<Stdout>>>,
}

impl Entered {
    /// Takes the terminal: raw mode, alternate screen, mouse if asked for.
    ///
    /// # Errors
    ///
    /// If the terminal cannot be read or written; it is given back then.
    pub fn new(mouse: bool) -> io::Result<Self> {
        restore_on_panic();
        // The theme alone decides on colours: with NO_COLOR crossterm would drop REVERSED too.
        style::force_color_output(true);
        enable_raw_mode()?;
        ENTERED.store(true, Ordering::SeqCst);
        let entered = (|| {
            execute!(io::stdout(), EnterAlternateScreen, EnableBracketedPaste, cursor::Hide)?;
            if mouse {
                execute!(io::stdout(), EnableMouseCapture)?;
            }
            Terminal::new(CrosstermBackend::new(Synchronised::new(io::stdout())))
        })();
        match entered {
            Ok(terminal) => Ok(Self { terminal }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        restore();
    }
}

/// Gives the terminal back, once. A terminal that is gone cannot be given back: errors do not matter here.
pub fn restore() {
    if ENTERED.swap(false, Ordering::SeqCst) {
        let _ = execute!(
            io::stdout(),
            DisableMouseCapture,
            DisableBracketedPaste,
            LeaveAlternateScreen,
            cursor::Show
        );
        let _ = disable_raw_mode();
    }
}

fn restore_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if is_contained() {
                return;
            }
            restore();
            PANICKED.notify_one();
            before(info);
        }));
    });
}

/// Resolves when the terminal or the program is being taken away: a signal to end, or a panic elsewhere.
pub async fn taken_away() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        let wait = |kind: SignalKind| async move {
            match signal(kind) {
                Ok(mut signals) => {
                    signals.recv().await;
                }
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            () = wait(SignalKind::interrupt()) => {}
            () = wait(SignalKind::terminate()) => {}
            () = wait(SignalKind::hangup()) => {}
            () = PANICKED.notified() => {}
        }
    }
    #[cfg(not(unix))]
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = PANICKED.notified() => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_between_two_flushes_is_one_update() {
        let mut written = Vec::new();
        let mut writer = Synchronised::new(&mut written);
        writer.write_all(b"one").unwrap();
        writer.write_all(b"two").unwrap();
        writer.flush().unwrap();
        writer.flush().unwrap();
        assert_eq!(written, b"\x1b[?2026honetwo\x1b[?2026l");
    }

    /// Set for the process that this test starts in a terminal, which is the test itself.
    const INSIDE: &str = "COLLAB_TEST_INSIDE_A_TERMINAL";

    #[test]
    #[cfg(target_os = "linux")] // script of util-linux makes the terminal
    fn a_panic_gives_the_terminal_back_before_its_message() {
        if std::env::var_os(INSIDE).is_some() {
            let _entered = Entered::new(true).unwrap();
            // Elsewhere in the program, as a task of the lab would.
            let _ = std::thread::spawn(|| panic!("the roof is on fire")).join();
            std::process::exit(0);
        }
        let name = "terminal::tests::a_panic_gives_the_terminal_back_before_its_message";
        let program = std::env::current_exe().unwrap();
        let inside =
            format!("stty -g; '{}' --exact {name} --nocapture --test-threads 1; stty -g", program.display());
        let terminal = std::process::Command::new("script")
            .args(["--quiet", "--return", "--command", &inside, "/dev/null"])
            .envs([(INSIDE, "1"), ("SHELL", "/bin/sh"), ("TERM", "xterm-256color")])
            .stdin(std::process::Stdio::null())
            .output()
            .expect("script, which is part of util-linux");
        let written = String::from_utf8(terminal.stdout).unwrap();
        let at =
            |part: &str| written.find(part).unwrap_or_else(|| panic!("{part:?} is missing: {written:?}"));
        let given_back = at("\x1b[?1049h")..at("roof");
        for part in ["\x1b[?1049l", "\x1b[?25h", "\x1b[?1000l", "\x1b[?2004l"] {
            assert!(given_back.contains(&at(part)), "{part:?} comes before the message: {written:?}");
        }
        let settings: Vec<&str> = written.lines().map(str::trim).collect();
        assert_eq!(settings.first(), settings.last(), "raw mode was left: {written:?}");
        assert!(settings[0].matches(':').count() > 4, "{written:?}");
    }
}
