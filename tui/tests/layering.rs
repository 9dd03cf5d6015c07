//! The crate edges of ARCHITECTURE.md, kept by a test.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Every edge there may be between crates of this workspace.
const EDGES: [(&str, &[&str]); 6] = [
    ("collab-core", &[]),
    ("collab-kernels", &[]),
    ("collab-models", &["collab-core", "collab-kernels"]),
    ("collab-worker", &["collab-core", "collab-models"]),
    ("collab-sessions", &["collab-core"]),
    ("collab-tui", &["collab-core", "collab-models", "collab-worker", "collab-sessions"]),
];

/// Crates that exactly one crate of this workspace may name.
const SOLE_OWNERS: [(&str, &str); 7] = [
    ("tract-onnx", "collab-models"),
    ("mcap", "collab-sessions"),
    ("csv", "collab-sessions"),
    ("quinn", "collab-worker"),
    ("rustls", "collab-worker"),
    ("ratatui", "collab-tui"),
    ("crossterm", "collab-tui"),
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../Cargo.toml");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--no-deps", "--offline", "--format-version", "1", "--manifest-path"])
        .arg(root)
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    packages
        .iter()
        .map(|package| {
            let of_package = package["dependencies"].as_array().expect("dependencies");
            // Development dependencies are edges of tests, not of the program.
            let names = of_package.iter().filter(|dependency| dependency["kind"] != "dev");
            let names = names.map(|dependency| dependency["name"].as_str().expect("name").to_owned());
            (package["name"].as_str().expect("name").to_owned(), names.collect())
        })
        .collect()
}

#[test]
fn crates_use_only_the_crates_they_may() {
    let found = dependencies();
    assert_eq!(found.len(), EDGES.len(), "a crate was added: name its edges here and in ARCHITECTURE.md");
    for (name, allowed) in EDGES {
        for dependency in found[name].iter().filter(|dependency| dependency.starts_with("collab-")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} must not use {dependency}");
        }
    }
}

#[test]
fn tract_mcap_quinn_and_the_terminal_are_each_known_to_one_crate() {
    for (name, dependencies) in dependencies() {
        for (dependency, owner) in SOLE_OWNERS {
            assert!(!dependencies.contains(dependency) || name == owner, "{name} must not use {dependency}");
        }
    }
}

#[test]
fn core_needs_no_crate_that_reads_clocks_or_touches_the_system() {
    let allowed = ["ndarray", "postcard", "rand", "rand_chacha", "serde", "thiserror"];
    for dependency in &dependencies()["collab-core"] {
        assert!(allowed.contains(&dependency.as_str()), "collab-core must not use {dependency}");
    }
}
