//! The first view: workers, latency, and the proposal or the answer.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};

use super::ui::Hits;
use super::{Scene, answer, latency, notice, proposal, starting, worker_detail, workers};

/// Rows the lower panels keep whatever the number of workers.
const LOWER: u16 = 9;

/// Draws it.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let lab = scene.lab;
    if lab.workers.is_empty() {
        starting::draw(scene, area, buf);
        return;
    }
    let note = notice::notice(scene.shown, lab);
    let wanted = 3 + lab.workers.len() as u16 + u16::from(note.is_some());
    let height = wanted.min(area.height.saturating_sub(LOWER));
    let [top, bottom] = area.layout(&Layout::vertical([Constraint::Length(height), Constraint::Min(0)]));
    workers::draw(scene, note, top, buf, hits);
    let [left, right] =
        bottom.layout(&Layout::horizontal([Constraint::Percentage(52), Constraint::Percentage(48)]));
    if lab.runs.recent.is_empty() {
        starting::draw(scene, left, buf);
    } else {
        latency::draw(scene, left, buf);
    }
    if scene.ui.detail {
        worker_detail::draw(scene, right, buf);
    } else if lab.runs.recent.is_empty() && lab.answer.is_none() {
        starting::draw_hints(scene, right, buf);
    } else if !lab.is_planned() {
        starting::draw(scene, right, buf);
    } else if lab.offered().is_some() && !lab.runs.recent.is_empty() {
        proposal::draw(scene, right, buf);
    } else {
        answer::draw(scene, right, buf);
    }
}
