//! Records as no client of ours makes them, written as Kafka's protocol has them: Produce, version 3, and a batch of format 2
//! (<https://kafka.apache.org/protocol>, <https://kafka.apache.org/documentation/#recordbatch>).

use anyhow::{Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const PRODUCE: i16 = 0;
const VERSION: i16 = 3;
/// As large as an answer may be, in bytes.
const ANSWER_BYTES_MAX: usize = 4_096;

/// A batch whose records are of a time that cannot be: beyond what 64 bits hold.
pub fn batch_of_an_impossible_time(records: &[(&str, &str)]) -> Vec<u8> {
    let mut checked = Vec::new();
    let last = records.len() as i32 - 1;
    checked.extend(0_i16.to_be_bytes());
    checked.extend(last.to_be_bytes());
    checked.extend(i64::MAX.to_be_bytes());
    checked.extend(i64::MAX.to_be_bytes());
    // By nobody who is known: producer, epoch and sequence.
    checked.extend((-1_i64).to_be_bytes());
    checked.extend((-1_i16).to_be_bytes());
    checked.extend((-1_i32).to_be_bytes());
    checked.extend((records.len() as i32).to_be_bytes());
    for (number, (key, value)) in (0..).zip(records) {
        let mut record = vec![0];
        varint(&mut record, 1);
        varint(&mut record, number);
        for text in [key, value] {
            varint(&mut record, text.len() as i64);
            record.extend(text.as_bytes());
        }
        varint(&mut record, 0);
        varint(&mut checked, record.len() as i64);
        checked.extend(record);
    }
    let mut batch = 0_i64.to_be_bytes().to_vec();
    batch.extend((checked.len() as i32 + 9).to_be_bytes());
    batch.extend((-1_i32).to_be_bytes());
    batch.push(2);
    batch.extend(crc32c(&checked).to_be_bytes());
    batch.extend(checked);
    batch
}

/// Has a broker store a batch in the topic's first partition.
pub async fn produce(address: &str, topic: &str, batch: &[u8]) -> Result<()> {
    let mut request = Vec::new();
    request.extend(PRODUCE.to_be_bytes());
    request.extend(VERSION.to_be_bytes());
    request.extend(7_i32.to_be_bytes());
    text(&mut request, "raw");
    // Of no transaction, acknowledged by all, within five seconds; one topic.
    request.extend((-1_i16).to_be_bytes());
    request.extend((-1_i16).to_be_bytes());
    request.extend(5_000_i32.to_be_bytes());
    request.extend(1_i32.to_be_bytes());
    text(&mut request, topic);
    request.extend(1_i32.to_be_bytes());
    request.extend(0_i32.to_be_bytes());
    request.extend((batch.len() as i32).to_be_bytes());
    request.extend(batch);

    let mut stream = TcpStream::connect(address).await?;
    stream.write_i32(request.len() as i32).await?;
    stream.write_all(&request).await?;
    let mut answer = vec![0; usize::try_from(stream.read_i32().await?)?.min(ANSWER_BYTES_MAX)];
    stream.read_exact(&mut answer).await?;
    // The number of the request, one topic with its name, one partition, its index, and how it ended.
    let error = 4 + 4 + 2 + topic.len() + 4 + 4;
    ensure!(answer.get(error..error + 2) == Some(&[0, 0]), "it was not taken: {answer:?}");
    Ok(())
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as i16).to_be_bytes());
    out.extend(text.as_bytes());
}

/// A number in as few bytes as it takes, negative ones between the others.
fn varint(out: &mut Vec<u8>, number: i64) {
    let mut rest = ((number << 1) ^ (number >> 63)) as u64;
    while rest > 0x7f {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// The checksum of batches: Castagnoli's polynomial.
fn crc32c(bytes: &[u8]) -> u32 {
    let byte = |crc: u32, byte: &u8| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0x82f6_3b78 } else { crc >> 1 })
    };
    !bytes.iter().fold(!0, byte)
}

#[test]
fn the_checksum_is_that_of_its_definition() {
    assert_eq!(crc32c(b"123456789"), 0xe306_9283);
}
