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

/// A decoder, on bytes that anyone may have sent: what it takes can be sent on and is read as the same.
fn decode_any<M: Message + PartialEq + std::fmt::Debug>(bytes: &[u8]) {
    if let Ok(message) = decode::<M>(bytes) {
        read_back(&message);
    }
}

/// Every decoder.
fn decode_all(bytes: &[u8]) {
    decode_any::<Asked>(bytes);
    decode_any::<Answered>(bytes);
    decode_any::<Telemetry>(bytes);
    decode_any::<RowsHeader>(bytes);
    decode_any::<Probe>(bytes);
    decode_any::<ProbeEcho>(bytes);
    if let Some(prefix) = bytes.first_chunk() {
        let _ = (frame_length(*prefix), StreamKind::from_byte(prefix[0]));
    }
    if let Some(Ok(preface)) = bytes.first_chunk().map(Preface::decode) {
        assert_eq!(preface.encode()[..], bytes[..Preface::LENGTH]);
    }
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

fn spans() -> impl Strategy<Value = WorkerSpan> {
    let kinds = prop_oneof![
        Just(SpanKind::Compute),
        Just(SpanKind::Send),
        Just(SpanKind::Receive),
        Just(SpanKind::Wait)
    ];
    let peers = prop_oneof![Just(None), Just(Some(Node::Lab)), Just(Some(Node::Worker(WorkerId(3))))];
    let rows = (0u32..1000, 0u32..1000).prop_map(|(start, count)| Rows::new(start, start + count));
    let times = (0u64..1 << 50, 0u64..1 << 40);
    (any::<(u64, u32, u64)>(), kinds, peers, rows, times).prop_map(
        |((run, block, bytes), kind, peer, rows, (start_us, took))| {
            let (run, end_us) = (RunId(run), start_us + took);
            WorkerSpan { run, kind, block, peer, rows, start_us, end_us, bytes }
        },
    )
}

fn blocks() -> impl Strategy<Value = BlockTimes> {
    let layers = vec((any::<u32>(), any::<u32>(), 0f32..1e6), 0..30);
    (any::<u32>(), layers).prop_map(|(block, layers)| BlockTimes { block, layers })
}

fn reports() -> impl Strategy<Value = Telemetry> {
    prop_oneof![
        (any::<u64>(), vec(spans(), 0..4), vec(blocks(), 0..3)).prop_map(|(run, spans, blocks)| {
            Telemetry::Computed(RunReport { run: RunId(run), spans, blocks })
        }),
        spans().prop_map(Telemetry::Sent),
        spans().prop_map(Telemetry::Arrived),
        (any::<u64>(), ".{0,40}").prop_map(|(run, reason)| Telemetry::Failed { run: RunId(run), reason }),
    ]
}

fn replies() -> impl Strategy<Value = Reply> {
    let timed = (any::<u32>(), any::<u32>(), 0..=MAX_ROW, 0f32..1e9);
    let timed = timed.prop_map(|(network, layer, rows, ms)| TimedLayer { network, layer, rows, ms });
    let cuts = (1u32..99, 1u32..99, 1u32..99).prop_map(|(outer, rows, inner)| Cut { outer, rows, inner });
    prop_oneof![
        (vec(timed, 0..300), any::<u32>(), 0f64..1e9).prop_map(|(layers, networks, ms)| Reply::Calibrated {
            layers,
            networks,
            ms
        }),
        vec(cuts, 0..40).prop_map(|cuts| Reply::Loaded { cuts }),
        proptest::option::of(blocks()).prop_map(|times| Reply::Rehearsed { times }),
        any::<(u64, u64, u64)>().prop_map(|(received_us, answered_us, delay_us)| Reply::Pong {
            received_us,
            answered_us,
            delay_us
        }),
        ".{0,60}".prop_map(|reason| Reply::Refused { reason }),
    ]
}

fn headers() -> impl Strategy<Value = RowsHeader> {
    let rows = (0u32..1000, 1u32..1000).prop_map(|(start, count)| Rows::new(start, start + count));
    (any::<(u64, u32, u32, bool)>(), rows, 1..=MAX_ROWS).prop_map(
        |((run, partition, block, is_picture), rows, bytes)| {
            let encoding = if is_picture { Encoding::U8 } else { Encoding::F32 };
            let partition = PartitionId(partition);
            RowsHeader { run: RunId(run), partition, block, rows, encoding, bytes }
        },
    )
}

/// A message of any kind, as it is sent.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        requests().prop_map(|request| encode(&Asked { sequence: 1, request }).unwrap()),
        replies().prop_map(|reply| encode(&Answered { sequence: 1, reply }).unwrap()),
        reports().prop_map(|report| encode(&report).unwrap()),
        headers().prop_map(|header| encode(&header).unwrap()),
        any::<u16>().prop_map(|version| [&[0; 4], &Preface { version }.encode()[..]].concat()),
    ]
}

proptest! {
    #[test]
    fn every_request_reads_back(sequence in any::<u64>(), request in requests()) {
        read_back(&Asked { sequence, request });
    }

    #[test]
    fn every_reply_reads_back(sequence in any::<u64>(), reply in replies()) {
        read_back(&Answered { sequence, reply });
    }

    #[test]
    fn every_report_and_header_reads_back(report in reports(), header in headers()) {
        read_back(&report);
        read_back(&header);
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in vec(any::<u8>(), 0..600)) {
        decode_all(&bytes);
    }

    #[test]
    fn no_changed_bytes_make_a_decoder_panic(
        frame in frames(), changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut message = frame[4..].to_vec();
        for (at, byte) in changes {
            let at = at.index(message.len());
            message[at] = byte;
        }
        decode_all(&message);
    }

    #[test]
    fn no_part_of_a_message_is_a_message(request in requests(), cut in any::<prop::sample::Index>()) {
        let frame = encode(&Asked { sequence: 1, request }).unwrap();
        let message = &frame[4..];
        prop_assert!(decode::<Asked>(&message[..cut.index(message.len())]).is_err());
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
