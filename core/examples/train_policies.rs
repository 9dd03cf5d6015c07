//! Trains the portfolio that ships with the program:
//!
//! ```text
//! cargo run --release -p collab-core --example train_policies -- SECONDS SEED FILE NETWORK,… [PART,…]
//! ```
//!
//! Writes FILE every minute and at the end. Parts of the method named last are switched off, to see what they contribute. Names of networks
//! are those of the zoo in `collab_core::network::samples`.

#![allow(clippy::print_stdout, clippy::disallowed_methods)]

use std::time::Instant;

use collab_core::network::samples::named;
use collab_core::plan::erl::{Part, Trainer};

/// Policies in the portfolio.
const MEMBERS: usize = 8;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [seconds, seed, file, names, off @ ..] = arguments.as_slice() else {
        println!("expected SECONDS SEED FILE NETWORK,…");
        std::process::exit(2);
    };
    let (Ok(seconds), Ok(seed)) = (seconds.parse::<f64>(), seed.parse()) else {
        println!("SECONDS and SEED must be numbers");
        std::process::exit(2);
    };
    let mut trainer = Trainer::new(names.split(',').filter_map(named).collect(), &parts(off), seed);
    let start = Instant::now();
    let mut saved = 0.0;
    while start.elapsed().as_secs_f64() < seconds {
        let now = trainer.generation();
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
        if start.elapsed().as_secs_f64() - saved > 60.0 {
            saved = start.elapsed().as_secs_f64();
            save(&trainer, file);
        }
    }
    save(&trainer, file);
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
