//! A small perceptron with one hidden layer over borrowed weights, and its gradient.

/// Hidden units.
pub(crate) const HIDDEN: usize = 16;

/// The shape of a net; its weights lie in a flat slice: for every input what it adds to each hidden unit, the
/// hidden units' biases, then output rows with their bias. So a forward pass adds whole rows of hidden units.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
}

impl Shape {
    /// How many weights it has.
    pub(crate) const fn weights(self) -> usize {
        (self.inputs + 1) * HIDDEN + (HIDDEN + 1) * self.outputs
    }

    /// Whether weight `at` belongs to an output.
    pub(crate) const fn is_output(self, at: usize) -> bool {
        at >= (self.inputs + 1) * HIDDEN
    }

    /// The outputs for `input`; leaves the hidden activations in `hidden`.
    ///
    /// Hidden units are `x / (1 + |x|)`: as good as a hyperbolic tangent here, at a fraction of its cost.
    #[inline]
    pub(crate) fn forward(
        self,
        weights: &[f64],
        input: &[f64],
        hidden: &mut [f64; HIDDEN],
        output: &mut [f64],
    ) {
        let (first, second) = weights.split_at((self.inputs + 1) * HIDDEN);
        let (rows, biases) = first.split_at(self.inputs * HIDDEN);
        hidden.copy_from_slice(biases);
        for (row, value) in rows.chunks_exact(HIDDEN).zip(input) {
            hidden.iter_mut().zip(row).for_each(|(sum, weight)| *sum += weight * value);
        }
        hidden.iter_mut().for_each(|unit| *unit /= 1.0 + unit.abs());
        for (value, row) in output.iter_mut().zip(second.chunks_exact(HIDDEN + 1)) {
            let sum: f64 = row.iter().zip(&*hidden).map(|(weight, value)| weight * value).sum();
            *value = sum + row[HIDDEN];
        }
    }

    /// Adds to `gradient` the derivative of `Σ slope · output` at `input`.
    pub(crate) fn backward(
        self,
        weights: &[f64],
        input: &[f64],
        hidden: &[f64; HIDDEN],
        slope: &[f64],
        gradient: &mut [f64],
    ) {
        let split = (self.inputs + 1) * HIDDEN;
        let second = &weights[split..];
        let (first_gradient, second_gradient) = gradient.split_at_mut(split);
        let mut back = [0.0; HIDDEN];
        for (at, &slope) in slope.iter().enumerate() {
            let row = &second[at * (HIDDEN + 1)..(at + 1) * (HIDDEN + 1)];
            let row_gradient = &mut second_gradient[at * (HIDDEN + 1)..(at + 1) * (HIDDEN + 1)];
            for unit in 0..HIDDEN {
                back[unit] += slope * row[unit];
                row_gradient[unit] += slope * hidden[unit];
            }
            row_gradient[HIDDEN] += slope;
        }
        // The derivative of x / (1 + |x|) is 1 / (1 + |x|)², which is (1 − |h|)² of its value h.
        back.iter_mut().zip(hidden).for_each(|(back, value)| *back *= (1.0 - value.abs()).powi(2));
        let (rows, biases) = first_gradient.split_at_mut(self.inputs * HIDDEN);
        for (row, value) in rows.chunks_exact_mut(HIDDEN).zip(input) {
            row.iter_mut().zip(&back).for_each(|(sum, slope)| *sum += slope * value);
        }
        biases.iter_mut().zip(&back).for_each(|(sum, slope)| *sum += slope);
    }
}
