//! A small perceptron with one hidden layer over borrowed weights, and its gradient.

/// Hidden units.
pub(crate) const HIDDEN: usize = 16;

/// The shape of a net; its weights lie in a flat slice: hidden rows with their bias, then output rows.
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

    /// The outputs for `input`; leaves the hidden activations in `hidden`.
    pub(crate) fn forward(
        self,
        weights: &[f64],
        input: &[f64],
        hidden: &mut [f64; HIDDEN],
        output: &mut [f64],
    ) {
        let (first, second) = weights.split_at((self.inputs + 1) * HIDDEN);
        for (unit, row) in hidden.iter_mut().zip(first.chunks_exact(self.inputs + 1)) {
            let sum: f64 = row.iter().zip(input).map(|(weight, value)| weight * value).sum();
            *unit = (sum + row[self.inputs]).tanh();
        }
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
        for (unit, row) in first_gradient.chunks_exact_mut(self.inputs + 1).enumerate() {
            let slope = back[unit] * (1.0 - hidden[unit] * hidden[unit]);
            row.iter_mut().zip(input).for_each(|(sum, value)| *sum += slope * value);
            row[self.inputs] += slope;
        }
    }
}
