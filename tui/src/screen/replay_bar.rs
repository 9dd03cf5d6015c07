//! The bar under a replay: where in the session it is, and the moments worth seeking to.

use collab_core::time::Micros;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Line;

use super::panel::Panel;
use super::ui::{Hits, Target};
use super::{Scene, text};
use crate::stage::{Extent, Playback};

/// Draws it; four rows.
pub(super) fn draw(scene: &Scene, playback: &Playback, area: Rect, buf: &mut Buffer, hits: &mut Hits) {
    let theme = scene.theme;
    let end = match playback.extent {
        Extent::Complete => "complete".to_owned(),
        Extent::Growing => "being recorded".to_owned(),
        Extent::Recovered => "▲ recovered: the end is missing".to_owned(),
        Extent::Damaged(at) => format!("▲ damaged at {at}: copy the file again"),
    };
    let speed =
        if (playback.speed - 1.0).abs() > 1e-9 { format!("×{}   ", playback.speed) } else { String::new() };
    let remark = format!("{speed}{end}   {}", text::bytes(playback.bytes));
    let name = playback.path.rsplit(['/', '\\']).next().unwrap_or_default();
    let panel = Panel::new(theme, "Session").with(text::shorten(name, 30), theme.dim());
    let inner = panel.remark(Line::styled(remark, theme.dim())).draw(theme, area, buf);
    if inner.height < 2 || inner.width < 20 {
        return;
    }
    let last = inner.width - 1;
    let here = column(playback, playback.position, inner);
    for x in inner.x..=inner.x + last {
        let (glyph, style) = match x {
            x if x == inner.x => ("├", theme.line()),
            x if x == inner.x + last => ("┤", theme.line()),
            x if x < here => ("━", theme.accent()),
            _ => ("─", theme.line()),
        };
        buf.set_string(x, inner.y, glyph, style);
    }
    for (at, glyph) in &playback.moments {
        let style = if matches!(glyph, '▲' | '✗') { theme.warning() } else { theme.strong() };
        // Not in the colour of the line under it, which those to come would have.
        let cell = &mut buf[(column(playback, *at, inner), inner.y)];
        cell.reset();
        cell.set_char(*glyph).set_style(style);
    }
    buf[(here, inner.y)].set_char('●').set_style(theme.accent());
    hits.add(Rect { height: 1, ..inner }, Target::Bar);
    draw_times(scene, playback, here, inner, buf);
}

/// Where on the bar a moment of the session is.
fn column(playback: &Playback, at: Micros, bar: Rect) -> u16 {
    let part = at.0 as f64 / playback.length.0.max(1) as f64;
    bar.x + (part.clamp(0.0, 1.0) * f64::from(bar.width - 1)).round() as u16
}

/// The times of the ends, of the place, and of the moments for which there is room.
fn draw_times(scene: &Scene, playback: &Playback, here: u16, inner: Rect, buf: &mut Buffer) {
    let y = inner.y + 1;
    let mut taken: Vec<(u16, u16)> = Vec::new();
    let mut put = |x: u16, label: &str, style, buf: &mut Buffer| {
        let wide = label.len() as u16;
        let start = x.saturating_sub(wide / 2).clamp(inner.x, inner.right() - wide);
        let is_free = taken.iter().all(|(from, to)| start + wide < *from || start > to + 1);
        if is_free {
            taken.push((start, start + wide));
            buf.set_string(start, y, label, style);
        }
    };
    put(here, &playback.position.to_string(), scene.theme.strong(), buf);
    put(inner.x, "0:00", scene.theme.dim(), buf);
    put(inner.right() - 1, &playback.length.to_string(), scene.theme.dim(), buf);
    for (at, _) in &playback.moments {
        put(column(playback, *at, inner), &at.to_string(), scene.theme.dim(), buf);
    }
}
