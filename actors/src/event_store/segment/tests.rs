//! What is packed comes out again as it was, in both formats; what was damaged does not come out at all.

use super::*;
use crate::event_store::rows::CommandRow;

fn row(position: Position) -> EventRow {
    let stream_id = i64::try_from(position % 40).unwrap();
    let command =
        CommandRow { name: "Observe".into(), body: format!("{{\"of\":{position}}}"), first: position, last: position };
    EventRow {
        position,
        stream_id,
        stream: format!("deposit/{stream_id}"),
        version: position / 40 + 1,
        kind: "Mined".into(),
        schema: 1,
        payload: format!("{{\"height\":{position},\"who\":\"Zoë\"}}"),
        causation: (position > 1).then(|| position - 1),
        correlation: Some([position as u8; 16]),
        command_id: u128::from(position).to_be_bytes(),
        recorded_at: i64::try_from(position).unwrap() * 1_000,
        hash: [7; 32],
        command: Some(command),
    }
}

fn segment() -> (Vec<EventRow>, Segment) {
    let rows: Vec<_> = (1..=SEGMENT_EVENTS).map(row).collect();
    let segment = Segment::pack(&rows).unwrap();
    (rows, segment)
}

fn payloads(segment: &Segment) -> Result<Vec<String>, SegmentError> {
    let mut payloads = Vec::new();
    segment.unpack()?.each::<SegmentError>(segment.first, &mut |packed| {
        payloads.push(packed.payload()?.to_owned());
        Ok(ControlFlow::Continue(()))
    })?;
    Ok(payloads)
}

#[test]
fn what_is_packed_comes_out_as_it_was_also_of_the_format_before() {
    let (rows, segment) = segment();
    let expected: Vec<_> = rows.iter().map(|row| row.payload.clone()).collect();
    assert_eq!((segment.format, payloads(&segment).unwrap()), (FORMAT, expected.clone()));
    let contents = Unpacker::default().lz4(segment.events.as_ref()).unwrap();
    let before = Segment { format: FORMAT_1, events: Frame::zstd(&contents).unwrap(), ..segment };
    assert_eq!(payloads(&before).unwrap(), expected);
    let newer = Segment { format: FORMAT + 1, ..before };
    assert!(matches!(payloads(&newer).unwrap_err().problem, SegmentProblem::Format(3)));
}

/// A match that is copied from elsewhere may be the same there: then nothing of the contents changed.
#[test]
fn a_changed_byte_changes_nothing_that_comes_out() {
    let (_, segment) = segment();
    let (bytes, whole) = (segment.events.packed.len(), payloads(&segment).unwrap());
    let places: Vec<_> = (0..bytes).step_by(7).chain([bytes - 1]).collect();
    let comes_out = |place: usize| {
        let mut damaged = segment.clone();
        damaged.events.packed[place] ^= 1 << (place % 8);
        payloads(&damaged)
    };
    let came_out: Vec<_> = places.iter().filter_map(|place| comes_out(*place).ok()).collect();
    assert!(came_out.iter().all(|payloads| *payloads == whole));
    assert!(came_out.len() * 20 < places.len(), "{} of {}", came_out.len(), places.len());
}

#[test]
fn a_part_of_another_size_is_none() {
    let (_, segment) = segment();
    let sized = |bytes: usize, packed: usize| {
        let mut other = segment.clone();
        other.events.bytes = bytes;
        other.events.packed.truncate(packed);
        payloads(&other).unwrap_err().problem
    };
    let (whole, packed) = (segment.events.bytes, segment.events.packed.len());
    assert!(matches!(sized(whole + 1, packed), SegmentProblem::Checksum));
    assert!(matches!(sized(whole - 1, packed), SegmentProblem::Block(_)));
    assert!(matches!(sized(whole, packed - 1), SegmentProblem::Block(_) | SegmentProblem::Checksum));
    assert!(matches!(sized(whole, CRC_BYTES - 1), SegmentProblem::Checksum));
    assert!(matches!(sized(UNPACKED_MAX_BYTES + 1, packed), SegmentProblem::TooLarge(_)));
}
