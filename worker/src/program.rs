//! The program `worker`: its command line, its first line, its end.
//!
//! The first line of stdout says where it listens and who it is, for people and for programs that start it:
//!
//! ```text
//! listening 127.0.0.1:41234 sha256:5f0c…e1 name pi4
//! ```
//!
//! Exit codes: 0 well, 1 error, 2 usage.

use std::ffi::OsString;
use std::fmt;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use clap::error::ErrorKind;
use collab_core::event::{Emulation, LinkShape};
use collab_core::id::{Digest, Fingerprint};
use collab_models::Team;

use crate::emulation::{link_preset, preset};
use crate::engine::{Engine, Tract};
use crate::host;
use crate::keys::{Identity, PairingCode};
use crate::serve::{Server, ServerConfig};

/// Computes strips of a network for a lab.
#[derive(Debug, Parser)]
#[command(name = "worker", version)]
struct Arguments {
    /// Where to listen; port 0 takes any free one.
    #[arg(long, default_value = "127.0.0.1:4100", value_name = "ADDR:PORT", value_parser = parse_listen)]
    listen: SocketAddr,
    /// The worker's name. Default: the host's.
    #[arg(long, value_parser = parse_name)]
    name: Option<String>,
    /// Memory that the worker allows itself, such as 512MiB. Default: no limit.
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    memory: Option<u64>,
    /// Threads that compute each layer together; the output is the same bits for any number.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    threads: u8,
    /// Emulate a slower device: pi5, pi4, pi3, zero2, or a slowdown such as 4.
    #[arg(long, value_name = "DEVICE", value_parser = preset)]
    emulate: Option<Emulation>,
    /// Emulate a link: gigabit, 100mbit, wifi, none. Default: the emulated device's.
    #[arg(long, value_name = "LINK", value_parser = link_preset)]
    link: Option<LinkShape>,
    /// The labs that may lead this worker: one fingerprint and a comment a line. Default: in the state folder.
    #[arg(long, value_name = "FILE")]
    authorized: Option<PathBuf>,
    /// Where the key and received networks are kept. Default: a folder for this name in the user's data folder.
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Print a code with which one lab can have itself authorised within five minutes.
    #[arg(long)]
    pair: bool,
    /// Stop when stdin is closed, as it is when the program that started this one ends.
    #[arg(long)]
    stdin_lifeline: bool,
}

/// The first line of a worker's stdout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// Where it listens.
    pub address: SocketAddr,
    /// Of its key.
    pub fingerprint: Fingerprint,
    /// Its name.
    pub name: String,
}

impl Announcement {
    /// Reads it back.
    pub fn parse(line: &str) -> Option<Self> {
        let mut fields = line.trim_end().splitn(5, ' ');
        let mut field = || fields.next();
        if field() != Some("listening") {
            return None;
        }
        let address = field()?.parse().ok()?;
        let fingerprint = Digest::parse(field()?)?;
        let name = field().filter(|word| *word == "name").and_then(|_| field())?.to_owned();
        Some(Self { address, fingerprint, name })
    }
}

impl fmt::Display for Announcement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "listening {} {} name {}", self.address, self.fingerprint, self.name)
    }
}

/// Runs a worker until it is told to stop. `arguments` come without the program's name.
pub fn run<A: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = A>) -> ExitCode {
    let program = [OsString::from("worker")];
    let arguments = program.into_iter().chain(arguments.into_iter().map(Into::into));
    let arguments = match Arguments::try_parse_from(arguments) {
        Ok(arguments) => arguments,
        Err(error) => {
            // If the terminal is gone, nobody reads it.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return if asked { ExitCode::SUCCESS } else { ExitCode::from(2) };
        }
    };
    match serve(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&mut std::io::stderr(), &format!("worker: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// A line for whoever started the program; if they are gone, it does not matter.
fn say(to: &mut impl Write, line: &str) {
    let _ = writeln!(to, "{line}").and_then(|()| to.flush());
}

fn serve(arguments: Arguments) -> anyhow::Result<()> {
    let team = Team::new(arguments.threads.into());
    let engine: Arc<dyn Engine> = Arc::new(Tract(team));
    let name = arguments.name.unwrap_or_else(host::name);
    let state = match arguments.state {
        Some(state) => state,
        None => {
            let folders = directories::ProjectDirs::from("", "", "collab");
            let folders = folders.context("there is no home folder: give a folder with --state")?;
            folders.data_dir().join("workers").join(folder_name(&name))
        }
    };
    let identity = Identity::open(&state)?;
    let config = ServerConfig {
        listen: arguments.listen,
        name,
        memory_limit: arguments.memory,
        emulation: arguments.emulate,
        link: arguments.link,
        authorized: arguments.authorized.unwrap_or_else(|| state.join("authorized")),
        networks: state.join("networks"),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start the I/O runtime")?.block_on(async {
        let server = Server::start(config, &identity, engine)?;
        let address = server.address().context("cannot tell the address")?;
        let (fingerprint, name) = (server.fingerprint(), server.name().to_owned());
        let mut stdout = std::io::stdout();
        say(&mut stdout, &Announcement { address, fingerprint, name }.to_string());
        if arguments.pair {
            let code = PairingCode::generate()?;
            say(&mut stdout, &format!("pairing code {code} (for one lab, within five minutes)"));
            server.open_pairing(code);
        }
        for warning in &server.warnings {
            say(&mut std::io::stderr(), &format!("worker: {warning}"));
        }
        server.run(told_to_stop(arguments.stdin_lifeline)).await;
        Ok(())
    })
}

/// Completes on Ctrl-C, on a polite kill, and, if `lifeline`, when stdin is closed.
async fn told_to_stop(lifeline: bool) {
    let orphaned = async {
        match lifeline {
            true => stdin_closed().await,
            false => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated() => {}
        () = orphaned => {}
    }
}

async fn stdin_closed() {
    let (sender, closed) = tokio::sync::oneshot::channel();
    // A thread of its own: a blocking read of stdin would keep the runtime from ending.
    std::thread::spawn(move || {
        let mut ignored = [0; 64];
        while matches!(std::io::stdin().read(&mut ignored), Ok(1..)) {}
        // Nobody waits any more if the worker is stopping for another reason.
        let _ = sender.send(());
    });
    // An error means that the thread ended, and then stdin is of no use either.
    let _ = closed.await;
}

#[cfg(unix)]
async fn terminated() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() {
    std::future::pending().await
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let wrong =
        || format!("'{text}' is no address with a port: write 0.0.0.0:4100 for every one of this device");
    text.parse().map_err(|_| wrong())
}

fn parse_name(text: &str) -> Result<String, String> {
    let fine = !text.is_empty() && text.len() <= 64 && !text.chars().any(char::is_control);
    fine.then(|| text.to_owned()).ok_or_else(|| "a name has 1 to 64 printable characters".to_owned())
}

/// Bytes, with or without KiB, MiB, GiB (or K, M, G).
fn parse_size(text: &str) -> Result<u64, String> {
    let wrong = || format!("'{text}' is no size: write 512MiB, 2GiB or a number of bytes");
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1u64 << 30,
        _ => return Err(wrong()),
    };
    let count: u64 = digits.trim().parse().map_err(|_| wrong())?;
    count.checked_mul(factor).filter(|bytes| *bytes > 0).ok_or_else(wrong)
}

/// A name as a folder: nothing that leads elsewhere.
fn folder_name(name: &str) -> String {
    let plain = |c: char| if c.is_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
    name.chars().map(plain).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_reads_back() {
        let address = "[::1]:4100".parse().unwrap();
        let name = "pi 4 in the attic".to_owned();
        let line = Announcement { address, fingerprint: Digest([7; 32]), name };
        assert_eq!(Announcement::parse(&format!("{line}\n")), Some(line));
        for wrong in ["", "listening", "listening 1.2.3.4:5 sha256:00 name x", "ready 1.2.3.4:5"] {
            assert_eq!(Announcement::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn where_to_listen_is_an_address_and_a_port() {
        assert_eq!(parse_listen("[::]:4100").unwrap().port(), 4100);
        for wrong in ["4100", "0.0.0.0", "localhost:4100", ""] {
            assert!(parse_listen(wrong).unwrap_err().contains("write 0.0.0.0:4100"), "{wrong}");
        }
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(parse_size("512MiB"), Ok(512 << 20));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        assert_eq!(parse_size("4096"), Ok(4096));
        for wrong in ["", "MiB", "-1", "1.5GiB", "12 parsecs", "99999999999GiB", "0"] {
            assert!(parse_size(wrong).unwrap_err().contains("512MiB"), "{wrong}");
        }
        assert_eq!(folder_name("../pi 4"), "___pi_4");
    }
}
