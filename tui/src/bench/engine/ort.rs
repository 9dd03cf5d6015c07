//! onnxruntime, in a Python interpreter that has it: its C interface cannot be called without `unsafe`, which this
//! workspace does without.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// Runs a network; arguments are the network, the input's values, where to write the output's, and how many threads.
pub const SCRIPT: &str = include_str!("ort.py");

/// The interpreter that `path` names: itself, or the one to whose packages a library of onnxruntime belongs.
pub fn interpreter(path: &Path) -> anyhow::Result<PathBuf> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(".so") && !name.ends_with(".dylib") {
        return Ok(path.to_owned());
    }
    // Packages are in HOME/lib/pythonX.Y/site-packages, the interpreter is in HOME/bin.
    let libraries = path.ancestors().filter(|folder| folder.ends_with("lib") || folder.ends_with("lib64"));
    let homes = libraries.filter_map(Path::parent);
    let mut pythons = homes.flat_map(|home| ["bin/python3", "bin/python"].map(|bin| home.join(bin)));
    pythons.find(|python| python.is_file()).with_context(|| {
        format!(
            "{} belongs to no Python: give --ort a Python interpreter that has onnxruntime, or the library inside \
             its packages",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_library_stands_for_the_interpreter_whose_packages_hold_it() {
        let home = tempfile::tempdir().unwrap();
        let packages = home.path().join("lib/python3.11/site-packages/onnxruntime/capi");
        std::fs::create_dir_all(&packages).unwrap();
        let library = packages.join("libonnxruntime.so.1.32.0");
        assert!(interpreter(&library).unwrap_err().to_string().contains("give --ort a Python interpreter"));
        let python = home.path().join("bin/python3");
        std::fs::create_dir_all(home.path().join("bin")).unwrap();
        std::fs::write(&python, "").unwrap();
        assert_eq!(interpreter(&library).unwrap(), python);
        assert_eq!(interpreter(&python).unwrap(), python);
    }
}
