//! Trains the portfolio that ships with the program:
//!
//! ```text
//! cargo run --release -p collab-core --example train_policies -- EXTENT SEED FILE NETWORK,… [PART,…]
//! ```
//!
//! EXTENT is a number of generations, such as `4000g`, after which the same SEED gives the same FILE, or of
//! seconds, such as `1500s`, after which it does not. Prints every twentieth generation; writes FILE every minute and at the end.
//! Parts of the method named last are switched off, to see what they contribute. Names of networks are those of the zoo in
//! `collab_core::network::samples`.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::time::{Duration, Instant};

use collab_core::network::samples::named;
use collab_core::plan::erl::{Part, Trainer};

/// Policies in the portfolio.
const MEMBERS: usize = 8;
/// How often what was learnt so far is written.
const SAVED_EVERY: Duration = Duration::from_secs(60);

/// How long training goes on.
enum Extent {
    Generations(u64),
    Time(Duration),
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [extent, seed, file, names, off @ ..] = arguments.as_slice() else {
        println!("expected EXTENT SEED FILE NETWORK,…");
        std::process::exit(2);
    };
    let (Some(extent), Ok(seed)) = (extent_of(extent), seed.parse()) else {
        println!("EXTENT must be a number of generations (4000g) or of seconds (1500s), SEED a number");
        std::process::exit(2);
    };
    let mut trainer = Trainer::new(names.split(',').filter_map(named).collect(), &parts(off), seed);
    let start = Instant::now();
    let mut saved = Duration::ZERO;
    let mut done = 0;
    while match extent {
        Extent::Generations(generations) => done < generations,
        Extent::Time(time) => start.elapsed() < time,
    } {
        let now = trainer.generation();
        done = now.number;
        if now.number.is_multiple_of(20) {
            println!(
                "{:5} best {:.4} mean {:.4} agent {:.4} gradient {:.3} evaluations {} kept {} taught {}",
                now.number,
                now.best,
                now.mean,
                now.agent,
                now.gradient,
                now.evaluations,
                now.agents_kept,
                now.taught
            );
        }
        if start.elapsed() - saved > SAVED_EVERY {
            saved = start.elapsed();
            save(&trainer, file);
        }
    }
    save(&trainer, file);
}

/// `4000g` or `1500s`.
fn extent_of(text: &str) -> Option<Extent> {
    if let Some(generations) = text.strip_suffix('g') {
        return generations.parse().ok().map(Extent::Generations);
    }
    let seconds = text.strip_suffix('s')?.parse().ok()?;
    Duration::try_from_secs_f64(seconds).ok().map(Extent::Time)
}

fn save(trainer: &Trainer, file: &str) {
    let portfolio = trainer.portfolio(MEMBERS, 140);
    if let Err(error) = std::fs::write(file, portfolio.to_bytes()) {
        println!("{file}: {error}");
        std::process::exit(1);
    }
}

fn parts(names: &[String]) -> Vec<Part> {
    use Part::*;
    const PARTS: [Part; 7] =
        [Population, Agent, AgentEnters, EliteTeaches, TaughtCrossover, GentleMutation, Replay];
    let named =
        |part: &Part| names.iter().any(|names| names.split(',').any(|name| *name == format!("{part:?}")));
    PARTS.into_iter().filter(named).collect()
}
