//! What the network says: classes with bars, boxes on the picture, or the picture before and after.

use collab_core::event::{Answer, Class, FoundBox, Thumbnail, Verdict};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

use super::panel::{self, Panel};
use super::widgets::{bar, picture};
use super::{Scene, text};

/// Rows below which captions are kept to a line each.
const FLAT: u16 = 14;

/// Draws it in a panel of its own.
pub(super) fn draw(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let input = scene.lab.runs.in_flight.back().map(|run| text::shorten(&run.input, 24));
    let mut panel = Panel::new(theme, "Answer");
    if let Some(input) = input {
        panel = panel.with(input, theme.dim());
    }
    let inner = panel.draw(theme, area, buf);
    draw_inside(scene, inner, buf);
}

/// Draws it into `area`.
pub(super) fn draw_inside(scene: &Scene, area: Rect, buf: &mut Buffer) {
    let lab = scene.lab;
    if area.height < 2 {
        return;
    }
    let body = Rect { height: area.height - 1, ..area };
    match (&lab.answer, &lab.before) {
        (Some(Answer::Picture { .. }) | None, Some(before)) => {
            let wide = usize::from(area.width);
            let mut caption = text::flow(psnr(scene), 2, wide);
            // In a flat panel the picture matters more than what stands at the end of a line.
            caption.truncate(if area.height < FLAT { 1 } else { caption.len() });
            caption.extend(told_verdict(scene, wide, area.height < FLAT));
            let rows = caption.len() as u16;
            let room = Rect { height: area.height.saturating_sub(rows), ..area };
            let end = draw_pair(scene, before, lab.after.as_ref(), room, buf);
            let air = u16::from(end < room.bottom());
            panel::write(caption, Rect { y: end + air, height: rows, ..area }, buf);
            return;
        }
        (Some(Answer::Classes(classes)), before) => draw_classes(scene, classes, before.as_ref(), body, buf),
        (Some(Answer::Boxes(boxes)), before) => draw_boxes(scene, boxes, before.as_ref(), body, buf),
        (Some(Answer::Values { count, min, max }), _) => {
            let line = format!("{} values from {min:.3} to {max:.3}", text::thousands(*count));
            panel::write([Line::raw(line)], body, buf);
        }
        (Some(Answer::Picture { .. }), None) => {
            panel::write(text::flow(psnr(scene), 2, usize::from(body.width)), body, buf);
        }
        (None, None) => {
            panel::write([Line::styled("No answer yet.", scene.theme.dim())], body, buf);
        }
    }
    if lab.runs.done > 0 {
        let line = told_verdict(scene, usize::from(area.width), true);
        panel::write(line, Rect { y: area.bottom() - 1, height: 1, ..area }, buf);
    }
}

/// The verdict in lines of `wide` cells, or as much of it as one line holds.
fn told_verdict(scene: &Scene, wide: usize, is_short: bool) -> Vec<Line<'static>> {
    let mut lines = text::flow(verdict(scene), 0, wide);
    lines.truncate(if is_short { 1 } else { lines.len() });
    lines
}

/// What comparing with one device gave, in parts.
fn verdict(scene: &Scene) -> Vec<Vec<Span<'static>>> {
    let theme = scene.theme;
    let lab = scene.lab;
    let [equal, within, differs] = lab.runs.checked;
    let checked = text::thousands(equal + within + differs);
    let whole = |text: String, style| vec![vec![Span::styled(text, style)]];
    match (lab.runs.overall(), lab.verdict) {
        (None, _) => whole("not yet compared with one device".to_owned(), theme.dim()),
        (Some("bit-equal"), _) => vec![
            vec![
                Span::styled("✓ bit-equal", theme.good()),
                Span::styled(" to one device's output", theme.dim()),
            ],
            vec![Span::styled(format!(", {checked} compared"), theme.dim())],
        ],
        (Some("within"), Verdict::Within(by)) => vec![
            vec![
                Span::styled("✓ within 1e-5", theme.good()),
                Span::styled(" of one device's output", theme.dim()),
            ],
            vec![Span::styled(format!(" (now {by:.1e}), {checked} compared"), theme.dim())],
        ],
        (Some("within"), _) => whole("✓ within 1e-5 of one device's output".to_owned(), theme.good()),
        (Some(_), Verdict::Differs(by)) => {
            whole(format!("✗ differs from one device's output by {by:.1e} of its range"), theme.error())
        }
        (Some(_), _) => {
            whole(format!("✗ {differs} of {checked} outputs differed from one device's"), theme.error())
        }
    }
}

/// How near the enlarged picture is to the true one, in parts.
fn psnr(scene: &Scene) -> Vec<Vec<Span<'static>>> {
    let Some(Answer::Picture { psnr_db, bicubic_psnr_db }) = &scene.lab.answer else { return Vec::new() };
    let Some(own) = psnr_db else { return Vec::new() };
    let mut first = vec![
        Span::styled("PSNR ", scene.theme.dim()),
        Span::styled(format!("{own:.2} dB"), scene.theme.strong()),
    ];
    let Some(bicubic) = bicubic_psnr_db else { return vec![first] };
    let more = own - bicubic;
    let sign = if more < 0.0 { "−" } else { "+" };
    let style = if more > 0.0 { scene.theme.good() } else { scene.theme.text() };
    first.push(Span::styled(format!("  {sign}{:.2}", more.abs()), style));
    vec![first, vec![Span::styled(format!("over bicubic {bicubic:.2}"), scene.theme.dim())]]
}

/// The picture that went in beside the one that came out, drawn equally large; returns the row below them.
fn draw_pair(
    scene: &Scene,
    before: &Thumbnail,
    after: Option<&Thumbnail>,
    area: Rect,
    buf: &mut Buffer,
) -> u16 {
    let Some(after) = after else {
        return area.y + draw_picture(scene, before, &[], area, buf).1;
    };
    if area.height < 3 || area.width < 8 {
        return area.y;
    }
    let half = (area.width - 2) / 2;
    let room = Rect { y: area.y + 1, width: half, height: area.height - 1, ..area };
    let (width, height) = picture::fit(after, room);
    for (index, (shown, title)) in [(before, "before"), (after, "after")].into_iter().enumerate() {
        let x = area.x + index as u16 * (half + 2);
        buf.set_stringn(x, area.y, title, usize::from(half), scene.theme.dim());
        picture::draw(shown, &[], scene.theme, Rect { x, y: room.y, width, height }, buf);
    }
    room.y + height
}

/// Draws one picture as large as `room` allows; returns the cells it takes.
fn draw_picture(
    scene: &Scene,
    shown: &Thumbnail,
    boxes: &[FoundBox],
    room: Rect,
    buf: &mut Buffer,
) -> (u16, u16) {
    let (width, height) = picture::fit(shown, room);
    picture::draw(shown, boxes, scene.theme, Rect { width, height, ..room }, buf);
    (width, height)
}

/// `area` without its first columns.
fn right_of(area: Rect, columns: u16) -> Rect {
    let columns = columns.min(area.width);
    Rect { x: area.x + columns, width: area.width - columns, ..area }
}

fn draw_classes(scene: &Scene, classes: &[Class], before: Option<&Thumbnail>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let rows = (classes.len().min(5) as u16 * 2).min(area.height);
    // A tall panel has the picture above the bars, a flat one beside them.
    let is_tall = area.height >= rows + 8;
    let rest = match before {
        Some(shown) if is_tall => {
            let room = Rect { height: area.height - rows - 1, ..area };
            let (_, height) = draw_picture(scene, shown, &[], room, buf);
            Rect { y: area.y + height + 1, height: area.height - height - 1, ..area }
        }
        Some(shown) if area.width >= 34 => {
            let room = Rect { width: area.width / 2, ..area };
            let (width, _) = draw_picture(scene, shown, &[], room, buf);
            right_of(area, width + 2)
        }
        _ => area,
    };
    let cells = usize::from(rest.width).saturating_sub(9);
    let two_lines = rest.height as usize >= classes.len().min(5) * 2;
    let mut lines = Vec::new();
    for (rank, class) in classes.iter().take(5).enumerate() {
        let style = if rank == 0 { theme.strong() } else { theme.text() };
        let share = format!("{:>6.1} %", class.p * 100.0);
        if two_lines {
            lines.push(Line::styled(text::shorten(&class.label, usize::from(rest.width)), style));
            lines.push(Line::from(vec![
                Span::styled(bar::smooth(class.p, cells), theme.text()),
                Span::styled(share, style),
            ]));
        } else {
            let label = text::shorten(&class.label, cells);
            lines.push(Line::styled(format!("{} {share}", text::padded(&label, cells)), style));
        }
    }
    panel::write(lines, rest, buf);
}

fn draw_boxes(scene: &Scene, boxes: &[FoundBox], before: Option<&Thumbnail>, area: Rect, buf: &mut Buffer) {
    let theme = scene.theme;
    let rest = match before {
        Some(shown) => {
            let room = Rect { width: area.width.saturating_sub(14), ..area };
            let (width, _) = draw_picture(scene, shown, boxes, room, buf);
            right_of(area, width + 2)
        }
        None => area,
    };
    let title = match boxes.len() {
        0 => "nothing found".to_owned(),
        1 => "1 found".to_owned(),
        count => format!("{count} found"),
    };
    let mut lines = vec![Line::styled(title, theme.strong())];
    for found in boxes.iter().take(usize::from(rest.height).saturating_sub(1)) {
        lines.push(Line::raw(format!("{:>3.0} %  {}", found.p * 100.0, found.label)));
    }
    panel::write(lines, rest, buf);
}
