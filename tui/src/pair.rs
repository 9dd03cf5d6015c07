//! `collab-tui pair`: trust a worker, and be trusted by it.

use std::time::Instant;

use collab_worker::client::Dialer;
use collab_worker::keys::{Identity, KnownWorkers};

use crate::cli::PairArgs;
use crate::headless::print;

/// Has a worker admit this lab by the code it printed, and notes the worker's key.
pub fn run(args: &PairArgs) -> anyhow::Result<()> {
    let identity = Identity::open(&crate::folders::keys()?)?;
    let known = KnownWorkers::at(crate::folders::known_workers()?);
    print(&format!("this lab's key is {}", identity.fingerprint()));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let fingerprint = runtime.block_on(async {
        let (dialer, _events) = Dialer::new(identity, Instant::now())?;
        dialer.pair(&args.address, &args.code).await
    })?;
    known.note(&args.address, fingerprint, "paired")?;
    print(&format!("the worker at {} is trusted from now on: {fingerprint}", args.address));
    Ok(())
}
