//! `collab-tui inspect`: what a network is made of, and what of it can be split.

use std::fmt::Write as _;

use anyhow::Context as _;

use collab_core::network::{Network, Split};
use collab_core::rows::Rows;
use collab_models::{recipe, source};

use crate::cli::InspectArgs;
use crate::headless::{plain, print};
use crate::screen::{padded, shorten_front};

/// Prints a network's geometry; writes it as ONNX if asked to.
pub fn run(args: &InspectArgs) -> anyhow::Result<()> {
    let loaded = args.file.choice(&args.model).load(7)?;
    let network = loaded.model.network();
    if let Some(path) = &args.write {
        let failed = || format!("cannot write {}", path.display());
        let mut file = std::io::BufWriter::new(std::fs::File::create(path).with_context(failed)?);
        recipe::write_onnx(source::read(&loaded.bytes)?.onnx, &mut file).with_context(failed)?;
    }
    if args.json {
        print(&serde_json::to_string(network.as_ref())?)?;
    } else {
        print(&table(network))?;
    }
    Ok(())
}

/// The geometry as a table for people.
pub fn table(network: &Network) -> String {
    let mut text = String::new();
    let shape = |sizes: &[usize]| sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×");
    let _ = writeln!(text, "{}  {}", network.name, network.id);
    let _ = writeln!(
        text,
        "input {}   output {}   {} layers in {} units   {} MACs   {} of weights\n",
        shape(&network.input.shape),
        shape(&network.output_shape),
        network.layers.len(),
        network.units.len(),
        count(network.macs()),
        bytes(network.weight_bytes()),
    );
    let _ = writeln!(
        text,
        "{:<5} {:<28} {:<18} {:>14} {:>10} {:>10} {:>8}  split",
        "unit", "layer", "operator", "rows × values", "MACs", "weights", "halo"
    );
    for (index, unit) in network.units.iter().enumerate() {
        for layer_index in unit.layers.0..unit.layers.1 {
            let layer = &network.layers[layer_index as usize];
            let is_last = layer_index + 1 == unit.layers.1;
            let unit_column = if layer_index == unit.layers.0 { index.to_string() } else { String::new() };
            let split = if is_last { split_sentence(&unit.split) } else { "" };
            let halo = if is_last { halo(network, index) } else { String::new() };
            let _ = writeln!(
                text,
                "{unit_column:<5} {} {} {:>14} {:>10} {:>10} {halo:>8}  {split}",
                // The end of a node's name tells more than its beginning.
                padded(&shorten_front(&plain(&layer.name), 28), 28),
                padded(&shorten_front(&plain(&layer.op), 18), 18),
                format!("{} × {}", layer.output.rows, layer.output.row_values()),
                count(layer.row_macs * u64::from(layer.output.rows)),
                if layer.weight_bytes > 0 { bytes(layer.weight_bytes) } else { String::new() },
            );
        }
    }
    let split = network.units.iter().filter(|unit| unit.split == Split::Rows).count();
    let _ = writeln!(
        text,
        "\n{split} of {} units can be split by rows; the tail begins at unit {}.",
        network.units.len(),
        network.tail_start()
    );
    text
}

/// Rows of the unit's input that a strip in the middle needs beyond its share.
fn halo(network: &Network, unit: usize) -> String {
    let (input, output) = (network.cut(unit).rows, network.cut(unit + 1).rows);
    if output < 3 || network.units[unit].split != Split::Rows {
        return String::new();
    }
    let third = Rows::new(output / 3, 2 * output / 3);
    let need = network.demand(&(unit..unit + 1), third).input;
    if need == Rows::all(input) {
        return "all".to_owned();
    }
    let share = f64::from(third.len()) * f64::from(input) / f64::from(output);
    match f64::from(need.len()) - share {
        extra if extra >= 0.5 => format!("+{extra:.0}"),
        _ => "0".to_owned(),
    }
}

fn split_sentence(split: &Split) -> &str {
    match split {
        Split::Rows => "by rows",
        Split::Features => "by features",
        Split::Whole(reason) => reason,
    }
}

fn count(number: u64) -> String {
    match number {
        0 => "–".to_owned(),
        1..1_000_000 => format!("{:.0} k", number as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} M", number as f64 / 1e6),
        _ => format!("{:.2} G", number as f64 / 1e9),
    }
}

fn bytes(number: u64) -> String {
    match number {
        0..10_240 => format!("{number} B"),
        10_240..10_485_760 => format!("{:.0} KiB", number as f64 / 1024.0),
        _ => format!("{:.1} MiB", number as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use collab_core::network::samples::chain;

    use super::*;
    use crate::screen;

    #[test]
    fn every_layer_has_a_line_and_halos_are_counted() {
        let text = table(&chain(30, 3));
        assert_eq!(text.lines().filter(|line| line.contains("Conv 3×3")).count(), 3);
        assert!(text.contains("+2"), "a 3×3 convolution needs two more rows:\n{text}");
        assert!(text.contains("3 of 3 units can be split by rows"));
    }

    #[test]
    fn columns_stand_one_under_the_other_whatever_nodes_are_called() {
        let mut network = chain(30, 3);
        for (layer, name) in
            network.layers.iter_mut().zip(["网络", "a", "/model/block.7/expand/conv/Conv_output_0"])
        {
            layer.name = name.to_owned();
        }
        let text = table(&network);
        let at = |line: &str| screen::width(&line[..line.find("Conv 3×3").unwrap()]);
        let places: Vec<usize> = text.lines().filter(|line| line.contains("Conv 3×3")).map(at).collect();
        assert_eq!(places, [35; 3], "{text}");
        assert!(text.contains("…7/expand/conv/Conv_output_0"), "{text}");
    }
}
