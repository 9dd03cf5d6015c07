//! The engine as it comes, without anything of ours: what benchmarks compare with.

use tract_onnx::prelude::*;

/// A network that tract prepared by itself.
pub struct Unmodified {
    plan: Arc<TypedRunnableModel>,
    shape: Vec<usize>,
}

impl Unmodified {
    /// Reads an ONNX file.
    ///
    /// # Errors
    /// If tract refuses it, or leaves sizes of the input open.
    pub fn load(bytes: &[u8]) -> Result<Self, String> {
        let sentence = |error: TractError| format!("tract alone refuses this network: {error:#}");
        let prepare = || -> TractResult<(TypedModel, Option<Vec<usize>>)> {
            let model = tract_onnx::onnx().model_for_read(&mut std::io::Cursor::new(bytes))?.into_typed()?;
            let shape = model.input_fact(0)?.shape.as_concrete().map(<[usize]>::to_vec);
            Ok((model.into_optimized()?, shape))
        };
        let (model, shape) = prepare().map_err(sentence)?;
        let shape = shape.ok_or("the network leaves sizes of its input open")?;
        let plan = model.into_runnable().map_err(sentence)?;
        Ok(Self { plan, shape })
    }

    /// Computes its first output from the values of its input.
    ///
    /// # Errors
    /// If there are too few or too many values, or tract fails.
    pub fn run(&self, input: &[f32]) -> Result<Vec<f32>, String> {
        let run = || -> TractResult<Vec<f32>> {
            let input = Tensor::from_shape(&self.shape, input)?;
            let outputs = self.plan.run(tvec!(input.into()))?;
            Ok(outputs[0].to_plain_array_view::<f32>()?.iter().copied().collect())
        };
        run().map_err(|error| format!("tract alone cannot run this network: {error:#}"))
    }
}
