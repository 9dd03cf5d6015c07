//! A user's own ONNX file on a user's own picture: no catalogue knows the one or the other.

mod program;

use program::{program, run};
use tempfile::TempDir;

/// An ONNX file that is no network of the catalogue, and a picture that is none of its photos.
fn files(home: &TempDir) {
    let (exit, _, complaint) = run(program(home).args(["inspect", "squeezenet", "--write", "own.onnx"]));
    assert_eq!(exit, Some(0), "{complaint}");
    let picture = ["demo", "--for", "1s", "--devices", "1,1", "--output", "own.png", "--no-record"];
    let (exit, _, complaint) = run(program(home).args(picture));
    assert_eq!(exit, Some(0), "{complaint}");
}

#[test]
fn an_own_network_runs_on_an_own_picture_and_names_what_it_shows() {
    let home = TempDir::new().expect("a folder");
    files(&home);
    let demo =
        ["demo", "--model", "own.onnx", "--input", "own.png", "--devices", "1,2", "--for", "2s", "--json"];
    let (exit, said, complaint) = run(program(&home).args(demo));
    assert_eq!(exit, Some(0), "{complaint}");
    let summary = said.lines().last().unwrap_or_default();
    for part in [r#""lost":0,"#, r#""verdict":"bit-equal""#, r#""top":[{"class":"#] {
        assert!(summary.contains(part), "{part} is not in {summary}");
    }
    assert!(said.contains(r#""input":"own.png""#), "runs name their picture");
    assert!(summary.contains("Z-own"), "the session is named after the file: {summary}");
}

#[test]
fn what_a_file_leaves_open_is_asked_for_by_the_option_that_says_it() {
    let home = TempDir::new().expect("a folder");
    files(&home);
    let refused = |arguments: &[&str]| {
        let (exit, _, complaint) = run(program(&home).args(arguments));
        (exit, complaint)
    };
    let (exit, complaint) = refused(&["demo", "--model", "own.onnx", "--shape", "1x3x100x100"]);
    assert_eq!(exit, Some(1), "{complaint}");
    assert!(complaint.contains("1×3×224×224"), "the file says otherwise: {complaint}");
    let (exit, complaint) = refused(&["demo", "--model", "own.onnx", "--pixels", "grey"]);
    assert_eq!(exit, Some(2), "{complaint}");
    assert!(complaint.contains("imagenet"), "the known ones are listed: {complaint}");
    let (exit, complaint) = refused(&["demo", "--planner", "oracle"]);
    assert_eq!(exit, Some(2), "{complaint}");
    assert!(complaint.contains("proportional"), "the known ones are listed: {complaint}");
}
