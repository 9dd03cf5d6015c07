//! The second view with calibrated workers: terms, doubts, error bars and the fit.

use collab_core::event::What;
use collab_core::id::WorkerId;
use collab_core::network::Term;
use collab_core::predict::{Profile, Sample, fit};
use crossterm::event::KeyCode;

use super::desk::Desk;
use super::story::{self, Story};

const LARGE: (u16, u16) = (120, 35);
const SMALL: (u16, u16) = (80, 24);

/// What a device takes for the story's network if a row of every layer takes 20 µs and a call 50 µs; the
/// transposed convolution is known from too few samples.
fn profile(story: &Story) -> Profile {
    let network = story.lab.network.as_ref().unwrap();
    let sample = |layer: usize, rows: u32| {
        let ms = 0.05 + 0.02 * f64::from(rows) * (1 + layer) as f64;
        Sample::new(&network.work(layer), rows, ms)
    };
    let last = network.layers.len() - 1;
    let many = (0..last).flat_map(|layer| (1..12).map(move |rows| (layer, 8 * rows)));
    let samples: Vec<Sample> = many.chain([(last, 64)]).map(|(layer, rows)| sample(layer, rows)).collect();
    fit(&samples)
}

fn calibrated() -> Story {
    let mut story = story::demo();
    let profile = profile(&story);
    assert!(!profile.coefficient(Term::TransposedMacs).unwrap().reliable);
    for worker in (0..3).map(WorkerId::at) {
        let profile = profile.slowed(f64::from(worker.0 + 1));
        story.tell(What::WorkerCalibrated {
            worker,
            profile,
            cached: false,
            took_ms: 2400.0,
            held_out: Some(0.039),
        });
    }
    story.run(20);
    story
}

#[test]
fn a_prediction_is_taken_apart_and_what_is_known_from_few_samples_is_doubted() {
    let story = calibrated();
    for (size, word) in [(LARGE, "large"), (SMALL, "small")] {
        let mut desk = Desk::new(&story.lab, size);
        desk.press(KeyCode::Char('2'));
        assert!(!desk.text().contains("? few samples:"), "{}", desk.text());
        desk.press(KeyCode::End);
        assert!(size == SMALL || desk.text().contains("? few samples: MACs"), "{}", desk.text());
        assert!(desk.text().contains("? too few samples of: MACs transposed"), "{}", desk.text());
        insta::with_settings!({ omit_expression => true }, {
            insta::assert_snapshot!(format!("terms-{word}"), desk.text());
        });
    }
}

#[test]
fn a_small_replay_has_room_for_nine_rows_and_says_in_a_line_how_well_they_are_predicted() {
    let story = calibrated();
    let mut desk = Desk::replaying(&story.lab, SMALL);
    desk.press(KeyCode::Char('2'));
    assert_eq!(desk.ui.hits.page, 9);
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("terms-replay", desk.text());
    });
}

#[test]
fn rows_are_found_by_any_of_their_words_and_sorted_by_error() {
    let story = calibrated();
    let mut desk = Desk::new(&story.lab, LARGE);
    desk.press(KeyCode::Char('2')).type_text("/conv3 conv 3×3 b\n");
    let shown = desk.text();
    assert!(shown.contains("L2   conv3") && !shown.contains("L3   conv4"), "{shown}");
    desk.press(KeyCode::Esc).type_text("ss");
    assert!(desk.text().contains("by error"));
    let errors: Vec<f64> = super::super::layers::chosen(&desk.ui, &story.lab)
        .iter()
        .map(|row| row.error().unwrap().abs())
        .collect();
    assert!(errors.is_sorted_by(|a, b| a >= b), "{errors:?}");
}
