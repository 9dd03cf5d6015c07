use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::event::{BlockTimes, LinkShape, SpanKind};
use crate::id::{Digest, Node, PartitionId, RunId, WorkerId};
use crate::network::{Cut, Pixels};
use crate::partition::{Block, Partition};
use crate::rows::Rows;

fn read_back<M: Message + PartialEq + std::fmt::Debug>(message: &M) {
    let frame = encode(message).unwrap();
    let length = frame_length(frame[..4].try_into().unwrap()).unwrap();
    assert_eq!(length, frame.len() - 4);
    assert_eq!(&decode::<M>(&frame[4..]).unwrap(), message);
}

/// Every decoder, on bytes that anyone may have sent.
fn decode_all(bytes: &[u8]) {
    let _ = decode::<Asked>(bytes);
    let _ = decode::<Answered>(bytes);
    let _ = decode::<Telemetry>(bytes);
    let _ = decode::<RowsHeader>(bytes);
    let _ = decode::<Probe>(bytes);
    let _ = decode::<ProbeEcho>(bytes);
}

fn requests() -> impl Strategy<Value = Request> {
    let plan = vec((0u32..9, vec(0u32..500, 3)), 1..6).prop_map(|blocks| Partition {
        blocks: blocks
            .into_iter()
            .map(|(unit, mut bounds)| {
                bounds.sort_unstable();
                Block { units: (unit, unit + 1), bounds }
            })
            .collect(),
    });
    prop_oneof![
        (".{0,40}", any::<[u8; 32]>(), 1u64..1 << 30, vec(0usize..4096, 0..5)).prop_map(
            |(name, id, bytes, shape)| {
                let pixels = Some(Pixels { mean: vec![0.0; 3], std: vec![255.0; 3] });
                let options = NetworkOptions { name, pixels, input_shape: Some(shape) };
                Request::Offer(NetworkOffer { network: Digest(id), bytes, memory: bytes, options })
            }
        ),
        (any::<u64>(), vec(any::<u8>(), 0..900)).prop_map(|(offset, data)| Request::Chunk { offset, data }),
        (0u8..64, ".{0,30}", any::<[u8; 32]>()).prop_map(|(worker, address, key)| {
            let peer = Peer { worker: WorkerId(worker), address, fingerprint: Digest(key) };
            Request::Introduce { me: WorkerId(worker), peers: vec![peer] }
        }),
        (any::<u32>(), plan).prop_map(|(id, plan)| Request::Prepare { partition: PartitionId(id), plan }),
        any::<(u32, u32, bool)>().prop_map(|(id, block, is_last)| {
            let partition = PartitionId(id);
            Request::Rehearse { partition, block, is_last }
        }),
        (1.0f64..=100.0).prop_map(|percent| Request::Throttle { percent }),
        (proptest::option::of(0.1f64..1e4), 0.0f64..100.0)
            .prop_map(|(rate_mbps, delay_ms)| Request::Link(LinkShape { rate_mbps, delay_ms })),
        any::<[u8; 32]>().prop_map(|proof| Request::Pair { proof }),
        any::<u64>().prop_map(|run| Request::Cancel { run: RunId(run) }),
        (1..=MAX_CALIBRATION_MS).prop_map(|budget_ms| Request::Calibrate { budget_ms }),
    ]
}

proptest! {
    #[test]
    fn every_request_reads_back(sequence in any::<u64>(), request in requests()) {
        read_back(&Asked { sequence, request });
    }

    #[test]
    fn every_calibration_reads_back(
        sequence in any::<u64>(), networks in any::<u32>(), ms in 0f64..1e9,
        timed in vec((any::<u32>(), any::<u32>(), 0..=MAX_ROW, 0f32..1e9), 0..300),
    ) {
        let timed = timed.into_iter();
        let layers = timed.map(|(network, layer, rows, ms)| TimedLayer { network, layer, rows, ms }).collect();
        read_back(&Answered { sequence, reply: Reply::Calibrated { layers, networks, ms } });
    }

    #[test]
    fn every_report_reads_back(
        run in any::<u64>(), block in any::<u32>(), start in 0u32..1000, count in 0u32..1000,
        at in 0u64..1 << 50, took in 0u64..1 << 40, layers in vec((any::<u32>(), any::<u32>(), 0f32..1e6), 0..30),
    ) {
        let span = WorkerSpan {
            run: RunId(run), kind: SpanKind::Wait, block, peer: Some(Node::Lab),
            rows: Rows::new(start, start + count), start_us: at, end_us: at + took, bytes: took,
        };
        let blocks = vec![BlockTimes { block, layers }];
        read_back(&Telemetry::Computed(RunReport { run: RunId(run), spans: vec![span; 3], blocks }));
        read_back(&Telemetry::Arrived(span));
        read_back(&RowsHeader {
            run: RunId(run), partition: PartitionId(block), block, rows: Rows::new(start, start + count + 1),
            encoding: Encoding::U8, bytes: 1 + took % MAX_ROWS,
        });
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..600)) {
        decode_all(&bytes);
    }

    #[test]
    fn no_cut_or_changed_byte_makes_a_decoder_panic(
        request in requests(), cut in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), byte in any::<u8>(),
    ) {
        let mut frame = encode(&Asked { sequence: 1, request }).unwrap();
        let length = frame.len() - 4;
        prop_assert!(decode::<Asked>(&frame[4..4 + cut.index(length)]).is_err());
        frame[4 + at.index(length)] = byte;
        decode_all(&frame[4..]);
    }
}

#[test]
fn another_version_is_named_with_ours() {
    let other = VERSION + 1;
    let theirs = Preface::decode(&Preface { version: other }.encode()).unwrap();
    let error = Preface::ours().check(theirs).unwrap_err().to_string();
    assert!(
        error.contains(&format!("version {other}")) && error.contains(&format!("version {VERSION}")),
        "{error}"
    );
    assert_eq!(Preface::decode(b"GET / HT"), Err(WireError::NotCollab));
}

#[test]
fn limits_hold_in_both_directions() {
    let refused = |request: Request| encode(&Asked { sequence: 1, request }).unwrap_err().to_string();
    assert!(refused(Request::Throttle { percent: 0.0 }).contains("not within 1…100"));
    assert!(refused(Request::Throttle { percent: f64::NAN }).contains("not within"));
    let link = LinkShape { rate_mbps: Some(0.0), delay_ms: 0.0 };
    assert!(refused(Request::Link(link)).contains("link rate"));
    let plan = Partition { blocks: vec![Block { units: (0, 1), bounds: vec![0, 9, 3] }] };
    assert!(refused(Request::Prepare { partition: PartitionId(1), plan }).contains("out of order"));
    assert!(refused(Request::Chunk { offset: 0, data: vec![0; MAX_CHUNK + 1] }).contains("more than"));
    assert!(refused(Request::Calibrate { budget_ms: 0 }).contains("allowed are 1…60000"));
    let timed = |layers: usize, ms: f32| {
        let layers = vec![TimedLayer { network: 0, layer: 0, rows: 1, ms }; layers];
        let reply = Reply::Calibrated { layers, networks: 1, ms: 1.0 };
        encode(&Answered { sequence: 1, reply }).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(timed(MAX_TIMED, 1.0), Ok(()));
    assert!(timed(MAX_TIMED + 1, 1.0).unwrap_err().contains("timed layers"));
    assert!(timed(1, f32::NAN).unwrap_err().contains("not within"));
    assert_eq!(
        frame_length(u32::MAX.to_le_bytes()),
        Err(WireError::TooLong { most: MAX_FRAME, found: u32::MAX as usize })
    );
    let backwards = RowsHeader {
        run: RunId(1),
        partition: PartitionId(1),
        block: 0,
        rows: Rows { start: 9, end: 2 },
        encoding: Encoding::F32,
        bytes: 4,
    };
    let bytes = postcard::to_stdvec(&backwards).unwrap();
    assert!(decode::<RowsHeader>(&bytes).unwrap_err().to_string().contains("no range"));
}

#[test]
fn what_a_session_would_not_be_believed_is_not_believed_of_a_worker_either() {
    let taking = |ms: f32| {
        let blocks = vec![BlockTimes { block: 0, layers: vec![(0, 8, ms)] }];
        let report = RunReport { run: RunId(1), spans: Vec::new(), blocks };
        let sent = postcard::to_stdvec(&Telemetry::Computed(report)).unwrap();
        decode::<Telemetry>(&sent).map(|_| ()).map_err(|error| error.to_string())
    };
    assert_eq!(taking(0.0), Ok(()));
    for wrong in [-1.0, f32::NAN, 1e12] {
        assert!(taking(wrong).unwrap_err().contains("layer 0 took"), "{wrong}");
    }
}

#[test]
fn the_size_of_rows_follows_from_their_tensor() {
    let cut = Cut { outer: 3, rows: 10, inner: 20 };
    assert_eq!(Encoding::F32.bytes_of(cut, Rows::new(2, 5)), 3 * 3 * 20 * 4);
    assert_eq!(Encoding::U8.bytes_of(cut, Rows::new(2, 5)), 3 * 3 * 20);
}
