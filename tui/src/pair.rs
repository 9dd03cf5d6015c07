//! `collab-tui pair`: trust a worker, and be trusted by it.

use collab_worker::client;
use collab_worker::keys::{Identity, KnownWorkers};

use crate::cli::PairArgs;
use crate::headless::print;

/// Notes a worker's fingerprint; with a code, has the worker note the lab's.
pub fn run(args: &PairArgs) -> anyhow::Result<()> {
    let identity = Identity::open(&crate::folders::keys()?)?;
    let known = KnownWorkers::at(crate::folders::known_workers()?);
    print(&format!("this lab's key is {}", identity.fingerprint()))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let paired = runtime.block_on(client::pair(&identity, &args.address, args.code.as_deref()))?;
    known.note(&args.address, paired.fingerprint, &paired.name)?;
    print(&format!("{} at {} is trusted from now on: {}", paired.name, args.address, paired.fingerprint))?;
    Ok(())
}
