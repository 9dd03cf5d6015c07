//! Facts about the device: what it is, how warm it is, how much this process uses of it.

use std::fs;
use std::time::{Duration, Instant};

use collab_core::event::Host;
use cpu_time::ProcessTime;

/// What the device is; empty text and zero where that cannot be told.
pub fn describe() -> Host {
    let cores = std::thread::available_parallelism().map_or(0, |count| count.get() as u32);
    Host { cpu: cpu_name(), isa: isa(), cores, memory: total_memory(), os: os(), governor: governor() }
}

/// The host's name, or `worker`.
pub fn name() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "worker".to_owned(),
        name => name.to_owned(),
    }
}

/// Of the hottest sensor, °C.
pub fn temperature() -> Option<f64> {
    let zones = fs::read_dir("/sys/class/thermal").ok()?.flatten();
    let read = |zone: fs::DirEntry| fs::read_to_string(zone.path().join("temp")).ok();
    let degrees = zones.filter_map(read).filter_map(|text| text.trim().parse::<f64>().ok());
    degrees.map(|milli| milli / 1000.0).filter(|degrees| (-40.0..200.0).contains(degrees)).reduce(f64::max)
}

/// Resident bytes of this process.
pub fn resident_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    kilobytes(&status, "VmRSS:").unwrap_or(0) * 1024
}

/// The most bytes that this process had resident at once, if the system tells.
pub fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    Some(kilobytes(&status, "VmHWM:")? * 1024)
}

/// The share of one core that this process used between two readings.
#[derive(Debug)]
pub struct CpuShare {
    wall: Instant,
    used: Duration,
}

impl CpuShare {
    /// Starts counting.
    pub fn start() -> Self {
        Self { wall: Instant::now(), used: process_time() }
    }

    /// Seconds since the last reading, and the share of one core used in them, %.
    pub fn read(&mut self) -> (f64, f64) {
        let now = Self::start();
        let seconds = (now.wall - self.wall).as_secs_f64();
        let percent = 100.0 * now.used.saturating_sub(self.used).as_secs_f64() / seconds.max(1e-6);
        *self = now;
        (seconds, percent)
    }
}

fn process_time() -> Duration {
    ProcessTime::try_now().map_or(Duration::ZERO, |time| time.as_duration())
}

fn cpu_name() -> String {
    let board = fs::read_to_string("/proc/device-tree/model").unwrap_or_default();
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let field = |key: &str| {
        let line = info.lines().find(|line| line.starts_with(key))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let board = board.trim_end_matches('\0').trim();
    let name = if board.is_empty() { field("model name").or(field("Model")) } else { Some(board.to_owned()) };
    shorten(&name.unwrap_or_default())
}

/// The architecture and the widest vector extension that kernels may use.
fn isa() -> String {
    #[cfg(target_arch = "x86_64")]
    let widest = if std::arch::is_x86_feature_detected!("avx512f") {
        " avx512"
    } else if std::arch::is_x86_feature_detected!("fma") {
        " avx2 fma"
    } else {
        " sse2"
    };
    #[cfg(target_arch = "aarch64")]
    let widest = if std::arch::is_aarch64_feature_detected!("dotprod") { " neon dotprod" } else { " neon" };
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let widest = "";
    format!("{}{widest}", std::env::consts::ARCH)
}

/// Of the first processor; the others follow the same one on the boards that matter.
fn governor() -> String {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    shorten(fs::read_to_string(path).unwrap_or_default().trim())
}

fn total_memory() -> u64 {
    let info = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    kilobytes(&info, "MemTotal:").unwrap_or(0) * 1024
}

fn os() -> String {
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let pretty = release.lines().find_map(|line| line.strip_prefix("PRETTY_NAME="));
    shorten(pretty.map_or(std::env::consts::OS, |name| name.trim_matches('"')))
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find(|line| line.starts_with(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

fn shorten(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(100).collect()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_device_is_described() {
        let host = describe();
        assert!(host.cores > 0 && host.memory > 1 << 20, "{host:?}");
        assert!(host.isa.starts_with(std::env::consts::ARCH));
        assert!(resident_memory() > 1 << 20);
    }
}
