//! Why an ONNX file cannot be divided among devices, each as a sentence that says what to do.

/// Why a network cannot be loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no network, or only the beginning of one.
    #[error("{0}")]
    Source(String),
    /// The model has no graph or computes nothing.
    #[error("the model computes nothing: it has {nodes} nodes and {outputs} outputs; export it again")]
    Empty {
        /// Nodes there are.
        nodes: usize,
        /// Outputs there are.
        outputs: usize,
    },
    /// Weights are kept in other files.
    #[error("the values of `{tensor}` are kept in another file; save the model as one file")]
    ExternalData {
        /// The tensor.
        tensor: String,
    },
    /// More than one tensor is fed in.
    #[error("the network reads {} tensors ({}); only networks with one input can be run", .inputs.len(), .inputs.join(", "))]
    SeveralInputs {
        /// Their names.
        inputs: Vec<String>,
    },
    /// The input is not a feature map.
    #[error(
        "input `{input}` has shape {shape}, not batch × channels × height × width; only convolutional networks \
         on pictures can be divided by rows"
    )]
    NotAMap {
        /// The input's name.
        input: String,
        /// Its shape as the file has it.
        shape: String,
    },
    /// The input's values are not 32-bit floats.
    #[error("input `{input}` holds {found}; export the network with 32-bit floats")]
    NotFloat {
        /// The input's name.
        input: String,
        /// What it holds.
        found: String,
    },
    /// The input's size is open.
    #[error("input `{input}` has no fixed size ({shape}): give one, such as --shape 1x3x224x224")]
    OpenSize {
        /// The input's name.
        input: String,
        /// Its shape as the file has it.
        shape: String,
    },
    /// The size asked for contradicts the file.
    #[error("input `{input}` has shape {expected}, which {given:?} does not fit")]
    WrongSize {
        /// The input's name.
        input: String,
        /// Its shape as the file has it.
        expected: String,
        /// The shape asked for.
        given: Vec<usize>,
    },
    /// A tensor is larger than any device's memory, or its values do not fit its shape.
    #[error(
        "`{tensor}` has the impossible shape {shape:?}; the file is damaged or the input size is too large"
    )]
    Absurd {
        /// The tensor.
        tensor: String,
        /// Its shape.
        shape: Vec<i64>,
    },
    /// The engine does not know an operator.
    #[error("operator {op} of node `{node}` is not supported; export the network without it")]
    Operator {
        /// The operator.
        op: String,
        /// The node.
        node: String,
    },
    /// The engine cannot make sense of the graph.
    #[error("the network cannot be prepared: {reason}")]
    Engine {
        /// What the engine says, from the outside in.
        reason: String,
    },
}

impl LoadError {
    /// Takes over the engine's own words.
    pub(crate) fn engine(error: &tract_onnx::prelude::TractError) -> Self {
        Self::Engine { reason: format!("{error:#}") }
    }
}
