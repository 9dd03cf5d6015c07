//! A terminal with a shell in it, as an operator has one: the shell notes the terminal's settings, runs
//! `collab-tui`, and notes them again. What is drawn is kept by a terminal emulator (vt100).
//!
//! util-linux' `script` makes the pseudo terminal, so that no unsafe code is needed here.

use std::io::{Read as _, Write as _};
use std::num::NonZeroU16;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How long a condition is waited for: machines that run tests may be busy with much else.
const PATIENCE: Duration = Duration::from_secs(120);

/// What the reader of the terminal's output shares with the test.
struct Shared {
    screen: Mutex<(vt100::Parser, bool)>,
    changed: Condvar,
}

/// A terminal in which `collab-tui` runs.
pub struct Terminal {
    script: Child,
    keys: ChildStdin,
    shared: Arc<Shared>,
    /// Home, temporary and data folder of what runs, and the shell's notes.
    pub folder: TempDir,
}

impl Terminal {
    /// Runs `program` with `arguments` in a terminal of `columns`×`rows` cells.
    pub fn run(program: &str, arguments: &str, (columns, rows): (u16, u16)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let at = folder.path().display();
        std::fs::create_dir(folder.path().join("tmp")).expect("a folder");
        let session = format!(
            "cd '{at}'\nstty rows {rows} cols {columns}\ntty > tty\nstty -g > before\n\
             sh -c 'echo $$ > pid; exec \"$0\" \"$@\"' '{program}' {arguments}\n\
             echo $? > code\nstty -g > after\n"
        );
        std::fs::write(folder.path().join("session.sh"), session).expect("a file");
        let mut script = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command"])
            .arg(format!("sh '{at}/session.sh'"))
            .arg("/dev/null")
            .env_remove("XDG_DATA_HOME")
            .env_remove("XDG_CONFIG_HOME")
            .env_remove("XDG_CACHE_HOME")
            .env_remove("NO_COLOR")
            .envs([("HOME", folder.path()), ("TMPDIR", &folder.path().join("tmp"))])
            .envs([("SHELL", "/bin/sh"), ("TERM", "xterm-256color"), ("COLORTERM", "truecolor")])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script, which is part of util-linux");
        let keys = script.stdin.take().expect("piped");
        let mut output = script.stdout.take().expect("piped");
        let parser = vt100::Parser::new(cells(rows), cells(columns), 0);
        let shared = Arc::new(Shared { screen: Mutex::new((parser, false)), changed: Condvar::new() });
        let reader = shared.clone();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                let length = output.read(&mut buffer).unwrap_or(0);
                let mut screen = reader.screen.lock().expect("no holder panics");
                screen.0.process(&buffer[..length]);
                screen.1 = length == 0;
                reader.changed.notify_all();
                if length == 0 {
                    return;
                }
            }
        });
        Self { script, keys, shared, folder }
    }

    /// Types keys, as a terminal sends them.
    pub fn press(&mut self, keys: &str) -> &mut Self {
        self.keys.write_all(keys.as_bytes()).expect("the terminal is there");
        self.keys.flush().expect("the terminal is there");
        self
    }

    /// Waits until the screen satisfies `condition`; what is on it then.
    ///
    /// # Panics
    /// If it never does, or the program ends meanwhile.
    pub fn wait(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut screen = self.shared.screen.lock().expect("no holder panics");
        loop {
            let text = screen.0.screen().contents();
            if condition(&text) {
                return text;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero() && !screen.1, "{what} never came (ended: {}):\n{text}", screen.1);
            screen = self.shared.changed.wait_timeout(screen, left).expect("no holder panics").0;
        }
    }

    /// Waits until `text` is on the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait(text, |screen| screen.contains(text))
    }

    /// Gives the terminal another size, as a window manager would.
    pub fn resize(&mut self, (columns, rows): (u16, u16)) -> &mut Self {
        self.shared
            .screen
            .lock()
            .expect("no holder panics")
            .0
            .screen_mut()
            .set_size(cells(rows), cells(columns));
        let resized = Command::new("stty")
            .args(["-F", &self.note("tty"), "rows", &rows.to_string(), "cols", &columns.to_string()])
            .status();
        assert!(resized.expect("stty").success());
        self
    }

    /// The process of `collab-tui`.
    pub fn pid(&self) -> u32 {
        self.note("pid").parse().expect("a number")
    }

    /// Sends a signal to `collab-tui`.
    pub fn signal(&self, name: &str) {
        let killed = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.pid())]).status();
        assert!(killed.expect("sh").success());
    }

    /// Looks at the emulated screen.
    pub fn inspect<T>(&self, look: impl FnOnce(&vt100::Screen) -> T) -> T {
        look(self.shared.screen.lock().expect("no holder panics").0.screen())
    }

    /// Waits until the program has ended.
    pub fn wait_for_end(&self) {
        let deadline = Instant::now() + PATIENCE;
        let mut screen = self.shared.screen.lock().expect("no holder panics");
        while !screen.1 {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it does not end:\n{}", screen.0.screen().contents());
            screen = self.shared.changed.wait_timeout(screen, left).expect("no holder panics").0;
        }
    }

    /// Waits until the program has ended; checks that the terminal was given back, and gives the exit code
    /// and what stands on the screen.
    pub fn end(mut self) -> (i32, String) {
        self.wait_for_end();
        let screen = self.shared.screen.lock().expect("no holder panics");
        let shown = screen.0.screen();
        let text = shown.contents();
        assert!(!shown.alternate_screen(), "the alternate screen was left:\n{text}");
        assert!(!shown.hide_cursor(), "the cursor is shown again:\n{text}");
        assert!(!shown.bracketed_paste() && !shown.application_cursor(), "keys are as before:\n{text}");
        assert_eq!(shown.mouse_protocol_mode(), vt100::MouseProtocolMode::None, "the mouse is free again");
        drop(screen);
        assert_eq!(self.note("after"), self.note("before"), "line settings are as before:\n{text}");
        let _: ExitStatus = self.script.wait().expect("it was started here");
        (self.note("code").parse().expect("a number"), text)
    }

    /// What the shell noted, once it has.
    fn note(&self, name: &str) -> String {
        read(&self.folder.path().join(name))
    }
}

impl Drop for Terminal {
    /// A test that failed leaves nothing running.
    fn drop(&mut self) {
        let _ = self.script.kill();
        let _ = self.script.wait();
    }
}

fn read(path: &Path) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match std::fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => std::thread::yield_now(),
        }
        assert!(Instant::now() < deadline, "{} was never written", path.display());
    }
}

fn cells(count: u16) -> NonZeroU16 {
    NonZeroU16::new(count).expect("a screen has cells")
}

/// Processes whose parent is `parent`, as Linux lists them.
pub fn children(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("Linux");
    let numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|pid| parent_of(*pid) == Some(parent)).collect()
}

fn parent_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/stat"))).ok()?;
    // The name in parentheses may hold anything; after it come the state and the parent.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Waits until none of these processes is left; one that waits to be reaped has ended.
pub fn wait_until_gone(pids: &[u32]) {
    let deadline = Instant::now() + PATIENCE;
    let lives = |pid: &u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').is_some_and(|(_, rest)| !rest.trim_start().starts_with('Z'))
    };
    while let Some(pid) = pids.iter().find(|pid| lives(pid)) {
        assert!(Instant::now() < deadline, "process {pid} is left");
        std::thread::sleep(Duration::from_millis(20));
    }
}
