//! Memory for values, in huge pages where the system has them.
//!
//! A kernel goes through many planes of a map, or rows of a panel, side by side, each of which lies in a page of its own. In
//! pages of 4 KB these are more than a processor keeps the addresses of, and to look one up takes long in a virtual machine.

/// Values of a cache line.
pub(crate) const LINE: usize = 64 / size_of::<f32>();

/// Values of a huge page.
const PAGE: usize = (2 << 20) / size_of::<f32>();

/// Values from which memory to work in has a huge page to itself.
const WORKING: usize = PAGE / 16;

/// Zeros at first, which begin on a cache line.
#[derive(Debug)]
pub(crate) enum Memory {
    /// From the allocator, a line more than what is asked for, so that values can begin on one.
    Heap(Vec<f32>),
    /// From the system, a huge page more, so that values can begin on one; what is not written takes no memory.
    #[cfg(all(target_os = "linux", not(miri)))]
    Huge(memmap2::MmapMut),
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::Heap(Vec::new())
    }
}

impl Memory {
    /// Room for `len` values that stay: in huge pages as far as these are full.
    pub(crate) fn to_keep(len: usize) -> Memory {
        let huge = if len >= PAGE { Memory::huge(len / PAGE * PAGE, len) } else { None };
        huge.unwrap_or_else(|| Memory::heap(len))
    }

    /// Room for at least `len` values to work with: in huge pages, though the last be not full.
    pub(crate) fn to_work_in(len: usize) -> Memory {
        let whole = len.next_multiple_of(PAGE);
        let huge = if len >= WORKING { Memory::huge(whole, whole) } else { None };
        huge.unwrap_or_else(|| Memory::heap(len))
    }

    fn heap(len: usize) -> Memory {
        Memory::Heap(vec![0.0; len + LINE])
    }

    /// `len` values, the first `huge` of them in huge pages if the system has such; none where there is no such memory.
    #[cfg(all(target_os = "linux", not(miri)))]
    fn huge(huge: usize, len: usize) -> Option<Memory> {
        let [room, huge] = [len + PAGE, huge].map(|values| values * size_of::<f32>());
        let map = memmap2::MmapMut::map_anon(room).ok()?;
        let skip = skipped(pulp::bytemuck::cast_slice(&map), PAGE) * size_of::<f32>();
        // A system without huge pages says so; the memory is as good as the allocator's then.
        let _ = map.advise_range(memmap2::Advice::HugePage, skip, huge);
        Some(Memory::Huge(map))
    }

    #[cfg(any(not(target_os = "linux"), miri))]
    fn huge(_huge: usize, _len: usize) -> Option<Memory> {
        None
    }

    /// All values.
    pub(crate) fn values(&self) -> &[f32] {
        let (all, step) = match self {
            Memory::Heap(values) => (&values[..], LINE),
            #[cfg(all(target_os = "linux", not(miri)))]
            Memory::Huge(map) => (pulp::bytemuck::cast_slice(map), PAGE),
        };
        &all[skipped(all, step)..]
    }

    /// All values, to be written.
    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        let (all, step) = match self {
            Memory::Heap(values) => (&mut values[..], LINE),
            #[cfg(all(target_os = "linux", not(miri)))]
            Memory::Huge(map) => (pulp::bytemuck::cast_slice_mut(map), PAGE),
        };
        let skip = skipped(all, step);
        &mut all[skip..]
    }
}

/// Values before the first that lies at a multiple of `step` values: at most so many.
fn skipped(values: &[f32], step: usize) -> usize {
    // `usize::MAX` where it cannot be known (under an interpreter).
    values.as_ptr().align_offset(step * size_of::<f32>()).min(step).min(values.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_zeros_on_a_cache_line_and_as_many_as_asked_for() {
        for len in [0, 1, LINE, WORKING - 1, WORKING, PAGE - 1, PAGE, 3 * PAGE + 5] {
            for mut memory in [Memory::to_keep(len), Memory::to_work_in(len)] {
                assert!(memory.values().len() >= len);
                assert_eq!(memory.values().as_ptr().addr() % 64, 0);
                assert!(memory.values()[..len].iter().all(|&value| value == 0.0));
                memory.values_mut()[..len].fill(1.0);
                assert!(memory.values()[..len].iter().all(|&value| value == 1.0));
            }
        }
        assert!(Memory::default().values().is_empty());
    }
}
