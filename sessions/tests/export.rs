//! Exports say what the events say.
#![allow(clippy::unwrap_used)] // the helpers below are tests too

mod story;

use std::collections::HashMap;
use std::path::Path;

use collab_core::event::{Channel, Event, What};
use collab_core::id::WorkerId;
use collab_core::lab::{Lab, Prediction};
use collab_sessions::{export, schema};
use serde_json::Value;
use story::{fold, open, record, story};

fn tables(events: &[Event], folder: &Path) -> HashMap<String, Vec<HashMap<String, String>>> {
    let exported = export::csv(&open(&record(events)), folder).unwrap();
    let mut tables = HashMap::new();
    for table in exported {
        let rows: Vec<HashMap<String, String>> =
            csv::Reader::from_path(&table.path).unwrap().deserialize().map(Result::unwrap).collect();
        assert_eq!(rows.len() as u64, table.rows);
        tables.insert(table.path.file_stem().unwrap().to_str().unwrap().to_owned(), rows);
    }
    tables
}

fn sum(rows: &[HashMap<String, String>], column: &str) -> f64 {
    rows.iter().filter_map(|row| row[column].parse::<f64>().ok()).sum()
}

fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-3 * expected.abs().max(1.0), "{found}, expected {expected}");
}

#[test]
fn the_tables_add_up_to_what_the_events_say() {
    let folder = tempfile::tempdir().unwrap();
    let events = story(41, 30);
    let lab = fold(&events);
    let tables = tables(&events, folder.path());

    let runs = &tables["runs"];
    assert_eq!(runs.len() as u64, lab.runs.done + lab.runs.lost);
    let lost = runs.iter().filter(|row| row["measured_ms"].is_empty()).count();
    assert_eq!(lost as u64, lab.runs.lost);
    let verdict = |name: &str| runs.iter().filter(|row| row["verdict"] == name).count() as u64;
    assert_eq!([verdict("bit-equal"), verdict("within"), verdict("differs")], lab.runs.checked);
    let done = |event: &Event| match &event.what {
        What::RunDone { ms, .. } => *ms,
        _ => 0.0,
    };
    assert_near(sum(runs, "measured_ms"), events.iter().map(done).sum());
    let ids: Vec<u64> = runs.iter().map(|row| row["run"].parse().unwrap()).collect();
    assert!(ids.is_sorted());

    let (mut layers, mut layer_ms, mut spans, mut span_ms, mut bytes) = (0, 0.0, 0, 0.0, 0);
    for event in &events {
        match &event.what {
            What::LayersTimed(timed) => {
                layers += timed.layers.len();
                layer_ms += timed.layers.iter().map(|(_, _, ms)| f64::from(*ms)).sum::<f64>();
            }
            What::SpanDone(span) => {
                spans += 1;
                span_ms += span.end_ms - span.start_ms;
                bytes += span.bytes;
            }
            _ => {}
        }
    }
    assert_eq!((tables["layers"].len(), tables["spans"].len()), (layers, spans));
    assert_near(sum(&tables["layers"], "measured_ms"), layer_ms);
    assert_near(sum(&tables["spans"], "end_ms") - sum(&tables["spans"], "start_ms"), span_ms);
    assert_near(sum(&tables["spans"], "bytes"), bytes as f64);

    assert_eq!(tables["commands"].len(), lab.commands.len());
    for (row, command) in tables["commands"].iter().zip(&lab.commands) {
        assert_eq!(row["command"], command.verb.name());
        assert_eq!(row["measured_ms"].parse().ok(), command.measured_ms);
    }
    assert!(tables["commands"].iter().any(|row| row["status"] == "refused: worker C has too little memory"));
    let worker_events = events.iter().filter(|event| event.what.channel() == Channel::Workers).count();
    assert_eq!(tables["workers"].len(), worker_events);
    let trained = events.iter().filter_map(|event| match &event.what {
        What::Trained(trained) => Some(trained.best_ms),
        _ => None,
    });
    assert_near(sum(&tables["training"], "best_ms"), trained.sum());
    assert!(
        tables["training"].len() > 10 && tables["training"].iter().all(|row| !row["agent_ms"].is_empty())
    );
}

#[test]
fn predicted_values_are_those_known_before_the_run() {
    let folder = tempfile::tempdir().unwrap();
    let events = story(42, 30);
    let tables = tables(&events, folder.path());
    assert!(tables["runs"].iter().any(|row| row["partition"] != "1"), "the story must switch");
    let mut lab = Lab::default();
    let mut before: HashMap<String, Prediction> = HashMap::new();
    for event in &events {
        if let What::RunStarted { run, partition, .. } = &event.what {
            let known = lab.partitions.get(partition).unwrap();
            let learnt = lab.predict(&known.plan);
            let expected = learnt.map_or(known.predicted_ms.unwrap(), |learnt| learnt.ms);
            lab.apply(event);
            let begun = lab.runs.in_flight.back().unwrap().predicted.as_deref().unwrap().clone();
            assert_eq!(begun.ms, expected);
            before.insert(run.to_string(), begun);
        } else {
            lab.apply(event);
        }
    }
    let number = |text: &str| text.parse::<f64>().ok();
    for row in &tables["runs"] {
        assert_near(number(&row["predicted_ms"]).unwrap(), before[&row["run"]].ms);
    }
    for row in &tables["layers"] {
        let layer = row["layer"].strip_prefix("conv").unwrap().parse().unwrap();
        let worker = WorkerId(row["worker"].as_bytes()[0] - b'A');
        let expected = before[&row["run"]].layer_ms(worker, row["block"].parse().unwrap(), layer);
        match (number(&row["predicted_ms"]), expected) {
            (Some(found), Some(expected)) => assert_near(found, expected),
            (found, expected) => assert_eq!(found, expected),
        }
        assert_eq!(row["op"], "Conv 3×3");
    }
    for row in tables["spans"].iter().filter(|row| row["predicted_start_ms"] != "") {
        let starts = before[&row["run"]].spans.iter().map(|span| span.start_ms);
        let found = number(&row["predicted_start_ms"]).unwrap();
        assert!(starts.into_iter().any(|start| (start - found).abs() < 1e-5), "{row:?}");
    }
    let learnt = tables["runs"].last().unwrap();
    assert_ne!(
        number(&learnt["predicted_ms"]).unwrap().fract(),
        0.0,
        "a late run is predicted from measurements"
    );
}

#[test]
fn the_trace_has_every_run_and_span_and_no_slices_that_cross() {
    let events = story(43, 20);
    let mut bytes = Vec::new();
    export::perfetto(&open(&record(&events)), &mut bytes).unwrap();
    let trace: Value = serde_json::from_slice(&bytes).unwrap();
    let records = trace["traceEvents"].as_array().unwrap();
    let of_phase =
        |phase: &str| records.iter().filter(move |record| record["ph"] == phase).collect::<Vec<_>>();
    let names: Vec<&str> = of_phase("M")
        .iter()
        .filter(|record| record["name"] == "process_name")
        .map(|record| record["args"]["name"].as_str().unwrap())
        .collect();
    for name in ["lab", "A pi5", "B pi4", "C pi3"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let count = |wanted: fn(&What) -> bool| events.iter().filter(|event| wanted(&event.what)).count();
    let slices = of_phase("X");
    let runs = slices.iter().filter(|slice| slice["cat"] == "runs").count();
    assert_eq!(runs, count(|what| matches!(what, What::RunDone { .. } | What::RunLost { .. })));
    assert_eq!(slices.len() - runs, count(|what| matches!(what, What::SpanDone(_))));
    let instants = of_phase("i");
    let commands = instants.iter().filter(|instant| instant["cat"] == "commands").count();
    assert_eq!(commands, count(|what| matches!(what, What::CommandGiven { .. })));

    let mut ends: HashMap<(u64, u64), f64> = HashMap::new();
    for slice in slices {
        let track = (slice["pid"].as_u64().unwrap(), slice["tid"].as_u64().unwrap());
        let (start, length) = (slice["ts"].as_f64().unwrap(), slice["dur"].as_f64().unwrap());
        assert!(length >= 0.0);
        let end = ends.entry(track).or_insert(0.0);
        assert!(start >= *end - 0.002, "{slice} starts before {end}");
        *end = start + length;
    }
}

#[test]
fn json_lines_are_the_events() {
    let events = story(44, 3);
    let mut bytes = Vec::new();
    let count = export::jsonl(&open(&record(&events)), &mut bytes).unwrap();
    assert_eq!(count, events.len() as u64);
    let lines = String::from_utf8(bytes).unwrap();
    for (line, event) in lines.lines().zip(&events) {
        assert_eq!(line, serde_json::to_string(event).unwrap());
    }
}

#[test]
fn small_exports_look_like_this() {
    let is_telling = |event: &Event| {
        let channel = event.what.channel();
        event.at.0 < 45_000 || matches!(channel, Channel::Commands | Channel::Partitions)
    };
    let events: Vec<Event> = story(45, 8).into_iter().filter(is_telling).collect();
    let folder = tempfile::tempdir().unwrap();
    let session = open(&record(&events));
    let mut text = String::new();
    for table in export::csv(&session, folder.path()).unwrap() {
        let name = table.path.file_name().unwrap().to_str().unwrap().to_owned();
        let rows = std::fs::read_to_string(&table.path).unwrap();
        let shown: Vec<&str> = rows.lines().take(9).collect();
        text += &format!("== {name}, {} rows ==\n{}\n", table.rows, shown.join("\n"));
    }
    insta::assert_snapshot!("tables", text);
    let mut bytes = Vec::new();
    export::perfetto(&session, &mut bytes).unwrap();
    let trace = String::from_utf8(bytes).unwrap();
    let shown: Vec<&str> = trace.lines().take(24).collect();
    insta::assert_snapshot!("trace", shown.join("\n"));
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let error = export::csv(&open(&record(&story(46, 1))), &file.join("tables")).unwrap_err().to_string();
    assert!(error.contains("file/tables") && error.contains("Choose a folder"), "{error}");
}

#[test]
fn every_field_of_every_event_is_in_its_schema() {
    let mut met: HashMap<&str, Vec<String>> = HashMap::new();
    for event in story(47, 60) {
        let topic = event.what.channel().topic();
        let schema: Value = serde_json::from_str(schema(event.what.channel())).unwrap();
        let Value::Object(fields) = serde_json::to_value(&event).unwrap() else { panic!("{event:?}") };
        let kind = fields["event"].as_str().unwrap().to_owned();
        let kinds = schema["properties"]["event"]["enum"].as_array().unwrap();
        assert!(kinds.iter().any(|known| known == kind.as_str()), "{topic}: {kind}");
        for field in fields.keys() {
            assert!(schema["properties"].get(field).is_some(), "{topic}, {kind}: {field}");
        }
        met.entry(topic).or_default().push(kind);
    }
    for channel in Channel::ALL {
        let schema: Value = serde_json::from_str(schema(channel)).unwrap();
        for kind in schema["properties"]["event"]["enum"].as_array().unwrap() {
            let met = &met[channel.topic()];
            assert!(met.iter().any(|met| kind == met), "{kind} of {} is not in the story", channel.topic());
        }
    }
}
