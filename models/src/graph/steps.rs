//! Steps: the engine's operators that depend on the input, each with what it reads and how it is divided.

use std::collections::HashMap;

use tract_onnx::tract_core::internal::*;
use tract_onnx::tract_core::ops::binary::TypedBinOp;
use tract_onnx::tract_core::ops::cnn::{Conv, Deconv};
use tract_onnx::tract_core::ops::einsum::EinSum;
use tract_onnx::tract_core::ops::source::TypedSource;

use crate::load::with_natural_strides;
use crate::operators::Own;
use crate::rows::{self, Along, Feed, Node, Split};

/// What a step reads.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// The network's input.
    Input,
    /// What an earlier step yields.
    Step(usize),
    /// A constant.
    Konst(Arc<Tensor>),
}

/// One operator.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    /// The engine's name of the node.
    pub(crate) name: String,
    /// The operator, for all rows.
    pub(crate) op: Box<dyn TypedOp>,
    /// Which of the operator's outputs this is.
    pub(crate) slot: usize,
    /// What it reads.
    pub(crate) sources: Vec<Source>,
    /// The whole shape of what it yields.
    pub(crate) shape: Vec<usize>,
    /// Whether it yields 32-bit floats.
    pub(crate) floats: bool,
    /// How it is divided.
    pub(crate) split: Split,
    /// Multiply-accumulates for all rows.
    pub(crate) macs: u64,
    /// Bytes of constants: those it reads and those that are part of it.
    pub(crate) weight_bytes: u64,
}

impl Step {
    /// Bytes of weights that are kept for all strips: what the engine runs itself it packs beside what was loaded.
    pub(super) fn kept_bytes(&self) -> u64 {
        let packs = self.op.is::<Conv>() || self.op.is::<Deconv>() || self.op.is::<EinSum>();
        match self.op.downcast_ref::<Own>() {
            Some(own) => own.0.kept(),
            None if packs => 2 * self.weight_bytes,
            None => self.weight_bytes,
        }
    }
}

/// Reads every node that the output needs and that depends on the input.
pub(super) fn read(model: &TypedModel, input: &[usize], along: Along) -> TractResult<Vec<Step>> {
    let mut reader = Reader { model, known: HashMap::new(), steps: Vec::new() };
    let feed = |shape: &[usize], along| Feed { shape: shape.to_vec(), along, konst: None };
    let mut feeds: Vec<Feed> = Vec::new();
    for id in model.eval_order()? {
        let node = model.node(id);
        if node.op_is::<TypedSource>() {
            reader.known.insert(id.into(), Source::Input);
            continue;
        }
        let mut sources: Vec<Source> =
            node.inputs.iter().map(|outlet| reader.known[outlet].clone()).collect();
        put_latest_first(node, &mut sources);
        if sources.iter().all(|source| matches!(source, Source::Konst(_))) {
            reader.evaluate(node, &sources)?;
            continue;
        }
        let facts = model.node_input_facts(id)?;
        let read: Vec<Feed> = sources
            .iter()
            .map(|source| match source {
                Source::Input => feed(input, along),
                Source::Step(step) => feeds[*step].clone(),
                Source::Konst(tensor) => Feed {
                    shape: tensor.shape().to_vec(),
                    along: Along::Nothing,
                    konst: Some(tensor.clone()),
                },
            })
            .collect();
        for (slot, output) in node.outputs.iter().enumerate() {
            let Some(shape) = output.fact.shape.as_concrete() else {
                bail!("the size of what `{}` yields depends on values", node.name)
            };
            let seen = Node { op: node.op.as_ref(), feeds: read.clone(), shape };
            let split = if node.outputs.len() == 1 { rows::split(&seen) } else { rows::split_whole(&seen) };
            feeds.push(feed(shape, split.along));
            reader.known.insert(OutletId::new(id, slot), Source::Step(reader.steps.len()));
            reader.steps.push(Step {
                name: node.name.clone(),
                op: node.op.clone(),
                slot,
                sources: sources.clone(),
                shape: shape.to_vec(),
                floats: output.fact.datum_type == f32::datum_type(),
                split,
                macs: macs(node, &facts)?,
                weight_bytes: weight_bytes(node, &sources, &facts)?,
            });
        }
    }
    let output = model.output_outlets()?[0];
    match reader.known.get(&output) {
        Some(Source::Step(last)) => Ok(needed(reader.steps, *last)),
        _ => bail!("the output does not depend on the input"),
    }
}

/// Swaps the operands of a sum or the like, so that the one computed last comes first.
///
/// The engine fuses such an operator into what computes its first operand, and [`super::layers`] counts it to
/// what computes its last one: now they mean the same, and times fall to the right layer.
fn put_latest_first(node: &TypedNode, sources: &mut [Source]) {
    let swappable =
        node.op_as::<TypedBinOp>().is_some_and(|op| matches!(op.0.name(), "Add" | "Mul" | "Max" | "Min"));
    if let [Source::Step(first), Source::Step(second)] = sources
        && swappable
        && first < second
    {
        sources.swap(0, 1);
    }
}

struct Reader<'a> {
    model: &'a TypedModel,
    known: HashMap<OutletId, Source>,
    steps: Vec<Step>,
}

impl Reader<'_> {
    /// Works out a node that does not depend on the input.
    fn evaluate(&mut self, node: &TypedNode, sources: &[Source]) -> TractResult<()> {
        let stated =
            |slot: usize| self.model.outlet_fact(OutletId::new(node.id, slot)).map(|fact| fact.konst.clone());
        let values: TVec<Arc<Tensor>> = match stated(0)? {
            Some(value) => tvec!(value),
            None => {
                let inputs = sources.iter().filter_map(|source| match source {
                    Source::Konst(tensor) => Some(tensor.clone().into_tvalue()),
                    _ => None,
                });
                match node.op.eval_out_of_plan(inputs.collect())? {
                    Some(values) => values.into_iter().map(IntoArcTensor::into_arc_tensor).collect(),
                    None => bail!("`{}` depends on neither the input nor constants", node.name),
                }
            }
        };
        for (slot, value) in values.iter().enumerate() {
            let value = Source::Konst(with_natural_strides(value)?);
            self.known.insert(OutletId::new(node.id, slot), value);
        }
        Ok(())
    }
}

/// Drops the steps that step `last` does not need and puts it at the end.
fn needed(steps: Vec<Step>, last: usize) -> Vec<Step> {
    let mut used = vec![false; steps.len()];
    used[last] = true;
    for index in (0..=last).rev() {
        if used[index] {
            for source in &steps[index].sources {
                if let Source::Step(step) = source {
                    used[*step] = true;
                }
            }
        }
    }
    let mut places = vec![0; steps.len()];
    let mut kept = Vec::new();
    for (index, mut step) in steps.into_iter().enumerate() {
        if used[index] {
            for source in &mut step.sources {
                if let Source::Step(step) = source {
                    *step = places[*step];
                }
            }
            places[index] = kept.len();
            kept.push(step);
        }
    }
    kept
}

/// Multiply-accumulates as the engine states them; for transposed convolutions, which it leaves out, every
/// input value times every weight it meets.
fn macs(node: &TypedNode, facts: &[&TypedFact]) -> TractResult<u64> {
    if let Some(op) = node.op_as::<Deconv>() {
        let (Some(input), Some(kernel)) = (facts[0].shape.as_concrete(), facts[1].shape.as_concrete()) else {
            return Ok(0);
        };
        let channels = op.pool_spec.input_channels.max(1) as u64;
        let pixels = input.iter().product::<usize>() as u64 / channels;
        return Ok(pixels * kernel.iter().product::<usize>() as u64);
    }
    let costs = node.op.cost(facts)?;
    let macs = costs.iter().filter(|(cost, _)| matches!(cost, Cost::FMA(_)));
    Ok(macs.filter_map(|(_, count)| count.to_i64().ok()).map(|count| count.max(0) as u64).sum())
}

fn weight_bytes(node: &TypedNode, sources: &[Source], facts: &[&TypedFact]) -> TractResult<u64> {
    let read = sources.iter().map(|source| match source {
        Source::Konst(tensor) => (tensor.len() * tensor.datum_type().size_of()) as u64,
        _ => 0,
    });
    let costs = node.op.cost(facts)?;
    let own = costs.iter().map(|(cost, count)| match cost {
        Cost::Params(kind) => kind.size_of() as u64 * count.to_i64().unwrap_or(0).max(0) as u64,
        _ => 0,
    });
    Ok(read.chain(own).sum())
}
