//! An operator that computes nothing, for tests of what goes on between operators.

use collab_core::network::Kind;

use super::layouts::Lies;
use super::{Computed, Operator, Overwriting, Workspace};
use crate::rows::{Node, Split};

/// How maps do not lie that an operator knows.
pub(super) type Except = fn(&Lies) -> bool;

/// Yields a map of this shape, and knows blocks wherever it does not say otherwise.
#[derive(Clone, Debug)]
pub(super) struct StandIn {
    pub(super) shape: Vec<usize>,
    pub(super) concatenates: bool,
    pub(super) begins: Option<usize>,
    pub(super) overwrites: bool,
    pub(super) except: Except,
}

impl Operator for StandIn {
    fn name(&self) -> &'static str {
        "StandIn"
    }

    fn label(&self) -> (String, Kind) {
        (String::new(), Kind::Move)
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn run(&self, _: &[&[f32]], _: &mut [f32], _: &mut Workspace) -> Computed {
        Ok(())
    }

    fn split(&self, _: &Node) -> Option<Split> {
        None
    }

    fn concatenates(&self) -> bool {
        self.concatenates
    }

    fn begins(&self) -> Option<usize> {
        self.begins
    }

    fn overwriting(&self) -> Option<&dyn Overwriting> {
        self.overwrites.then_some(self as &dyn Overwriting)
    }

    fn suits(&self, lies: &Lies) -> bool {
        *lies == Lies::default() || !(self.except)(lies)
    }
}

impl Overwriting for StandIn {
    fn overwrite(&self, _: &[&[f32]], _: &mut [f32], _: &mut Workspace) -> Computed {
        Ok(())
    }
}
