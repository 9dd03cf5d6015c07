//! The real engine: what `models` makes of ONNX files and recipes.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use collab_core::id::NetworkId;
use collab_core::network::Network;
use collab_core::rows::Rows;
use collab_core::wire::NetworkOptions;
use collab_models::{LayerTimes, LoadOptions, Map, Team, calibration};

use super::{Engine, Model, Strip, Synthetic};

/// Runs networks through tract, layers computed by a team of threads.
#[derive(Clone, Debug, Default)]
pub struct Tract(pub Arc<Team>);

/// A strip with the times of its last run.
struct Timed {
    strip: collab_models::Strip,
    times: LayerTimes,
}

impl Engine for Tract {
    fn awaited(&self) -> Duration {
        self.0.awaited()
    }

    fn load(&self, file: &Path, id: NetworkId, options: &NetworkOptions) -> Result<Box<dyn Model>, String> {
        let NetworkOptions { name, pixels, input_shape } = options.clone();
        let options = LoadOptions { name, pixels, input_shape };
        let model = collab_models::Model::load_file(file, id, &options).map_err(|error| error.to_string())?;
        Ok(Box::new(model.with_team(self.0.clone())))
    }

    fn synthetic(&self, index: usize) -> Option<Result<Synthetic, String>> {
        let model = calibration::network(index)?;
        Some(model.map_err(|error| error.to_string()).map(|model| {
            let strips = calibration::strips(model.network());
            (Box::new(model.with_team(self.0.clone())) as Box<dyn Model>, strips)
        }))
    }

    fn name(&self) -> String {
        calibration::engine(self.0.threads())
    }
}

impl Model for collab_models::Model {
    fn network(&self) -> &Arc<Network> {
        self.network()
    }

    fn awaited(&self) -> Duration {
        self.awaited()
    }

    fn strip(&self, units: Range<usize>, rows: Rows) -> Result<Box<dyn Strip>, String> {
        let strip = self.strip(units, rows).map_err(|error| error.to_string())?;
        Ok(Box::new(Timed { strip, times: LayerTimes::new(self.network()) }))
    }
}

impl Strip for Timed {
    fn run(
        &mut self,
        input: Map,
        clock: &mut dyn FnMut() -> Duration,
        times: &mut [Duration],
    ) -> Result<Map, String> {
        self.times.clear();
        let output = self.strip.run(input, clock, &mut self.times).map_err(|error| error.to_string())?;
        for (total, time) in times.iter_mut().zip(self.times.layers()) {
            *total += *time;
        }
        Ok(output)
    }
}
