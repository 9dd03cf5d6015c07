//! Weights in the order that the engine's kernels read them, shared by all strips of a layer.
//!
//! Packing takes longer than everything else about a strip. So every packed constant is kept, by the
//! constant it was made from and the operators that made it; strips that want the same one share it.
//! Slices of constants are shared while a strip uses them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use collab_core::rows::Rows;
use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::optim::{OptimizerSession, TypedPass};

/// What has been packed and sliced so far.
#[derive(Debug, Default)]
pub(crate) struct Packs(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    packed: HashMap<(usize, String), Packed>,
    slices: HashMap<(usize, usize, Rows), Slice>,
}

/// The source is held weakly: its address cannot be used again while an entry stands for it.
#[derive(Debug)]
struct Packed {
    source: Weak<Tensor>,
    value: Arc<Tensor>,
}

#[derive(Debug)]
struct Slice {
    source: Weak<Tensor>,
    value: Weak<Tensor>,
}

impl Packs {
    /// `make` of `source`, made once; `how` says what it does.
    fn packed(
        &self,
        source: &Arc<Tensor>,
        how: String,
        make: impl FnOnce() -> TractResult<Arc<Tensor>>,
    ) -> TractResult<Arc<Tensor>> {
        let key = (Arc::as_ptr(source) as usize, how);
        if let Some(known) = self.lock().packed.get(&key) {
            return Ok(known.value.clone());
        }
        let value = make()?;
        let mut inner = self.lock();
        inner.packed.retain(|_, packed| packed.source.strong_count() > 0);
        let packed = Packed { source: Arc::downgrade(source), value: value.clone() };
        Ok(inner.packed.entry(key).or_insert(packed).value.clone())
    }

    /// Rows `rows` of `source` along `axis`.
    pub(crate) fn slice(&self, source: &Arc<Tensor>, axis: usize, rows: Rows) -> TractResult<Arc<Tensor>> {
        let key = (Arc::as_ptr(source) as usize, axis, rows);
        if let Some(known) = self.lock().slices.get(&key).and_then(|slice| slice.value.upgrade()) {
            return Ok(known);
        }
        let value = source.slice(axis, rows.start as usize, rows.end as usize)?.into_arc_tensor();
        let mut inner = self.lock();
        inner.slices.retain(|_, slice| slice.value.strong_count() > 0 && slice.source.strong_count() > 0);
        inner.slices.insert(key, Slice { source: Arc::downgrade(source), value: Arc::downgrade(&value) });
        Ok(value)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The pass that takes packed constants from [`Packs`] instead of packing anew.
#[derive(Clone, Debug)]
pub(crate) struct SharePacks(pub(crate) Arc<Packs>);

impl TypedPass for SharePacks {
    fn reset(&mut self) -> TractResult<()> {
        Ok(())
    }

    fn next(&mut self, _: &mut OptimizerSession, _: &TypedModel) -> TractResult<Option<TypedModelPatch>> {
        Ok(None)
    }

    fn run_direct(&mut self, model: &mut TypedModel) -> TractResult<bool> {
        let packs: Vec<usize> = model
            .nodes()
            .iter()
            .filter(|node| node.op.name() == "OptMatMulPack")
            .map(|node| node.id)
            .collect();
        let mut changed = false;
        for id in packs {
            changed |= self.share(model, id)?;
        }
        Ok(changed)
    }
}

impl SharePacks {
    /// Replaces pack node `id` by a constant, if it packs one.
    fn share(&self, model: &mut TypedModel, id: usize) -> TractResult<bool> {
        let mut chain = vec![id];
        let mut inlet = model.node(id).inputs[0];
        while !model.node(inlet.node).op_is::<Const>() {
            let node = model.node(inlet.node);
            if node.inputs.len() != 1 || node.outputs.len() != 1 {
                return Ok(false);
            }
            chain.push(node.id);
            inlet = node.inputs[0];
        }
        let Some(source) = model.node(inlet.node).op_as::<Const>().map(|konst| konst.val().clone()) else {
            return Ok(false);
        };
        chain.reverse();
        let how = chain.iter().map(|&node| format!("{:?};", model.node(node).op)).collect();
        let value = self.0.packed(&source, how, || {
            let mut value = tvec!(source.clone().into_tvalue());
            for &node in &chain {
                let op = &model.node(node).op;
                value = op.eval_out_of_plan(value)?.with_context(|| format!("{op:?} of a constant"))?;
            }
            Ok(value.remove(0).into_arc_tensor())
        })?;
        let fact = model.node(id).outputs[0].fact.clone();
        let konst = Const::new_with_opt_exotic_fact(value.clone(), fact.exotic_fact.clone())?;
        let read = model.node(id).inputs[0];
        model.node_mut(read.node).outputs[read.slot].successors.retain(|succ| succ.node != id);
        let node = model.node_mut(id);
        node.inputs.clear();
        node.op = Box::new(konst);
        node.outputs[0].fact.konst = Some(value);
        Ok(true)
    }
}
