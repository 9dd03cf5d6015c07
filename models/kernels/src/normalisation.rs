//! Local response normalisation across channels, the elementwise epilogue of a whole map, and products with one value a channel
//! where the map lies.
//!
//! Bound: square roots and divisions for normalisation (one each and a second root for a vector of values), memory for
//! the elementwise pass.

use crate::epilogue::{Epilogue, residual_plane};
use crate::isa::{Kernel, MAX_LANES, Vector, load, load_at_most, store, store_at_most};
use crate::map::check_planes;
use crate::{Isa, KernelError, Layout, Map};

/// `y = x / (bias + alpha / size · Σ x²)^beta`, the sum over `size` neighbouring channels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LocalResponse {
    /// Channels summed: `⌊(size − 1) / 2⌋` before and `⌈(size − 1) / 2⌉` after the value's own.
    pub size: usize,
    /// Factor of the mean square.
    pub alpha: f32,
    /// Exponent. 0.75 is fast, others go through `powf`.
    pub beta: f32,
    /// Added to the scaled sum.
    pub bias: f32,
}

impl LocalResponse {
    /// Normalises `input` into `output`, one slice a channel.
    ///
    /// # Errors
    /// If the sizes do not match.
    pub fn run(&self, isa: Isa, input: Map<'_>, output: &mut [&mut [f32]]) -> Result<(), KernelError> {
        check_planes(output, input.channels(), input.rows() * input.width())?;
        if self.size == 0 {
            return Err(KernelError::Shape("a local response needs a size of at least 1"));
        }
        isa.checked()?.run(Normalise { layer: *self, input, output });
        Ok(())
    }
}

struct Normalise<'a, 'b> {
    layer: LocalResponse,
    input: Map<'a>,
    output: &'a mut [&'b mut [f32]],
}

impl Kernel for Normalise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        let Normalise { layer, input, output } = self;
        let pixels = input.rows() * input.width();
        let (before, after) = ((layer.size - 1) / 2, layer.size / 2);
        // Pixels outside, channels inside: the neighbours of a value are still in the first-level cache.
        for at in (0..pixels).step_by(V::F32_LANES) {
            for (channel, plane) in output.iter_mut().enumerate() {
                let neighbours = channel.saturating_sub(before)..(channel + after + 1).min(input.channels());
                let mut squares = v.splat_f32s(0.0);
                for neighbour in neighbours {
                    let x = load_at_most(v, &input.plane(neighbour)[at..]);
                    squares = v.fma(x, x, squares);
                }
                let factor = v.splat_f32s(layer.alpha / layer.size as f32);
                let base = v.fma(squares, factor, v.splat_f32s(layer.bias));
                let x = load_at_most(v, &input.plane(channel)[at..]);
                let y = v.div_f32s(x, power(v, base, layer.beta));
                store_at_most(v, &mut plane[at..], y);
            }
        }
    }
}

/// `base^exponent`; `√base · √√base` for the usual 0.75.
#[inline(always)]
fn power<V: Vector>(v: V, base: V::f32s, exponent: f32) -> V::f32s {
    if exponent == 0.75 {
        let root = v.sqrt_f32s(base);
        return v.mul_f32s(root, v.sqrt_f32s(root));
    }
    let mut lanes = [0.0f32; MAX_LANES];
    store::<V>(&mut lanes, base);
    lanes[..V::F32_LANES].iter_mut().for_each(|x| *x = x.powf(exponent));
    load::<V>(&lanes)
}

/// Applies an epilogue to a map that no convolution computes: batch norm and activation, or a residual sum. All maps lie so;
/// blocks are whole.
///
/// # Errors
/// If the sizes do not match, or no vector of `isa` holds a block.
pub fn apply_epilogue(
    isa: Isa,
    epilogue: &Epilogue,
    layout: Layout,
    input: Map<'_>,
    residual: Option<Map<'_>>,
    output: &mut [&mut [f32]],
) -> Result<(), KernelError> {
    let [_, abreast] = layout.as_planes(1, 1);
    if layout == Layout::Blocks && isa != Isa::Avx512 {
        return Err(KernelError::Layout { layouts: [layout; 2] });
    }
    epilogue.check(input.channels() * abreast)?;
    check_planes(output, input.channels(), input.rows() * input.width())?;
    if let Some(residual) = residual {
        residual.check("residual", input.channels(), input.rows(), input.width())?;
    }
    isa.checked()?.run(Elementwise { epilogue, layout, input, residual, output });
    Ok(())
}

struct Elementwise<'a, 'b> {
    epilogue: &'a Epilogue,
    layout: Layout,
    input: Map<'a>,
    residual: Option<Map<'a>>,
    output: &'a mut [&'b mut [f32]],
}

impl Kernel for Elementwise<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        for (channel, plane) in self.output.iter_mut().enumerate() {
            let residual = residual_plane(&self.residual, channel);
            let input = self.input.plane(channel);
            match self.layout {
                Layout::Planes => self.epilogue.channel(channel).apply_row(v, input, residual, plane),
                Layout::Blocks => {
                    let first = channel * V::F32_LANES;
                    self.epilogue.lanes(v, first, 1, V::F32_LANES).apply_pixels(v, input, residual, plane);
                }
            }
        }
    }
}

/// Multiplies each channel of a map by its value of `factors`, where it lies: one slice a channel, or a whole block, which
/// become what [`apply_epilogue`] makes of them by these scales and shifts of zero, bit for bit.
///
/// # Errors
/// If the sizes do not match, or no vector of `isa` holds a block.
pub fn multiply_channels(
    isa: Isa,
    layout: Layout,
    factors: &[f32],
    map: &mut [&mut [f32]],
) -> Result<(), KernelError> {
    let [_, abreast] = layout.as_planes(1, 1);
    if layout == Layout::Blocks && isa != Isa::Avx512 {
        return Err(KernelError::Layout { layouts: [layout; 2] });
    }
    if factors.len() != map.len() * abreast {
        let (expected, found) = (map.len() * abreast, factors.len());
        return Err(KernelError::Length { what: "factors", expected, found });
    }
    isa.checked()?.run(Multiply { layout, factors, map });
    Ok(())
}

struct Multiply<'a, 'b> {
    layout: Layout,
    factors: &'a [f32],
    map: &'a mut [&'b mut [f32]],
}

impl Kernel for Multiply<'_, '_> {
    type Output = ();

    #[inline(always)]
    fn call<V: Vector>(self, v: V) {
        for (channel, values) in self.map.iter_mut().enumerate() {
            let factor = match self.layout {
                Layout::Planes => v.splat_f32s(self.factors[channel]),
                Layout::Blocks => load::<V>(&self.factors[channel * V::F32_LANES..]),
            };
            for values in values.chunks_mut(V::F32_LANES) {
                let product = v.fma(load_at_most(v, values), factor, v.splat_f32s(0.0));
                store_at_most(v, values, product);
            }
        }
    }
}
