//! What the program says without a screen: to programs that read it, and to people who asked for what cannot be.

mod program;

use program::{program, run};
use serde_json::Value;
use tempfile::TempDir;

/// Every field of the last line of a report as JSON.
const SUMMARY: [&str; 13] = [
    "event",
    "runs",
    "lost",
    "p50_ms",
    "p95_ms",
    "best_single_ms",
    "speedup",
    "verdict",
    "top",
    "psnr_db",
    "block_mape",
    "layer_mape",
    "session",
];

#[test]
fn every_line_of_a_report_is_json_and_the_last_sums_up_whether_seen_live_or_replayed() {
    let home = TempDir::new().expect("a folder");
    let demo = ["demo", "--model", "tiny_face_detector", "--devices", "1,2", "--no-train", "--for", "2s"];
    let (exit, said, complaint) = run(program(&home).args(demo).args(["--json", "--record", "a.mcap"]));
    assert_eq!(exit, Some(0), "{complaint}");
    let read = |line: &str| serde_json::from_str::<Value>(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
    let lines: Vec<Value> = said.lines().map(read).collect();
    let (summary, events) = lines.split_last().expect("lines");
    assert!(events.iter().all(|event| event["at"].is_u64() && event["event"].is_string()), "{said}");
    let fields: Vec<&str> = summary.as_object().expect("an object").keys().map(String::as_str).collect();
    let mut expected = SUMMARY.to_vec();
    expected.sort_unstable();
    assert_eq!(fields, expected);
    assert_eq!((&summary["event"], &summary["verdict"]), (&"summary".into(), &"bit-equal".into()));
    let (exit, said, complaint) = run(program(&home).args(["replay", "a.mcap", "--json"]));
    assert_eq!(exit, Some(0), "{complaint}");
    let mut replayed = read(&said)["summary"].clone();
    replayed["session"] = summary["session"].clone();
    assert_eq!(&replayed, summary, "a replay knows what the lab knew");
}

#[test]
fn an_output_that_cannot_be_written_is_refused_before_anything_runs() {
    let home = TempDir::new().expect("a folder");
    let refused = |path: &str| {
        let (exit, _, complaint) = run(program(&home).args(["demo", "--headless", "--output", path]));
        assert_eq!(exit, Some(1), "{complaint}");
        complaint
    };
    let complaint = refused("missing/a.png");
    assert!(complaint.contains("cannot write missing/a.png: there is no such folder"), "{complaint}");
    assert!(!complaint.contains(".tmp"), "it names no file that nobody asked for: {complaint}");
    std::fs::create_dir(home.path().join("b.f32")).expect("a folder");
    let complaint = refused("b.f32");
    assert!(complaint.contains("cannot write b.f32: it is a folder"), "{complaint}");
}
