//! The demo's devices: real worker processes on loopback, each slowed down as its preset says.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, bail};
use collab_core::id::Fingerprint;
use collab_worker::program::Announcement;
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, Command};

/// How long a worker may take to say where it listens.
const START_PATIENCE: Duration = Duration::from_secs(10);

/// Worker processes that end with this value.
pub struct Devices {
    /// Where each listens, with which key.
    pub listening: Vec<(String, Fingerprint)>,
    children: Vec<Child>,
    /// Workers end when this end of their stdin closes, also if the lab is killed.
    _lifelines: Vec<ChildStdin>,
    /// Keys and caches; removed with this value.
    folder: TempDir,
}

impl Devices {
    /// Starts one worker for each of `presets`, which admits the key `lab` only.
    pub async fn start(presets: &[String], lab: Fingerprint) -> anyhow::Result<Self> {
        let folder = tempfile::Builder::new().prefix("collab-demo-").tempdir();
        let folder = folder.context("cannot make a folder for the workers' keys")?;
        let mut devices =
            Self { listening: Vec::new(), children: Vec::new(), _lifelines: Vec::new(), folder };
        let authorized = devices.folder.path().join("authorized");
        std::fs::write(&authorized, format!("{lab} the demo's lab\n"))?;
        // All are started before the first is waited for.
        for (index, preset) in presets.iter().enumerate() {
            let name = unique_name(presets, index);
            let child = devices.spawn(preset, &name, &authorized)?;
            devices.children.push(child);
        }
        for (child, preset) in devices.children.iter_mut().zip(presets) {
            devices._lifelines.extend(child.stdin.take());
            let line = match tokio::time::timeout(START_PATIENCE, first_line(child)).await {
                Ok(line) => line?,
                Err(_) => bail!("worker {preset} said nothing within {START_PATIENCE:?}"),
            };
            let announced = Announcement::parse(&line)
                .with_context(|| format!("a worker printed '{line}' instead of where it listens"))?;
            devices.listening.push((announced.address.to_string(), announced.fingerprint));
        }
        Ok(devices)
    }

    fn spawn(&self, preset: &str, name: &str, authorized: &Path) -> anyhow::Result<Child> {
        let program = std::env::current_exe().context("this program's own file is not known")?;
        Command::new(program)
            .args(["worker", "--listen", "127.0.0.1:0", "--stdin-lifeline"])
            .args(["--name", name, "--emulate", preset])
            .arg("--authorized")
            .arg(authorized)
            .arg("--state")
            .arg(self.folder.path().join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("a worker process cannot be started")
    }
}

impl Drop for Devices {
    fn drop(&mut self) {
        for child in &mut self.children {
            // Already gone is as good.
            let _ = child.start_kill();
        }
    }
}

/// A device's name: its preset, with a number where several share it.
fn unique_name(presets: &[String], index: usize) -> String {
    let plain = |preset: &str| match preset.trim_start_matches('×').parse::<f64>() {
        Ok(slowdown) => format!("x{slowdown}"),
        Err(_) => preset.to_owned(),
    };
    let name = plain(&presets[index]);
    let same = |preset: &&String| plain(preset) == name;
    if presets.iter().filter(same).count() == 1 {
        return name;
    }
    let place = presets[..=index].iter().filter(same).count();
    format!("{name}-{place}")
}

/// The first line a worker prints, or what it complained of instead.
async fn first_line(child: &mut Child) -> anyhow::Result<String> {
    let stdout = child.stdout.take().context("a worker without stdout")?;
    let mut lines = BufReader::new(stdout).lines();
    if let Some(line) = lines.next_line().await? {
        // Whatever else it prints is read, so that it never waits for a full pipe.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        if let Some(mut complaints) = child.stderr.take() {
            tokio::spawn(async move { tokio::io::copy(&mut complaints, &mut tokio::io::sink()).await });
        }
        return Ok(line);
    }
    let mut complaint = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_string(&mut complaint).await?;
    }
    bail!("a worker ended at once: {}", complaint.trim());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_of_one_preset_are_told_apart() {
        let presets: Vec<String> = ["pi4", "pi4", "2", "pi5"].map(str::to_owned).to_vec();
        let names: Vec<String> = (0..4).map(|index| unique_name(&presets, index)).collect();
        assert_eq!(names, ["pi4-1", "pi4-2", "x2", "pi5"]);
    }
}
