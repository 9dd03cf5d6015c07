//! Views of feature maps: channels × rows × width values, the rows of a channel contiguous.

use crate::KernelError;
use crate::tile::PANEL;

/// How the values of a feature map lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// A plane for each channel: channel, row, column.
    Planes,
    /// Sixteen channels side by side: block, row, column, channel ("nChw16c"). The last block is filled up with numbers
    /// that mean nothing.
    Blocks,
}

impl Layout {
    /// Channels and width of a [`Map`] of planes that has the values of one of `channels` and `width` in this layout: a block
    /// counts as one wide channel.
    pub fn as_planes(self, channels: usize, width: usize) -> [usize; 2] {
        match self {
            Layout::Planes => [channels, width],
            Layout::Blocks => [channels.div_ceil(PANEL), PANEL * width],
        }
    }
}

/// Some rows of a feature map, read only. Channels may lie further apart than `rows · width`, so a view of fewer rows
/// costs nothing.
#[derive(Debug, Clone, Copy)]
pub struct Map<'a> {
    data: &'a [f32],
    channels: usize,
    rows: usize,
    width: usize,
    stride: usize,
}

impl<'a> Map<'a> {
    /// A whole map of `channels` × `rows` × `width` values.
    ///
    /// # Errors
    /// If `data` has another length.
    pub fn new(data: &'a [f32], channels: usize, rows: usize, width: usize) -> Result<Map<'a>, KernelError> {
        if data.len() != channels * rows * width {
            return Err(KernelError::Length {
                what: "map",
                expected: channels * rows * width,
                found: data.len(),
            });
        }
        Ok(Map { data, channels, rows, width, stride: rows * width })
    }

    /// Rows of `width` values of one channel, or block: as many as `data` holds.
    pub(crate) fn of_one(data: &'a [f32], width: usize) -> Map<'a> {
        let rows = data.len().checked_div(width).unwrap_or_default();
        Map { data, channels: 1, rows, width, stride: data.len() }
    }

    /// The rows `first..end` of this view.
    ///
    /// # Panics
    /// If the range does not lie within the view.
    pub fn rows_between(self, first: usize, end: usize) -> Map<'a> {
        assert!(first <= end && end <= self.rows, "rows {first}..{end} of a map of {} rows", self.rows);
        let start = (first * self.width).min(self.data.len());
        Map { data: &self.data[start..], rows: end - first, ..self }
    }

    /// The channels `first..end` of this view.
    ///
    /// # Panics
    /// If the range does not lie within the view.
    pub fn channels_between(self, first: usize, end: usize) -> Map<'a> {
        assert!(first <= end && end <= self.channels, "channels {first}..{end} of {}", self.channels);
        let start = (first * self.stride).min(self.data.len());
        Map { data: &self.data[start..], channels: end - first, ..self }
    }

    /// The same values as one row a channel.
    pub(crate) fn as_one_row(self) -> Map<'a> {
        Map { rows: 1, width: self.rows * self.width, ..self }
    }

    /// The number of channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Values from one channel to the next.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// The values from the first row of `channel` on, also those beyond its end.
    #[inline(always)]
    pub(crate) fn beyond(&self, channel: usize) -> &'a [f32] {
        &self.data[channel * self.stride..]
    }

    /// The rows of one channel.
    #[inline(always)]
    pub fn plane(&self, channel: usize) -> &'a [f32] {
        &self.data[channel * self.stride..][..self.rows * self.width]
    }

    /// One row of one channel.
    #[inline(always)]
    pub fn row(&self, channel: usize, row: usize) -> &'a [f32] {
        &self.data[channel * self.stride + row * self.width..][..self.width]
    }

    /// How a map of `channels` of `width` columns lies in this view; the size decides, which [`Map::check`] checks.
    pub(crate) fn layout(&self, channels: usize, width: usize) -> Layout {
        if [self.channels, self.width] == [channels, width] { Layout::Planes } else { Layout::Blocks }
    }

    /// Fails unless the view has this size.
    pub(crate) fn check(
        &self,
        what: &'static str,
        channels: usize,
        rows: usize,
        width: usize,
    ) -> Result<(), KernelError> {
        let (expected, found) = ([channels, rows, width], [self.channels, self.rows, self.width]);
        if expected == found { Ok(()) } else { Err(KernelError::Size { what, expected, found }) }
    }
}

/// Fails unless there are `channels` output planes of `len` values each.
pub(crate) fn check_planes(output: &[&mut [f32]], channels: usize, len: usize) -> Result<(), KernelError> {
    if output.len() != channels {
        return Err(KernelError::Length { what: "output planes", expected: channels, found: output.len() });
    }
    match output.iter().find(|plane| plane.len() != len) {
        Some(plane) => Err(KernelError::Length { what: "output plane", expected: len, found: plane.len() }),
        None => Ok(()),
    }
}

/// An empty list that hands its memory on, so that cutting an output into planes allocates once only.
#[derive(Debug, Default)]
pub struct PlaneList(Vec<&'static mut [f32]>);

impl PlaneList {
    /// Cuts `output` into `channels` planes of equal length.
    pub fn split<'a>(&mut self, output: &'a mut [f32], channels: usize) -> Vec<&'a mut [f32]> {
        let mut planes: Vec<&'a mut [f32]> = std::mem::take(&mut self.0);
        let len = output.len().checked_div(channels).unwrap_or(0).max(1);
        planes.extend(output.chunks_exact_mut(len));
        planes
    }

    /// Takes the memory of a list back.
    pub fn keep(&mut self, mut planes: Vec<&mut [f32]>) {
        planes.clear();
        // Collecting an emptied list into one of another lifetime reuses its allocation.
        self.0 = planes.into_iter().map(|_| Default::default()).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cutting_an_output_into_planes_reuses_the_memory_of_the_list() {
        let (mut list, mut output) = (PlaneList::default(), vec![0.0; 60]);
        let planes = list.split(&mut output, 20);
        let memory = planes.as_ptr().addr();
        assert_eq!(planes.len(), 20);
        list.keep(planes);
        let planes = list.split(&mut output, 12);
        assert_eq!((planes.len(), planes[11].len(), planes.as_ptr().addr()), (12, 5, memory));
    }
}
