//! Profiles of devices that an earlier session measured, as readable files in the data folder.

use std::path::PathBuf;

use collab_core::event::{Level, WorkerInfo};
use collab_core::predict::{PROFILE_VERSION, Profile};
use collab_models::catalogue;
use serde::{Deserialize, Serialize};

use crate::journal::Journal;

/// Everything that a profile depends on: two workers of which all of it is the same are calibrated once.
///
/// An emulated device is the host's processor timed by CPU time, times its slowdown: which one it emulates
/// and under which key it runs say nothing. A real one is timed by the wall, and no two are quite alike.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The processor's name.
    pub cpu: String,
    /// Its architecture and vector extension.
    pub isa: String,
    /// Processors.
    pub cores: u32,
    /// What chooses its frequency.
    pub governor: String,
    /// The engine and what it chose.
    pub engine: String,
    /// [`PROFILE_VERSION`].
    pub profile_version: u32,
    /// The worker's key, unless it emulates.
    pub fingerprint: Option<String>,
}

impl Device {
    /// What this worker runs on.
    pub fn of(info: &WorkerInfo) -> Self {
        let host = &info.host;
        Self {
            cpu: host.cpu.clone(),
            isa: host.isa.clone(),
            cores: host.cores,
            governor: host.governor.clone(),
            engine: info.engine.clone(),
            profile_version: PROFILE_VERSION,
            fingerprint: info.emulation.is_none().then(|| info.fingerprint.to_string()),
        }
    }

    /// The name of its file: a digest of all of it, behind what people recognise.
    fn file_name(&self) -> String {
        let all = serde_json::to_vec(self).unwrap_or_default();
        let digest = catalogue::id(&all).to_string();
        let cpu = self.cpu.chars().filter(char::is_ascii_alphanumeric).take(24).collect::<String>();
        let digest: String = digest.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        format!("{}-{digest}.json", if cpu.is_empty() { "device" } else { &cpu })
    }
}

/// A profile with what it was fitted on, at a slowdown of 1 and the full CPU share.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Of what.
    pub device: Device,
    /// What each kind of work costs.
    pub profile: Profile,
    /// The mean of |predicted − measured| / measured over layers left out of a fit, the shortest not counted.
    pub held_out: Option<f64>,
}

/// The folder of profiles; without one nothing is kept.
pub struct Profiles(pub Option<PathBuf>);

impl Profiles {
    /// The profile of this device, if an earlier session measured it. A file that cannot be used is noted.
    pub fn find(&self, device: &Device, journal: &Journal) -> Option<Measured> {
        let path = self.0.as_ref()?.join(device.file_name());
        let bytes = std::fs::read(&path).ok()?;
        let problem = match serde_json::from_slice::<Measured>(&bytes) {
            Ok(measured) if measured.device == *device && is_sound(&measured.profile) => {
                return Some(measured);
            }
            Ok(_) => "it is of another device or version".to_owned(),
            Err(error) => error.to_string(),
        };
        let text = format!("the profile in {} is ignored and measured anew: {problem}", path.display());
        journal.note(Level::Warning, text);
        None
    }

    /// Keeps a profile. That it cannot is worth a note and no more.
    pub fn keep(&self, measured: &Measured, journal: &Journal) {
        let Some(folder) = &self.0 else { return };
        let path = folder.join(measured.device.file_name());
        let written = serde_json::to_vec_pretty(measured).map_err(std::io::Error::from).and_then(|bytes| {
            std::fs::create_dir_all(folder)?;
            // Whole or not at all: another lab may be reading it.
            let mut file = tempfile::NamedTempFile::new_in(folder)?;
            std::io::Write::write_all(&mut file, &bytes)?;
            file.persist(&path).map_err(|error| error.error)?;
            Ok(())
        });
        if let Err(error) = written {
            let text = format!("the profile cannot be kept in {}: {error}", path.display());
            journal.note(Level::Warning, text);
        }
    }
}

fn is_sound(profile: &Profile) -> bool {
    let sound = |ms: f64| ms.is_finite() && ms >= 0.0;
    profile.version == PROFILE_VERSION
        && !profile.coefficients.is_empty()
        && profile.coefficients.iter().all(|coefficient| sound(coefficient.ms))
        && profile.coefficients.windows(2).all(|pair| pair[0].term < pair[1].term)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use collab_core::event::{Emulation, Host, LinkShape};
    use collab_core::id::{Digest, WorkerId};
    use collab_core::network::{Term, Work};
    use collab_core::predict::{Sample, fit};

    use super::*;
    use crate::stage::{Shown, Stage};

    fn info(key: u8, slowdown: Option<f64>) -> WorkerInfo {
        let emulation = slowdown.map(|slowdown| Emulation {
            name: "pi".to_owned(),
            slowdown,
            link: LinkShape::default(),
        });
        WorkerInfo {
            worker: WorkerId(0),
            name: "A".to_owned(),
            address: "127.0.0.1:1".to_owned(),
            fingerprint: Digest([key; 32]),
            engine: "collab".to_owned(),
            host: Host { cpu: "Cortex-A72 r0p3".to_owned(), cores: 4, ..Host::default() },
            emulation,
            memory_limit: None,
        }
    }

    fn measured(device: Device) -> Measured {
        let work = [Work { term: Term::Call, call: 1.0, row: 0.0 }];
        let samples: Vec<Sample> = (1..9).map(|rows| Sample::new(&work, rows, 0.25)).collect();
        Measured { device, profile: fit(&samples), held_out: Some(0.1) }
    }

    #[test]
    fn emulated_workers_of_one_host_share_a_profile_and_real_ones_do_not() {
        assert_eq!(Device::of(&info(1, Some(2.0))), Device::of(&info(2, Some(10.0))));
        assert_ne!(Device::of(&info(1, None)), Device::of(&info(2, None)));
        assert_ne!(Device::of(&info(1, None)), Device::of(&info(1, Some(1.0))));
    }

    #[test]
    fn a_profile_is_found_again_and_a_broken_one_is_noted_and_ignored() {
        let folder = tempfile::tempdir().unwrap();
        let profiles = Profiles(Some(folder.path().join("profiles")));
        let journal = Arc::new(Journal::new(Arc::new(Stage::new(Shown::default())), None, None));
        let device = Device::of(&info(1, None));
        assert_eq!(profiles.find(&device, &journal), None);
        let measured = measured(device.clone());
        profiles.keep(&measured, &journal);
        assert_eq!(profiles.find(&device, &journal), Some(measured));
        assert!(journal.stage().look().lab.log.is_empty());
        let path = profiles.0.as_ref().unwrap().join(device.file_name());
        assert!(path.file_name().unwrap().to_string_lossy().starts_with("CortexA72r0p3-"));
        std::fs::write(&path, b"{\"device\":").unwrap();
        assert_eq!(profiles.find(&device, &journal), None);
        let shown = journal.stage().look();
        assert!(shown.lab.log.iter().any(|line| line.text.contains("ignored and measured anew")));
    }
}
