//! Winograd's algorithm on maps in blocks: the sums of [`crate::winograd`], channels side by side.
//!
//! Transforms add and multiply whole vectors of channels, so nothing is shifted or laid side by side, and no lane is idle
//! however few columns a row has. What a point multiplies is a product of blocks like any other ([`Stretch`]). Maps in planes
//! are turned on the way, 16 channels of a band at a time, which stay in the caches.
//! Bound: multiply-adds where weights are near, or the weights.

mod form;

use super::{PIXELS, Stretch, planes_of};
use crate::epilogue::{Epilogue, LaneEpilogue};
use crate::gather::Window;
use crate::isa::{Kernel, Vector, load, store};
use crate::run::{Residual, Run};
use crate::scratch::{Buffer, odd_lines};
use crate::sizes::{ALONG, BLOCKS_TRANSFORMED, COLUMNS, FEW_GROUPS};
use crate::tile::PANEL;
use crate::turn::{side_by_side, turn_back};
use crate::weights::PackedWeights;
use crate::{Layout, Map};
use form::{Form, Places, Source};
use std::ops::Range;

/// Panels of output channels whose sums are there at once.
const PANELS: usize = 8;

/// One run of a layer of whole blocks.
pub(crate) struct Winograd<'a, 'b> {
    pub(crate) run: Run<'a, 'b>,
    /// For pairs of rows, whether the first row is the second of its pair; `None` for rows by themselves.
    pub(crate) odd: Option<bool>,
}

impl Kernel for Winograd<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        // Fewer lanes never come here, see `Conv::takes`.
        if V::F32_LANES == PANEL {
            run(v, self);
        }
    }
}

/// How a run is divided, and how its values lie between the transforms: transformed rows by point, block, row and group, sums
/// by point, panel, unit and group.
struct Plan {
    form: Form,
    /// Output rows, and rows of the first unit that are not wanted: units are counted from the even row of the first pair.
    rows: usize,
    skipped: usize,
    /// Blocks of input channels, and groups of columns.
    blocks: usize,
    groups: usize,
    /// Units computed together.
    band: usize,
    /// Values from one block, and from one point, to the next of what is transformed; then from one panel and point of sums.
    block_len: usize,
    point_len: usize,
    panel_len: usize,
    sums_len: usize,
}

impl Plan {
    fn new(run: &Run<'_, '_>, odd: Option<bool>) -> Plan {
        let form = if odd.is_some() { Form::Pairs } else { Form::Rows };
        let skipped = usize::from(odd == Some(true));
        let [blocks, panels] =
            [run.in_channels, run.out_channels].map(|channels| channels / run.groups / PANEL);
        let groups = run.window.out_width.div_ceil(COLUMNS);
        let units = (run.rows + skipped).div_ceil(form.rows());
        let fits = BLOCKS_TRANSFORMED / (form.points() * blocks * PANEL * groups);
        let band = units.div_ceil(units.div_ceil(fits.max(FEW_GROUPS.div_ceil(groups))));
        let block_len = (band + form.read() - 1) * groups * PANEL;
        let panel_len = band * groups * PANEL;
        Plan {
            form,
            rows: run.rows,
            skipped,
            blocks,
            groups,
            band,
            block_len,
            point_len: odd_lines(blocks * block_len),
            panel_len,
            sums_len: odd_lines(PANELS.min(panels) * panel_len),
        }
    }

    /// The bands, each of some units.
    fn bands(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (units, band) = ((self.rows + self.skipped).div_ceil(self.form.rows()), self.band);
        (0..units).step_by(band).map(move |start| start..units.min(start + band))
    }

    /// Where in what is transformed the value for pixel 0 lies for each product.
    fn taps(&self, taps: &mut Vec<usize>) {
        taps.clear();
        taps.extend((0..self.blocks * PANEL).flat_map(|channel| {
            let at = channel / PANEL * self.block_len + channel % PANEL;
            (0..self.form.read()).map(move |row| at + row * self.groups * PANEL)
        }));
    }

    /// Rows of the map, in whole or in part zeros beyond it, that so many units read.
    fn read(&self, units: usize) -> usize {
        self.form.rows() * units + 2
    }

    /// The output rows of a band.
    fn made(&self, band: &Range<usize>) -> Range<usize> {
        let row = |unit: usize| (self.form.rows() * unit).saturating_sub(self.skipped).min(self.rows);
        row(band.start)..row(band.end)
    }

    /// Transforms what a band needs of the blocks from number `first` on; `near` has room for the rows of one, where they lie in
    /// planes.
    #[inline(always)]
    fn transform<V: Vector>(
        &self,
        v: V,
        Input { window, layout, first, near }: Input<'_, '_>,
        band: &Range<usize>,
        to: &mut [f32],
    ) {
        let form = self.form;
        let above = self.skipped + window.top;
        let line = (window.first_row + form.rows() * band.start) as isize - above as isize;
        let within = |line: isize| (line.max(0) as usize).min(window.map.rows());
        let turned = within(line)..within(line + self.read(band.len()) as isize);
        for block in 0..self.blocks {
            let (map, number, line) = match layout {
                Layout::Blocks => (window.map, first + block, line),
                Layout::Planes => {
                    let width = window.map.width();
                    let pixels = turned.start * width..turned.end * width;
                    side_by_side(v, &planes_of(&window.map, (first + block) * PANEL, pixels.clone()), near);
                    let own = Map::of_one(&near[..pixels.len() * PANEL], width * PANEL);
                    (own, 0, line - turned.start as isize)
                }
            };
            for group in 0..self.groups {
                let (map, left) = (&map, window.left as usize);
                let source = Source { map, block: number, left, column: group * COLUMNS };
                let values = &mut to[block * self.block_len + group * PANEL..];
                let mut places = Places { values, row: self.groups * PANEL, point: self.point_len };
                form.forth(v, &source, line, band.len() + form.read() - 1, &mut places);
            }
        }
    }

    /// The pixels of a band, a group of columns each, that are multiplied at a point: a row alone needs no product with the
    /// input row that is only its neighbour's.
    fn wanted(&self, point: usize, band: &Range<usize>) -> Range<usize> {
        let pixels = band.len() * self.groups;
        let alone_first = self.skipped == 1 && band.start == 0;
        let alone_last = self.form.rows() * band.end > self.rows + self.skipped;
        match point / ALONG {
            0 if alone_first => self.groups..pixels,
            3 if alone_last => 0..pixels - self.groups,
            _ => 0..pixels,
        }
    }

    /// Multiplies what is transformed with the panels from number `panel` on of `group`, at every point.
    #[inline(always)]
    fn multiply<V: Vector>(
        &self,
        v: V,
        Factors { weights, group, panels, taps, transformed }: Factors<'_>,
        band: &Range<usize>,
        sums: &mut [f32],
    ) {
        let (points, plain) = (self.form.points(), Epilogue::none());
        let inputs = transformed.chunks_exact(self.point_len);
        for (point, (input, sums)) in inputs.zip(sums.chunks_exact_mut(self.sums_len)).enumerate() {
            let mut blocks = sums.chunks_exact_mut(self.panel_len);
            let mut made: [&mut [f32]; PANELS] = std::array::from_fn(|_| blocks.next().unwrap_or_default());
            let pixels = self.wanted(point, band);
            let width = pixels.len().div_ceil(pixels.len().div_ceil(PIXELS).max(1)).max(1);
            let set = group * points + point;
            let stretch = Stretch {
                weights,
                set,
                panel: panels.start,
                next: if point + 1 < points { Some((set + 1, panels.start)) } else { None },
                epilogue: &plain,
                channels: 0..panels.len() * PANEL,
                taps,
                input: &input[pixels.start * PANEL..],
                pixels,
                width,
                pitch: width * PANEL,
                residual: Residual::None,
                output: &mut made[..panels.len()],
                layout: Layout::Blocks,
                sums: &mut Buffer::default(),
            };
            stretch.run::<V, PANEL>(v);
        }
    }

    /// Transforms the sums of one panel back.
    #[inline(always)]
    fn finish<V: Vector>(&self, v: V, sums: &[f32], band: &Range<usize>, mut output: Finished<'_, V>) {
        let each = self.form.rows();
        for (index, unit) in band.clone().enumerate() {
            for group in 0..self.groups {
                let at = (index * self.groups + group) * PANEL;
                let made = self.form.back(v, &sums[at..], self.sums_len);
                for (row, made) in made.into_iter().enumerate().take(each) {
                    let row = (each * unit + row).checked_sub(self.skipped);
                    if let Some(row) = row.filter(|&row| row < self.rows) {
                        output.put(v, row - output.first, group * COLUMNS, made);
                    }
                }
            }
        }
    }
}

/// What is transformed.
struct Input<'a, 'b> {
    window: &'a Window<'a>,
    layout: Layout,
    /// The first block.
    first: usize,
    near: &'b mut [f32],
}

/// What is multiplied.
struct Factors<'a> {
    weights: &'a PackedWeights,
    group: usize,
    /// Panels of the group.
    panels: Range<usize>,
    taps: &'a [usize],
    transformed: &'a [f32],
}

#[inline(always)]
fn run<V: Vector>(v: V, Winograd { run, odd }: Winograd<'_, '_>) {
    let plan = Plan::new(&run, odd);
    let Run { weights, epilogue, window, residual, output, channels, layouts, buffers, .. } = run;
    let (outside, width) = (run.out_channels / run.groups, window.out_width);
    let transformed = buffers.first.take(plan.form.points() * plan.point_len);
    let sums = buffers.second.take(plan.form.points() * plan.sums_len);
    // Room for what is turned of one block of a band: read, added, and made.
    let room = |turned: bool, pixels: usize| if turned { pixels.next_multiple_of(PANEL) * PANEL } else { 0 };
    let made = plan.form.rows() * plan.band * width;
    let rooms = [
        room(layouts[0] == Layout::Planes, plan.read(plan.band) * window.map.width()),
        room(matches!(residual, Residual::Planes(_)), made),
        room(layouts[1] == Layout::Planes, made),
    ];
    let (near, rest) = buffers.third.take(rooms.iter().sum()).split_at_mut(rooms[0]);
    let (added, made) = rest.split_at_mut(rooms[1]);
    plan.taps(&mut buffers.taps);
    // Slices of the output that a panel of channels is written to.
    let [each, _] = layouts[1].as_planes(PANEL, 1);
    for group in channels.start / outside..channels.end.div_ceil(outside) {
        let own = channels.start.max(group * outside)..channels.end.min((group + 1) * outside);
        let [start, end] = [own.start, own.end].map(|channel| (channel - channels.start) / PANEL * each);
        let output = &mut output[start..end];
        for band in plan.bands() {
            let input = Input { window: &window, layout: layouts[0], first: group * plan.blocks, near };
            plan.transform(v, input, &band, transformed);
            let rows = plan.made(&band);
            let pixels = rows.start * width..rows.end * width;
            let values = pixels.start * PANEL..pixels.end * PANEL;
            for (chunk, planes) in output.chunks_mut(PANELS * each).enumerate() {
                let first = (own.start - group * outside) / PANEL + chunk * PANELS;
                let panels = first..first + planes.len() / each;
                let factors = Factors { weights, group, panels, taps: &buffers.taps, transformed };
                plan.multiply(v, factors, &band, sums);
                for (index, planes) in planes.chunks_exact_mut(each).enumerate() {
                    let block = group * outside / PANEL + first + index;
                    let residual = match &residual {
                        Residual::None => None,
                        Residual::Blocks(map) => Some(&map.plane(block)[values.clone()]),
                        Residual::Planes(map) => {
                            let planes = planes_of(map, block * PANEL, pixels.clone());
                            side_by_side(v, &planes, added);
                            Some(&*added)
                        }
                    };
                    let plane = match layouts[1] {
                        Layout::Blocks => &mut planes[0][values.clone()],
                        Layout::Planes => &mut *made,
                    };
                    let epilogue = epilogue.lanes(v, block * PANEL, 1, PANEL);
                    let finished = Finished { epilogue, residual, plane, first: rows.start, width };
                    plan.finish(v, &sums[index * plan.panel_len..], &band, finished);
                    if layouts[1] == Layout::Planes {
                        turn_back(v, made, [0, 1], planes, pixels.clone(), None);
                    }
                }
            }
        }
    }
}

/// The output rows of one block of a band.
struct Finished<'a, V: Vector> {
    epilogue: LaneEpilogue<V>,
    /// What is added to them.
    residual: Option<&'a [f32]>,
    plane: &'a mut [f32],
    /// The first of them.
    first: usize,
    width: usize,
}

impl<V: Vector> Finished<'_, V> {
    /// Writes columns of row number `row` of these, as many as there are from `column` on.
    #[inline(always)]
    fn put(&mut self, v: V, row: usize, column: usize, sums: [V::f32s; COLUMNS]) {
        let at = (row * self.width + column) * PANEL;
        let values = COLUMNS.min(self.width - column) * PANEL;
        let to = &mut self.plane[at..][..values];
        let mut added = [v.splat_f32s(0.0); COLUMNS];
        let sums = match self.residual {
            Some(residual) => {
                let residual = &residual[at..][..values];
                for (to, from) in added.iter_mut().zip(residual.chunks_exact(PANEL)) {
                    *to = load::<V>(from);
                }
                self.epilogue.apply(v, sums, Some(added))
            }
            None => self.epilogue.apply(v, sums, None),
        };
        for (to, sum) in to.chunks_exact_mut(PANEL).zip(sums) {
            store::<V>(to, sum);
        }
    }
}
