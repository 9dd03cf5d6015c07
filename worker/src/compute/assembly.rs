//! Putting a part's input together from rows computed here and rows received.

use collab_core::id::Node;
use collab_core::network::{Cut, Pixels};
use collab_core::rows::Rows;
use collab_core::wire::Encoding;
use collab_models::pixels::normalise;

use super::Held;
use crate::engine::{Map, Spares};

/// Rows of a block's input that are there.
pub(super) struct Piece {
    pub(super) rows: Rows,
    pub(super) from: Source,
}

pub(super) enum Source {
    /// Computed here.
    Own(Map),
    /// Received; decoded only when it is used, so that the time counts as computing.
    Received { peer: Node, at_us: u64, encoding: Encoding, body: Vec<u8>, _held: Held },
}

/// Whether the pieces, which do not overlap, hold all of `need`.
pub(super) fn covers(pieces: &[Piece], need: Rows) -> bool {
    pieces.iter().map(|piece| piece.rows.intersect(need).len()).sum::<u32>() == need.len()
}

/// The piece that came last of those that `need` had to wait for.
pub(super) fn latest(pieces: &[Piece], need: Rows) -> Option<(u64, Node, Rows)> {
    let used = pieces.iter().filter(|piece| !piece.rows.intersect(need).is_empty());
    used.filter_map(|piece| match piece.from {
        Source::Received { peer, at_us, .. } => Some((at_us, peer, piece.rows)),
        Source::Own(_) => None,
    })
    .max_by_key(|(at, _, _)| *at)
}

/// The rows `need` of a tensor. `last` says that nobody needs the pieces afterwards: then a piece that is
/// exactly what is needed is moved, not copied. Every row of `need` is one piece's, so all of a spare map is written.
pub(super) fn assemble(
    pieces: &mut Vec<Piece>,
    (cut, need): (Cut, Rows),
    pixels: Option<&Pixels>,
    last: bool,
    spares: &Spares,
) -> Result<Map, String> {
    let exact = |piece: &Piece| piece.rows == need && matches!(piece.from, Source::Own(_));
    if last && let Some(index) = pieces.iter().position(exact) {
        let Source::Own(map) = pieces.swap_remove(index).from else { unreachable!("checked above") };
        return Ok(map);
    }
    let mut input = spares.map(cut, need);
    for piece in pieces.iter() {
        let rows = piece.rows.intersect(need);
        if rows.is_empty() {
            continue;
        }
        match &piece.from {
            Source::Own(map) => copy_rows(map, &mut input, rows),
            Source::Received { encoding: Encoding::F32, body, .. } if need.contains(piece.rows) => {
                input.write(piece.rows, body).map_err(|error| error.to_string())?;
            }
            Source::Received { encoding: Encoding::F32, body, .. } => {
                let mut whole = spares.map(cut, piece.rows);
                whole.write(piece.rows, body).map_err(|error| error.to_string())?;
                copy_rows(&whole, &mut input, rows);
            }
            Source::Received { encoding: Encoding::U8, body, .. } => {
                let pixels = pixels.ok_or("the network does not start from pictures")?;
                let turn = |map: &mut Map| normalise(pixels, body, map.values_mut());
                if piece.rows == need {
                    turn(&mut input).map_err(|error| error.to_string())?;
                } else {
                    let mut whole = spares.map(cut, piece.rows);
                    turn(&mut whole).map_err(|error| error.to_string())?;
                    copy_rows(&whole, &mut input, rows);
                }
            }
        }
    }
    Ok(input)
}

/// Copies rows that both maps hold.
pub(super) fn copy_rows(from: &Map, to: &mut Map, rows: Rows) {
    let row = from.cut().inner as usize;
    let (from_rows, to_rows) = (from.rows(), to.rows());
    let length = rows.len() as usize * row;
    let (source, target) = (from_rows.len() as usize * row, to_rows.len() as usize * row);
    if length == 0 {
        return;
    }
    let skip_from = (rows.start - from_rows.start) as usize * row;
    let skip_to = (rows.start - to_rows.start) as usize * row;
    let planes = to.values_mut().chunks_exact_mut(target).zip(from.values().chunks_exact(source));
    for (to, from) in planes {
        to[skip_to..skip_to + length].copy_from_slice(&from[skip_from..skip_from + length]);
    }
}

/// The bytes of `rows`, all of which the maps hold between them.
pub(super) fn serialize(maps: &[Map], rows: Rows, spares: &Spares) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let whole = maps.iter().find(|map| map.rows().contains(rows));
    let joined = match whole {
        Some(_) => None,
        None => {
            let cut = maps.first().ok_or("nothing is computed")?.cut();
            let mut joined = spares.map(cut, rows);
            maps.iter().for_each(|map| copy_rows(map, &mut joined, map.rows().intersect(rows)));
            Some(joined)
        }
    };
    let map = whole.or(joined.as_ref()).ok_or("nothing is computed")?;
    map.read(rows, &mut bytes).map_err(|error| error.to_string())?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::compute::Budget;

    const CUT: Cut = Cut { outer: 3, rows: 20, inner: 4 };

    /// Memory that other maps of every size have left.
    fn used() -> Spares {
        let spares = Spares::default();
        (1..=CUT.rows).for_each(|rows| spares.map(CUT, Rows::all(rows)).values_mut().fill(f32::NAN));
        spares
    }

    fn value(outer: u32, row: u32, inner: u32) -> f32 {
        (outer * 1000 + row * 10 + inner) as f32
    }

    fn map(rows: Rows) -> Map {
        let mut map = Map::zeros(CUT, rows);
        let places = (0..CUT.outer).flat_map(|outer| {
            (rows.start..rows.end).flat_map(move |row| (0..CUT.inner).map(move |inner| (outer, row, inner)))
        });
        map.values_mut().iter_mut().zip(places).for_each(|(slot, (o, r, i))| *slot = value(o, r, i));
        map
    }

    fn received(rows: Rows) -> Piece {
        let mut body = Vec::new();
        map(rows).read(rows, &mut body).unwrap();
        let _held = Budget::new(1 << 20).take(body.len() as u64).unwrap();
        let from = Source::Received { peer: Node::Lab, at_us: 1, encoding: Encoding::F32, body, _held };
        Piece { rows, from }
    }

    proptest! {
        #[test]
        fn any_mixture_of_pieces_gives_the_same_rows(
            mut bounds in proptest::collection::vec(0u32..=20, 0..4),
            own in any::<u8>(), a in 0u32..20, n in 1u32..20, last in any::<bool>(),
        ) {
            bounds.extend([0, 20]);
            bounds.sort_unstable();
            let ranges = bounds.windows(2).map(|pair| Rows::new(pair[0], pair[1]));
            let mut pieces: Vec<Piece> = ranges.enumerate().map(|(index, rows)| match own >> index & 1 {
                0 => received(rows),
                _ => Piece { rows, from: Source::Own(map(rows)) },
            }).collect();
            let need = Rows::new(a, (a + n).min(20));
            prop_assert!(covers(&pieces, need));
            let input = assemble(&mut pieces, (CUT, need), None, last, &used()).unwrap();
            let expected = map(need);
            prop_assert_eq!(input.values(), expected.values());
        }

        #[test]
        fn rows_are_serialized_across_the_maps_that_hold_them(at in 1u32..20, a in 0u32..20, n in 1u32..20) {
            let maps = [map(Rows::new(0, at)), map(Rows::new(at, 20))];
            let rows = Rows::new(a, (a + n).min(20));
            let mut expected = Vec::new();
            map(rows).read(rows, &mut expected).unwrap();
            prop_assert_eq!(serialize(&maps, rows, &used()).unwrap(), expected);
        }
    }

    #[test]
    fn pixels_are_normalised_channel_by_channel_whatever_part_of_them_is_needed() {
        let cut = Cut { outer: 2, rows: 2, inner: 2 };
        let pixels = Pixels { mean: vec![10.0, 0.0], std: vec![2.0, 255.0] };
        let body = vec![10, 20, 30, 40, 0, 255, 51, 102];
        let held = Budget::new(8).take(8).unwrap();
        let from = Source::Received { peer: Node::Lab, at_us: 0, encoding: Encoding::U8, body, _held: held };
        let mut pieces = vec![Piece { rows: Rows::all(2), from }];
        let input = assemble(&mut pieces, (cut, Rows::new(1, 2)), Some(&pixels), true, &used()).unwrap();
        assert_eq!(input.values(), [10.0, 15.0, 0.2, 0.4]);
    }
}
