//! Faces from the grid of the tiny face detector: decoding and non-maximum suppression as in face-api.js.

use collab_core::event::FoundBox;

use super::AnswerError;

/// Cells across and down a picture of 416×416: one for 32×32 pixels.
const CELLS: usize = 13;

/// Width and height of the boxes each cell starts from, in cells.
const ANCHORS: [(f64, f64); 5] = [
    (1.603231, 2.094468),
    (6.041143, 7.080126),
    (2.882459, 3.518061),
    (4.266906, 5.178857),
    (9.041765, 10.66308),
];

/// Boxes less certain than this are dropped.
const MIN_SCORE: f64 = 0.5;

/// A box that shares more than this part of its union with a more certain one is the same face.
const MAX_OVERLAP: f64 = 0.4;

/// The faces in an output `[25, 13, 13]`: five anchors of x, y, width, height and certainty per cell.
///
/// Most certain first, in parts of the picture's width and height, cut off at its edges.
///
/// # Errors
/// [`AnswerError::Count`] if there are not 25 × 13 × 13 values.
pub fn faces(values: &[f32]) -> Result<Vec<FoundBox>, AnswerError> {
    const PLANE: usize = CELLS * CELLS;
    let expected = ANCHORS.len() * 5 * PLANE;
    if values.len() != expected {
        return Err(AnswerError::Count { expected, found: values.len() });
    }
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let mut found = Vec::new();
    for (anchor, (anchor_width, anchor_height)) in ANCHORS.into_iter().enumerate() {
        for cell in 0..PLANE {
            let [x, y, width, height, score] =
                std::array::from_fn(|part| f64::from(values[(5 * anchor + part) * PLANE + cell]));
            let p = sigmoid(score);
            if p <= MIN_SCORE {
                continue;
            }
            let in_cells = |cells: f64| cells / CELLS as f64;
            let (column, row) = ((cell % CELLS) as f64, (cell / CELLS) as f64);
            let (width, height) =
                (in_cells(width.exp() * anchor_width), in_cells(height.exp() * anchor_height));
            let (x, y) = (in_cells(column + sigmoid(x)), in_cells(row + sigmoid(y)));
            found.push(clipped(x - width / 2.0, y - height / 2.0, x + width / 2.0, y + height / 2.0, p));
        }
    }
    found.sort_by(|a, b| b.p.total_cmp(&a.p));
    let mut kept: Vec<FoundBox> = Vec::new();
    for face in found {
        if kept.iter().all(|better| overlap(better, &face) <= MAX_OVERLAP) {
            kept.push(face);
        }
    }
    Ok(kept)
}

fn clipped(left: f64, top: f64, right: f64, bottom: f64, p: f64) -> FoundBox {
    let [left, top, right, bottom] = [left, top, right, bottom].map(|edge| edge.clamp(0.0, 1.0));
    FoundBox { x: left, y: top, width: right - left, height: bottom - top, p, label: "face".to_owned() }
}

/// The area two boxes share, as a part of the area they cover together.
fn overlap(a: &FoundBox, b: &FoundBox) -> f64 {
    let shared =
        |a: f64, a_size: f64, b: f64, b_size: f64| ((a + a_size).min(b + b_size) - a.max(b)).max(0.0);
    let both = shared(a.x, a.width, b.x, b.width) * shared(a.y, a.height, b.y, b.height);
    let either = a.width * a.height + b.width * b.height - both;
    if either > 0.0 { both / either } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A grid where nothing is found but what is set: anchor, column, row, certainty.
    fn grid(set: &[(usize, usize, usize, f32)]) -> Vec<f32> {
        let mut values = vec![0.0; 25 * 169];
        for anchor in 0..5 {
            values[(5 * anchor + 4) * 169..(5 * anchor + 5) * 169].fill(-5.0);
        }
        for &(anchor, column, row, certainty) in set {
            values[(5 * anchor + 4) * 169 + 13 * row + column] = certainty;
        }
        values
    }

    #[test]
    fn a_certain_cell_gives_a_box_of_its_anchor_around_it() {
        let boxes = faces(&grid(&[(2, 6, 4, 2.0)])).unwrap();
        let [face] = &boxes[..] else { panic!("{boxes:?}") };
        assert!((face.x + face.width / 2.0 - 6.5 / 13.0).abs() < 1e-12);
        assert!((face.y + face.height / 2.0 - 4.5 / 13.0).abs() < 1e-12);
        assert!((face.width - 2.882459 / 13.0).abs() < 1e-12);
        assert!((face.p - 0.880797).abs() < 1e-6);
    }

    #[test]
    fn of_boxes_on_one_face_the_most_certain_stays() {
        let boxes = faces(&grid(&[(2, 6, 4, 1.0), (2, 6, 5, 3.0), (2, 11, 11, 0.5)])).unwrap();
        assert_eq!(boxes.len(), 2);
        assert!(boxes[0].p > 0.95 && boxes[1].x > 0.7);
    }

    #[test]
    fn boxes_end_at_the_edges_of_the_picture() {
        let boxes = faces(&grid(&[(4, 0, 12, 3.0)])).unwrap();
        let face = &boxes[0];
        assert!(face.x == 0.0 && face.y + face.height <= 1.0 && face.width > 0.0, "{face:?}");
        assert!(faces(&grid(&[])).unwrap().is_empty());
    }
}
