//! One order of summation for every matrix product, whatever its size.
//!
//! The engine has many kernels for a product and picks one by its size. Nearly all add up the terms of a sum
//! one after the other; a few keep several partial sums, which rounds differently. A strip with one column
//! would get such a kernel where the whole gets another. So a tier of ours stands above the engine's own: it
//! lets only those kernels pass that agree with the one that the engine prefers for large products. Which
//! these are is found out by trying all of them once.

use std::cell::Cell;
use std::sync::OnceLock;

use tract_onnx::prelude::*;
use tract_onnx::tract_core::internal::{TractResult, inventory};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::tract_linalg::MmmDispatch;
use tract_onnx::tract_core::tract_linalg::isa::{self, IsaSet};
use tract_onnx::tract_core::tract_linalg::mmm::{Query, Suitable};
use tract_onnx::tract_core::tract_linalg::mmm_tiers::{self, MmmTier};

/// The name of our tier.
const TIER: &str = "collab: one order of summation";

/// Size of the product that is tried: beyond every kernel's tile, and a remainder in every direction.
const TRIED: (usize, usize, usize) = (131, 77, 13);

inventory::submit! {
    MmmTier { arch: None, precedence: u8::MAX, name: TIER, applies: |_| true, preferred }
}

thread_local! {
    /// The kernel that is being tried on this thread.
    static TRYING: Cell<Option<&'static str>> = const { Cell::new(None) };
}

/// The kernel for a product, or nothing if the engine's own choice is good.
fn preferred(isa: &IsaSet, kind: DatumType, query: &Query, suitable: &[Suitable]) -> Option<&'static str> {
    if kind != f32::datum_type() {
        return None;
    }
    if let Some(name) = TRYING.get() {
        return Some(name);
    }
    let agreeing = agreeing();
    let agrees = |index: usize| agreeing.iter().any(|name| name == suitable[index].0.name());
    let chosen = mmm_tiers::preferred(isa, tiers(), kind, query, suitable)?;
    if agrees(chosen) {
        return None;
    }
    let columns = query.n.unwrap_or(usize::MAX);
    let fit = |&index: &usize| {
        let kernel = &suitable[index].0;
        (kernel.arch().is_some(), kernel.nr() <= columns, kernel.nr() * kernel.mr())
    };
    let best = (0..suitable.len()).filter(|&index| agrees(index)).max_by_key(fit)?;
    agreeing.iter().find(|name| *name == suitable[best].0.name()).map(String::as_str)
}

/// Tries the kernels, if that has not been done. Whatever prepares products calls this first: it is also what
/// keeps the linker from leaving our tier out.
pub(crate) fn settle() {
    agreeing();
}

/// The engine's own tiers for this machine.
fn tiers() -> &'static [&'static MmmTier] {
    static TIERS: OnceLock<Vec<&'static MmmTier>> = OnceLock::new();
    TIERS.get_or_init(|| {
        let tiers = mmm_tiers::for_isa(&isa::native());
        tiers.into_iter().filter(|tier| tier.name != TIER).collect()
    })
}

/// The kernels that agree with the engine's choice for a large product.
fn agreeing() -> &'static [String] {
    static AGREEING: OnceLock<Vec<String>> = OnceLock::new();
    AGREEING.get_or_init(|| {
        let dispatch = MmmDispatch::native();
        let (m, k, n) = (1 << 10, 1 << 8, 1 << 12);
        let query = Query::plain(f32::datum_type(), Some(m), Some(k), Some(n));
        let isa = isa::native();
        let suitable = dispatch.suitable(&query);
        let Some(model) = mmm_tiers::preferred(&isa, tiers(), f32::datum_type(), &query, &suitable) else {
            return Vec::new();
        };
        let expected = tried(suitable[model].0.name());
        let mut agreeing: Vec<String> =
            suitable.iter().map(|(kernel, _, _)| kernel.name().to_owned()).collect();
        agreeing.dedup();
        agreeing.retain(|name| expected.is_some() && tried(name) == expected);
        agreeing
    })
}

/// The bits of a product computed with kernel `name`, if it can compute one.
fn tried(name: &str) -> Option<Vec<u32>> {
    // A name is used for the rest of the program, and there are few.
    let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
    TRYING.set(Some(name));
    let bits = product(name);
    TRYING.set(None);
    bits.ok().flatten()
}

fn product(name: &str) -> TractResult<Option<Vec<u32>>> {
    let (m, k, n) = TRIED;
    let query = Query::plain(f32::datum_type(), Some(m), Some(k), Some(n));
    if MmmDispatch::native().pick(&query).is_none_or(|(kernel, _, _)| kernel.name() != name) {
        return Ok(None);
    }
    let mut model = TypedModel::default();
    let right = model.add_source("right", f32::fact([k, n]))?;
    let left = Const::new(values(m, k)?.into())?;
    let left = model.wire_node("left", left, &[])?[0];
    let axes = "mk,kn->mn".parse()?;
    let product = EinSum { axes, operating_dt: f32::datum_type(), q_params: None };
    let output = model.wire_node("product", product, &[left, right])?;
    model.select_output_outlets(&output)?;
    let plan = model.into_optimized()?.into_runnable()?;
    let output = plan.run(tvec!(values(k, n)?.into()))?.remove(0);
    let floats = output.try_as_plain_ram()?.as_slice::<f32>()?;
    Ok(Some(floats.iter().map(|value| value.to_bits()).collect()))
}

/// Values whose sums round, the same every time.
fn values(rows: usize, columns: usize) -> TractResult<Tensor> {
    let mut state = 0x2545_f491_u32;
    let next = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 23) as f32 - 1.0
    };
    let values: Vec<f32> = (0..rows * columns).map(next).collect();
    Tensor::from_shape(&[rows, columns], &values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_of_any_size_use_kernels_that_agree() {
        let agreeing = agreeing();
        assert!(!agreeing.is_empty());
        for m in [1, 7, 16, 31, 64, 200] {
            for n in [1, 2, 5, 12, 100] {
                for k in [1, 9, 64, 500] {
                    let query = Query::plain(f32::datum_type(), Some(m), Some(k), Some(n));
                    let (kernel, _, _) = MmmDispatch::native().pick(&query).expect("there is a kernel");
                    assert!(agreeing.iter().any(|name| name == kernel.name()), "{m} {k} {n}: {kernel:?}");
                }
            }
        }
    }
}
